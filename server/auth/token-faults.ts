/**
 * Turns jose's errors into verdicts, and into sentences for the log that say what the token has and what the hub
 * requires. The hub words them, because the messages of a later jose version might quote the token. Only an algorithm,
 * a key id, and claims of a token whose signature is good are quoted.
 */
import { decodeProtectedHeader, errors } from 'jose';
import type { Clock } from '../lib/time/clock.ts';
import { refused, type Verdict } from './authenticator.ts';
import { KeysUnavailable } from './jwks.ts';

export const SECRET_ALGORITHMS = ['HS256', 'HS384', 'HS512'];
export const KEY_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'];

/**
 * How far an issuer's clock may be ahead (`nbf`), because a token is used as soon as it is made. There is no tolerance
 * for `exp`: sessions end at that time, so a later one would end at once.
 */
export const NOT_BEFORE_TOLERANCE_S = 5;
/**
 * A token that becomes valid within this time comes from a clock that is ahead. A token that becomes valid later is
 * refused.
 */
const EARLY_WITHIN_S = 300;
/** An early token is tried again at least this often, because clocks may be corrected in the meantime. */
const EARLY_RETRY_MS = 15_000;

/** The settings that the sentences name. */
interface Wanted {
  readonly secret?: string | undefined;
  readonly issuer?: string | undefined;
  readonly audience?: string | undefined;
  readonly clock: Clock;
}

export function verdictOf(error: unknown, token: string, wanted: Wanted): Verdict {
  const { wallMs } = wanted.clock.now();
  const isSecret = wanted.secret !== undefined;
  if (error instanceof KeysUnavailable) {
    const why = 'the keys that would check it can’t be fetched now';
    return { ok: false, kind: 'unavailable', fault: 'keys', why, retryInMs: error.retryInMs };
  }
  if (error instanceof errors.JWTExpired)
    return refused('expired', expiredAt(Number(error.payload.exp) * 1000, wallMs));
  if (error instanceof errors.JWTClaimValidationFailed) return verdictOnClaim(error, wanted);
  if (error instanceof errors.JOSEAlgNotAllowed) {
    const allowed = (isSecret ? SECRET_ALGORITHMS : KEY_ALGORITHMS).join(', ');
    return refused('algorithm', `its algorithm is ${headerOf(token, 'alg')}, and the hub takes ${allowed}`);
  }
  if (error instanceof errors.JWKSNoMatchingKey) {
    return refused('key', `no key of HUB_JWKS_URL matches it (its kid is ${headerOf(token, 'kid')})`);
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    const key = isSecret ? 'HUB_JWT_SECRET' : 'that of HUB_JWKS_URL';
    return refused('signature', `its signature is wrong: it was signed with another key than ${key}`);
  }
  if (error instanceof errors.JOSEError) return refused('form', 'it is not a readable signed token');
  return refused('key', 'the matching key cannot be used');
}

function verdictOnClaim(
  { claim, reason, payload }: errors.JWTClaimValidationFailed,
  { issuer, audience, clock }: Wanted,
): Verdict {
  const isMissing = reason === 'missing';
  switch (claim) {
    case 'nbf':
      return verdictOnNotBefore(payload.nbf, clock.now().wallMs);
    case 'iss':
      return refused(
        'issuer',
        `its iss is ${isMissing ? 'missing' : quoted(payload.iss)}: HUB_JWT_ISSUER is ${quoted(issuer)}`,
      );
    case 'aud':
      return refused(
        'audience',
        `its aud is ${isMissing ? 'missing' : quoted(payload.aud)}: HUB_JWT_AUDIENCE is ${quoted(audience)}`,
      );
    default:
      return refused('form', `its ${claim} does not match`);
  }
}

function verdictOnNotBefore(nbf: unknown, wallMs: number): Verdict {
  if (typeof nbf !== 'number') return refused('form', 'its nbf is not a number');
  const aheadMs = Math.ceil(nbf * 1000 - wallMs);
  const why = `it is not valid yet: its nbf is ${Math.ceil(aheadMs / 1000)} s ahead of the hub’s clock`;
  if (aheadMs > EARLY_WITHIN_S * 1000) return refused('nbf', why);
  // jose compares whole seconds.
  const validInMs = Math.max(1, Math.ceil(nbf - NOT_BEFORE_TOLERANCE_S) * 1000 - wallMs);
  return {
    ok: false,
    kind: 'unavailable',
    fault: 'early',
    why: `${why}; correct the clock of the issuer or of the hub`,
    retryInMs: Math.min(validInMs, EARLY_RETRY_MS),
  };
}

export function expiredAt(expiresAtMs: number, wallMs: number): string {
  return `it expired ${Math.max(0, Math.round((wallMs - expiresAtMs) / 1000))} s ago by the hub’s clock`;
}

export function faultOfSubject(sub: unknown): string {
  if (sub === undefined) return 'it has no sub, and no scope that the hub knows';
  if (typeof sub !== 'string') return `its sub is the ${typeof sub} ${quoted(sub)}: it must be a string`;
  return `its sub is ${quoted(sub)}, which is not a user id, and it has no scope that the hub knows`;
}

function headerOf(token: string, name: 'alg' | 'kid'): string {
  return quoted(decodeProtectedHeader(token)[name]);
}

const MAX_QUOTED_CHARS = 64;

/** Quotes a value of the token on one short line, whatever it contains. */
function quoted(value: unknown): string {
  if (value === undefined) return 'missing';
  const text = JSON.stringify(value);
  return text.length > MAX_QUOTED_CHARS ? `${text.slice(0, MAX_QUOTED_CHARS)}…` : text;
}

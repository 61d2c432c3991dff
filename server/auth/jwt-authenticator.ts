/**
 * Jwt mode: a token is checked against a secret or an issuer's keys, its claims against the settings and the clock. The
 * algorithms are pinned by what the operator set, never by what the token says. Throws nothing at its callers: a bad setting
 * is a problem to stop the start with, a bad token a refusal.
 */
import { createHash, createSecretKey } from 'node:crypto';
import { errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey, type JWTVerifyOptions } from 'jose';
import type { Clock } from '../lib/clock.ts';
import {
  createTokenMatcher,
  faultOfAdminToken,
  MAX_TOKEN_CHARS,
  refused,
  type Authenticator,
  type Made,
  type Verdict,
} from './authenticator.ts';
import { identityOf, staticAdmin } from './identity.ts';
import { createJwksKeys, KeysUnavailable } from './jwks.ts';
import { createTokenMemory } from './token-memory.ts';

/** The settings as they were given, undefined where they were not. */
export interface JwtOptions {
  /** `HUB_JWT_SECRET`; this one or `jwksUrl`. */
  readonly secret?: string | undefined;
  /** `HUB_JWKS_URL` */
  readonly jwksUrl?: string | undefined;
  readonly issuer?: string | undefined;
  readonly audience?: string | undefined;
  readonly adminToken?: string | undefined;
  readonly clock: Clock;
  /** The issuer's keys could not be fetched; for the log. Tokens may still be verified with those in hand. */
  readonly onKeysFailure?: (why: string) => void;
}

const MIN_SECRET_BYTES = 32;
const SECRET_ALGORITHMS = ['HS256'];
const KEY_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'];
/**
 * How far an issuer's clock may be ahead (`nbf`), since a token is used the moment it is made. It does not hold for `exp`:
 * that is when sessions end, and one let in after it would end at once.
 */
const NOT_BEFORE_TOLERANCE_S = 5;
/** 3 MB when full. */
const MAX_REMEMBERED = 10_000;
/** Keys may be withdrawn meanwhile; a secret holds for as long as the process. */
const REMEMBER_WITH_KEYS_MS = 60_000;

export function createJwtAuthenticator(options: JwtOptions): Made {
  const problem = faultOf(options);
  if (problem !== undefined) return { ok: false, problem };
  const { issuer, audience, adminToken, clock } = options;
  const isAdminToken = adminToken === undefined ? () => false : createTokenMatcher(adminToken);
  const checkSignature = signatureCheckOf(options, {
    clockTolerance: NOT_BEFORE_TOLERANCE_S,
    ...(issuer !== undefined && { issuer }),
    ...(audience !== undefined && { audience }),
  });
  const memory = createTokenMemory({
    capacity: MAX_REMEMBERED,
    forMs: options.secret === undefined ? REMEMBER_WITH_KEYS_MS : Infinity,
  });
  const authenticator: Authenticator = {
    withoutToken: null,
    verify: async (token) => {
      if (token.length > MAX_TOKEN_CHARS) return refused(`it has ${token.length} characters`);
      if (isAdminToken(token)) return { ok: true, identity: staticAdmin };
      const digest = createHash('sha256').update(token).digest('base64');
      const known = memory.recall(digest, clock.now());
      if (known !== undefined) return { ok: true, identity: known };
      try {
        const verdict = judge(await checkSignature(token, new Date(clock.now().wallMs)), clock);
        if (verdict.ok) memory.remember(digest, verdict.identity, clock.now());
        return verdict;
      } catch (error) {
        return verdictOf(error);
      }
    },
  };
  return { ok: true, authenticator };
}

function judge(claims: JWTPayload, clock: Clock): Verdict {
  const identity = identityOf(claims);
  if (identity === undefined) return refused('its sub is no user id, and it has no scope of ours');
  // After the signature, not before it: keys may have been waited for. A token without `exp` never runs out.
  const hasExpired = identity.expiresAtMs !== null && identity.expiresAtMs <= clock.now().wallMs;
  return hasExpired ? refused('it has expired') : { ok: true, identity };
}

type SignatureCheck = (token: string, currentDate: Date) => Promise<JWTPayload>;

function signatureCheckOf(options: JwtOptions, checks: JWTVerifyOptions): SignatureCheck {
  const { secret, jwksUrl, clock, onKeysFailure = () => undefined } = options;
  if (secret !== undefined) {
    const key = createSecretKey(secret, 'utf8');
    return async (token, currentDate) =>
      (await jwtVerify(token, key, { ...checks, currentDate, algorithms: SECRET_ALGORITHMS })).payload;
  }
  const keys = createJwksKeys({ url: new URL(jwksUrl ?? ''), clock, onFailure: onKeysFailure });
  return (token, currentDate) => checkWithKeys(token, keys, { ...checks, currentDate, algorithms: KEY_ALGORITHMS });
}

/** A token that names no key may fit several: an issuer has two while it rotates. */
async function checkWithKeys(token: string, keys: JWTVerifyGetKey, checks: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, keys, checks)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      try {
        return (await jwtVerify(token, key, checks)).payload;
      } catch (fault) {
        if (!(fault instanceof errors.JWSSignatureVerificationFailed)) throw fault;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

/** In our words, not jose's messages: those of a later version might quote what they read. */
function verdictOf(error: unknown): Verdict {
  if (error instanceof KeysUnavailable) return { ok: false, kind: 'unavailable', why: 'keys unavailable' };
  if (error instanceof errors.JWTExpired) return refused('it has expired');
  if (error instanceof errors.JWTClaimValidationFailed) {
    return refused(`its ${error.claim} ${error.reason === 'missing' ? 'is missing' : 'does not fit'}`);
  }
  if (error instanceof errors.JOSEAlgNotAllowed) return refused('its algorithm is not allowed');
  if (error instanceof errors.JWKSNoMatchingKey) return refused('no key fits it');
  if (error instanceof errors.JWSSignatureVerificationFailed) return refused('its signature is wrong');
  if (error instanceof errors.JOSEError) return refused('it can’t be read as a signed token');
  return refused('the key that fits it can’t be used');
}

function faultOf({ secret, jwksUrl, adminToken }: JwtOptions): string | undefined {
  if (secret === undefined && jwksUrl === undefined) {
    return 'HUB_AUTH is jwt, and nothing says which tokens are good: set HUB_JWT_SECRET or HUB_JWKS_URL';
  }
  if (secret !== undefined && jwksUrl !== undefined) {
    return 'HUB_JWT_SECRET and HUB_JWKS_URL are both set: keep the one that your tokens are signed with';
  }
  if (secret !== undefined && Buffer.byteLength(secret) < MIN_SECRET_BYTES) {
    return `HUB_JWT_SECRET has ${Buffer.byteLength(secret)} bytes, few enough to be guessed from one token: give at least ${MIN_SECRET_BYTES} random ones, as from \`openssl rand -hex 32\``;
  }
  if (jwksUrl !== undefined && !isKeysUrl(jwksUrl)) {
    return 'HUB_JWKS_URL must be an https:// or http:// address without a user and password';
  }
  return adminToken === undefined ? undefined : faultOfAdminToken(adminToken);
}

function isKeysUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return (protocol === 'https:' || protocol === 'http:') && username === '' && password === '';
}

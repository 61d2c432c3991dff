/**
 * Jwt mode: checks a token against a secret or an issuer's keys, and its claims against the settings and the clock. The
 * operator's settings determine the algorithms; the token never does. Throws nothing: a bad setting is a problem that
 * stops the start, and a bad token is a refusal.
 */
import { createHash, createSecretKey } from 'node:crypto';
import {
  decodeProtectedHeader,
  errors,
  jwtVerify,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
} from 'jose';
import { fail, ok, type Result } from '../../shared/result.ts';
import type { Clock } from '../lib/time/clock.ts';
import type { Rate } from '../lib/time/token-bucket.ts';
import { refused, type Authenticator, type TokenFault, type Verdict } from './authenticator.ts';
import { identityOf, staticAdmin } from './identity.ts';
import { createStaticTokens, MAX_TOKEN_CHARS } from './static-tokens.ts';
import { createJwksKeys, KeysUnavailable, type IssuerKeys } from './jwks.ts';
import {
  expiredAt,
  faultOfSubject,
  KEY_ALGORITHMS,
  NOT_BEFORE_TOLERANCE_S,
  SECRET_ALGORITHMS,
  verdictOf,
} from './token-faults.ts';
import { createTokenMemory } from './token-memory.ts';
import { VerificationPace } from './verification-pace.ts';

/** The settings as given; undefined if not given. */
export interface JwtOptions {
  /** `HUB_JWT_SECRET`. Exclusive with `jwksUrl`. */
  readonly secret?: string | undefined;
  /** `HUB_JWKS_URL` */
  readonly jwksUrl?: string | undefined;
  readonly issuer?: string | undefined;
  readonly audience?: string | undefined;
  readonly adminToken?: string | undefined;
  readonly metricsToken?: string | undefined;
  /** How many bad tokens of one address are verified. */
  readonly badTokens: Rate;
  readonly clock: Clock;
  /**
   * Reports that the issuer's keys could not be fetched, for the log. Tokens may still be verified with the keys
   * already fetched.
   */
  readonly onKeysFailure?: (why: string) => void;
}

const MIN_SECRET_BYTES = 32;
/** The capacity of each of the two memories, for good and for bad tokens: 3 MB each when full. */
const MAX_REMEMBERED = 10_000;
/** Keys may be withdrawn in the meantime. A secret is valid as long as the process runs. */
const REMEMBER_WITH_KEYS_MS = 60_000;
/**
 * Avoids another verification if a client repeats its bad token. The verdict expires, because the fault may pass with
 * time.
 */
const REMEMBER_BAD_MS = 60_000;
/** These faults may pass when an issuer publishes another key. */
const FAULTS_OF_KEYS: ReadonlySet<TokenFault> = new Set(['key', 'signature']);

/** The problem names the setting. */
export function createJwtAuthenticator(options: JwtOptions): Result<Authenticator> {
  const problem = faultOf(options);
  if (problem !== undefined) return fail(problem);
  const { issuer, audience, clock } = options;
  const tokens = createStaticTokens(options.adminToken ?? null, options.metricsToken ?? null, staticAdmin);
  if (!tokens.ok) return tokens;
  const checkSignature = signatureCheckOf(options, {
    clockTolerance: NOT_BEFORE_TOLERANCE_S,
    ...(issuer !== undefined && { issuer }),
    ...(audience !== undefined && { audience }),
  });
  const goodOnes = createTokenMemory({
    capacity: MAX_REMEMBERED,
    forMs: options.secret === undefined ? REMEMBER_WITH_KEYS_MS : Infinity,
  });
  const badOnes = createTokenMemory({ capacity: MAX_REMEMBERED, forMs: REMEMBER_BAD_MS });
  const remember = (digest: string, verdict: Verdict): void => {
    if (verdict.ok) goodOnes.remember(digest, verdict, clock.now());
    else if (verdict.kind === 'refused' && (options.secret !== undefined || !FAULTS_OF_KEYS.has(verdict.fault)))
      badOnes.remember(digest, verdict, clock.now());
  };
  const pace = new VerificationPace(options.badTokens, clock);
  const check = async (token: string): Promise<Verdict> => {
    try {
      return judge(await checkSignature(token, new Date(clock.now().wallMs)), clock);
    } catch (error) {
      return verdictOf(error, token, options);
    }
  };
  return ok({
    withoutToken: null,
    verify: async (token, address) => {
      if (token.length > MAX_TOKEN_CHARS) return refused('length', `it has ${token.length} characters`);
      const identity = tokens.value(token);
      if (identity !== undefined) return { ok: true, identity };
      const digest = digestOf(token);
      const known = goodOnes.recall(digest, clock.now()) ?? badOnes.recall(digest, clock.now());
      if (known !== undefined) return known;
      const verdict = await pace.run(address, () => check(token));
      remember(digest, verdict);
      return verdict;
    },
  });
}

function judge(claims: JWTPayload, clock: Clock): Verdict {
  const identity = identityOf(claims);
  if (identity === undefined) return refused('subject', faultOfSubject(claims.sub));
  // Checked after the signature, because the key fetch may have taken time. A token without `exp` never expires.
  const { wallMs } = clock.now();
  const hasExpired = identity.expiresAtMs !== null && identity.expiresAtMs <= wallMs;
  return hasExpired ? refused('expired', expiredAt(identity.expiresAtMs, wallMs)) : { ok: true, identity };
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

/**
 * Checks a token with an issuer's keys. If no key fits, the token may be signed with a newer key, so it is refused only
 * if the keys were fetched after it arrived.
 */
async function checkWithKeys(token: string, keys: IssuerKeys, checks: JWTVerifyOptions): Promise<JWTPayload> {
  const { begun } = keys;
  try {
    return await verifyWithAny(token, keys.find, checks);
  } catch (error) {
    if (!mayBeOfNewKey(error, token)) throw error;
    const { hasChanged, isCertain, retryInMs } = await keys.renewFor(keyIdOf(token), begun);
    if (!hasChanged) throw isCertain ? error : new KeysUnavailable(retryInMs);
    try {
      return await verifyWithAny(token, keys.find, checks);
    } catch (again) {
      throw isCertain || !mayBeOfNewKey(again, token) ? again : new KeysUnavailable(retryInMs);
    }
  }
}

/** Verifies a token that names no key with each key that may fit, because an issuer has two keys during a rotation. */
async function verifyWithAny(token: string, find: JWTVerifyGetKey, checks: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, find, checks)).payload;
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

/**
 * Returns whether a newer key might fit the token. A token that names no key is tried with the known keys, so a missing
 * key shows as a wrong signature.
 */
function mayBeOfNewKey(error: unknown, token: string): boolean {
  if (error instanceof errors.JWKSNoMatchingKey) return true;
  return error instanceof errors.JWSSignatureVerificationFailed && decodeProtectedHeader(token).kid === undefined;
}

/** Returns an identifier of fixed length for the token's key. */
function keyIdOf(token: string): string {
  return digestOf(decodeProtectedHeader(token).kid ?? token);
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}

function faultOf({ secret, jwksUrl }: JwtOptions): string | undefined {
  if (secret === undefined && jwksUrl === undefined) {
    return 'HUB_AUTH is jwt, but there is no key to check tokens with: set HUB_JWT_SECRET or HUB_JWKS_URL';
  }
  if (secret !== undefined && jwksUrl !== undefined) {
    return 'HUB_JWT_SECRET and HUB_JWKS_URL are both set: keep the one that your tokens are signed with';
  }
  if (secret !== undefined && Buffer.byteLength(secret) < MIN_SECRET_BYTES) {
    return `HUB_JWT_SECRET has ${Buffer.byteLength(secret)} bytes, so it can be guessed from one token: give at least ${MIN_SECRET_BYTES} random bytes, for example from \`openssl rand -hex 32\``;
  }
  if (jwksUrl !== undefined && !isKeysUrl(jwksUrl)) {
    return 'HUB_JWKS_URL must be an https:// or http:// address without a user and password';
  }
  return undefined;
}

function isKeysUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return (protocol === 'https:' || protocol === 'http:') && username === '' && password === '';
}

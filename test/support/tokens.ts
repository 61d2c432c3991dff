/**
 * Tokens for hubs in jwt mode (settings `auth: 'jwt', jwtSecret: TEST_SECRET`), dated by the clock that the test moves.
 * Says nothing of what a token may do; a bad one is made by naming what is wrong with it.
 */
import { SignJWT } from 'jose';
import type { Scope } from '../../server/auth/identity.ts';
import type { Clock } from '../../server/lib/time/clock.ts';
import { TestClock } from './clock.ts';

export const TEST_SECRET = 'a secret for tests, of 32 bytes or more';

export interface TokenOptions {
  readonly scopes?: readonly Scope[];
  /** From now; may be negative; null for a token without `exp`. Default: an hour. */
  readonly expiresInS?: number | null;
  readonly notBeforeInS?: number;
  readonly audience?: string;
  readonly issuer?: string;
  /** The key it is signed with; another one than the hub's makes a forged token. */
  readonly secret?: string;
  /** The clock that defines now, for example the hub's; default: a clock that no test has moved yet. */
  readonly clock?: Clock;
}

/** A signed token; `user` is its `sub`, null for none. */
export function tokenFor(user: string | null, options: TokenOptions = {}): Promise<string> {
  const { scopes = [], expiresInS = 3600, notBeforeInS, audience, issuer, secret = TEST_SECRET } = options;
  const nowS = (options.clock ?? new TestClock()).now().wallMs / 1000;
  const jwt = new SignJWT({
    ...(scopes.length > 0 && { scope: scopes.join(' ') }),
    ...(expiresInS !== null && { exp: nowS + expiresInS }),
    ...(notBeforeInS !== undefined && { nbf: nowS + notBeforeInS }),
  }).setProtectedHeader({ alg: 'HS256' });
  if (user !== null) jwt.setSubject(user);
  if (audience !== undefined) jwt.setAudience(audience);
  if (issuer !== undefined) jwt.setIssuer(issuer);
  return jwt.sign(new TextEncoder().encode(secret));
}

/** A token that claims to need no signature. */
export function unsignedTokenFor(user: string, scopes: readonly Scope[] = []): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none', typ: 'JWT' })}.${part({ sub: user, scope: scopes.join(' ') })}.`;
}

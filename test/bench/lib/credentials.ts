/**
 * Tokens for runs against a hub in jwt mode. Whether there are any is in the environment, so that all processes of a
 * run agree. In open mode each function gives nothing. The secrets protect nothing: they are for hubs on loopback that
 * end with the run.
 */
import { createHmac } from 'node:crypto';

export type AuthMode = 'open' | 'jwt';

const VARIABLE = 'LOAD_AUTH';
const SECRET = 'a secret for load runs, of 32 bytes or more';
const ADMIN_TOKEN = 'the-admin-token-of-load-runs';
const LIFETIME_S = 86_400;

/** For all processes that are started from now on, too. */
export function chooseAuth(mode: string): void {
  if (mode !== 'open' && mode !== 'jwt') throw new Error(`--auth: must be open or jwt, not ${mode}`);
  process.env[VARIABLE] = mode;
}

/** The settings of a hub that takes these tokens. */
export function authSettings(): Readonly<Record<string, string>> {
  return hasTokens() ? { HUB_AUTH: 'jwt', HUB_JWT_SECRET: SECRET, HUB_ADMIN_TOKEN: ADMIN_TOKEN } : {};
}

/** The field `token` of a hello, or no field. */
export function tokenField(user: string | null): { readonly token?: string } {
  const token = tokenOf(user);
  return token === undefined ? {} : { token };
}

/** A token of that user; null: one with the scope `observe`. */
export function tokenOf(user: string | null): string | undefined {
  if (!hasTokens()) return undefined;
  const exp = Math.floor(Date.now() / 1000) + LIFETIME_S;
  const claims = user === null ? { scope: 'observe', exp } : { sub: user, exp };
  const signed = [{ alg: 'HS256' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'));
  const signature = createHmac('sha256', SECRET).update(signed.join('.')).digest('base64url');
  return [...signed, signature].join('.');
}

/** The header of the generator's requests that are not part of the load. */
export function adminHeader(): { readonly authorization?: string } {
  return hasTokens() ? { authorization: `Bearer ${ADMIN_TOKEN}` } : {};
}

function hasTokens(): boolean {
  return process.env[VARIABLE] === 'jwt';
}

/**
 * The port through which every door asks who a token makes its bearer, and the two open modes behind it (jwt mode is in
 * jwt-authenticator.ts). Knows no wire and no route: callers answer a refusal with the one sentence for it and keep `why`
 * for the log.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { ExplainRefusal } from '../lib/refusal-log.ts';
import { everyone, everyoneButAdmin, type Identity } from './identity.ts';

export type Verdict = { readonly ok: true; readonly identity: Identity } | Refused | Undecided;

/** The token is not good (401, 4401). */
interface Refused {
  readonly ok: false;
  readonly kind: 'refused';
  readonly fault: TokenFault;
  readonly why: string;
}

/** The token cannot be judged now (503, 1013): it is not refused. */
export interface Undecided {
  readonly ok: false;
  readonly kind: 'unavailable';
  /**
   * `keys`: the keys that would check it cannot be fetched now; `early`: it is not valid yet; `busy`: it was not verified,
   * because too many bad tokens came from its address.
   */
  readonly fault: 'keys' | 'early' | 'busy';
  readonly why: string;
  /** Another attempt after this time may be decided; above 0. */
  readonly retryInMs: number;
}

/** What is wrong with a token that is refused. */
export type TokenFault =
  | 'admin'
  | 'length'
  | 'form'
  | 'algorithm'
  | 'key'
  | 'signature'
  | 'expired'
  | 'nbf'
  | 'issuer'
  | 'audience'
  | 'subject';

export interface Authenticator {
  /** Who comes without a token; null where a token is asked for. */
  readonly withoutToken: Identity | null;
  /**
   * Never rejects. `address`: the client's, which is charged if the token is bad. `why` is for the hub's log alone, and holds
   * nothing of the token.
   */
  verify(token: string, address: string): Promise<Verdict>;
}

/** Made, or the sentence that stops the start: it names the setting. */
export type Made =
  { readonly ok: true; readonly authenticator: Authenticator } | { readonly ok: false; readonly problem: string };

/** What a client is told, whatever was wrong: which check failed would help nobody but a forger. */
export const REFUSAL = 'the token is missing, wrong or has run out';
export const UNDECIDED = {
  keys: 'the token can’t be checked at the moment: try again',
  early: 'the token is not valid yet: try again',
  busy: 'too many bad tokens came from your address: try again later',
} as const satisfies Record<Undecided['fault'], string>;

/** Longer ones are refused unread: jose would decode and parse them first. Real tokens are 0.2 to 2 KiB. */
export const MAX_TOKEN_CHARS = 8192;

/** `HUB_AUTH=open` without an admin token: everyone is admin, whatever token they bring. */
export const openAuthenticator: Authenticator = {
  withoutToken: everyone,
  verify: async () => ({ ok: true, identity: everyone }),
};

/** `HUB_AUTH=open` with `HUB_ADMIN_TOKEN`: open but for what is an admin's; a token that is not that one is refused. */
export function createOpenWithAdmin(adminToken: string): Made {
  const problem = faultOfAdminToken(adminToken);
  if (problem !== undefined) return { ok: false, problem };
  const isAdminToken = createTokenMatcher(adminToken);
  const authenticator: Authenticator = {
    withoutToken: everyoneButAdmin,
    verify: async (token) =>
      isAdminToken(token) ? { ok: true, identity: everyone } : refused('admin', 'it is not HUB_ADMIN_TOKEN'),
  };
  return { ok: true, authenticator };
}

/** The same, and explains to the operator why tokens are not taken. */
export function explaining(authenticator: Authenticator, explain: ExplainRefusal): Authenticator {
  return {
    withoutToken: authenticator.withoutToken,
    verify: async (token, address) => {
      const verdict = await authenticator.verify(token, address);
      if (!verdict.ok) {
        const what = verdict.kind === 'refused' ? 'a token was refused' : 'a token can’t be judged yet';
        explain(verdict.fault, `${what}: ${verdict.why}`);
      }
      return verdict;
    },
  };
}

export function refused(fault: TokenFault, why: string): Verdict {
  return { ok: false, kind: 'refused', fault, why };
}

/** What is wrong with an admin token as a setting, if anything. */
export function faultOfAdminToken(adminToken: string): string | undefined {
  // What else there is can't be sent in a header, or would be trimmed off its ends.
  if (/^[\x21-\x7e]{16,1024}$/.test(adminToken)) return undefined;
  return 'HUB_ADMIN_TOKEN must be 16 to 1024 visible ASCII characters without spaces: give a random one, as from `openssl rand -hex 32`';
}

/** Compares by digest: equal lengths for timingSafeEqual, and the time tells nothing of the token's own. */
export function createTokenMatcher(expected: string): (token: string) => boolean {
  const digest = digestOf(expected);
  return (token) => token.length <= MAX_TOKEN_CHARS && timingSafeEqual(digestOf(token), digest);
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/** The token of an `Authorization` header; undefined where there is none, or it is of another scheme. */
export function readBearer(header: string | undefined): string | undefined {
  const match = /^bearer +(\S.*)$/is.exec(header?.trim() ?? '');
  return match?.[1];
}

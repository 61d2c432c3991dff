/**
 * The port through which every adapter turns a token into an identity, and the two open modes (jwt mode is in
 * jwt-authenticator.ts). Knows no wire format and no route. A client gets the same sentence for every refusal; `why` is
 * for the log.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { fail, ok, type Result } from '../../shared/result.ts';
import type { ExplainRefusal } from '../lib/log/refusal-log.ts';
import { everyone, everyoneButAdmin, type Identity } from './identity.ts';

export type Verdict = { readonly ok: true; readonly identity: Identity } | Refused | Undecided;

/** The token is bad (401, 4401). */
interface Refused {
  readonly ok: false;
  readonly kind: 'refused';
  readonly fault: TokenFault;
  readonly why: string;
}

/** The token cannot be judged now (503, 1013), so it is not refused. */
export interface Undecided {
  readonly ok: false;
  readonly kind: 'unavailable';
  /**
   * `keys`: the keys that would check it cannot be fetched now. `early`: it is not valid yet. `busy`: it was not
   * verified, because too many bad tokens came from its address.
   */
  readonly fault: 'keys' | 'early' | 'busy';
  readonly why: string;
  /** An attempt after this time may be decided. Above 0. */
  readonly retryInMs: number;
}

/** Why a token is refused. */
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
  /** The identity of a client without a token; null if a token is required. */
  readonly withoutToken: Identity | null;
  /**
   * Never rejects. `address` is the client's, which is charged if the token is bad. `why` is for the hub's log only and
   * contains nothing of the token.
   */
  verify(token: string, address: string): Promise<Verdict>;
}

/** The client's message for any bad token, because the name of the failed check would help only a forger. */
export const REFUSAL = 'the token is missing, wrong or has expired';
export const UNDECIDED = {
  keys: 'the token can’t be checked at the moment: try again',
  early: 'the token is not valid yet: try again',
  busy: 'too many bad tokens came from your address: try again later',
} as const satisfies Record<Undecided['fault'], string>;

/** Longer tokens are refused unread, because jose would decode and parse them first. Real tokens have 0.2 to 2 KiB. */
export const MAX_TOKEN_CHARS = 8192;

/** `HUB_AUTH=open` without an admin token: every client is admin, whatever token it sends. */
export const openAuthenticator: Authenticator = {
  withoutToken: everyone,
  verify: async () => ({ ok: true, identity: everyone }),
};

/**
 * `HUB_AUTH=open` with `HUB_ADMIN_TOKEN`: open, except for what needs an admin. Any other token is refused. The problem
 * names the setting.
 */
export function createOpenWithAdmin(adminToken: string): Result<Authenticator> {
  const problem = faultOfAdminToken(adminToken);
  if (problem !== undefined) return fail(problem);
  const isAdminToken = createTokenMatcher(adminToken);
  return ok({
    withoutToken: everyoneButAdmin,
    verify: async (token) =>
      isAdminToken(token) ? { ok: true, identity: everyone } : refused('admin', 'it is not HUB_ADMIN_TOKEN'),
  });
}

/** Wraps an authenticator and explains to the operator why tokens are refused. */
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

export function faultOfAdminToken(adminToken: string): string | undefined {
  // Other characters cannot be sent in a header, or would be trimmed at its ends.
  if (/^[\x21-\x7e]{16,1024}$/.test(adminToken)) return undefined;
  return 'HUB_ADMIN_TOKEN must be 16 to 1024 visible ASCII characters without spaces: give a random one, as from `openssl rand -hex 32`';
}

/** Compares digests: `timingSafeEqual` needs equal lengths, and the time reveals nothing about the token. */
export function createTokenMatcher(expected: string): (token: string) => boolean {
  const digest = digestOf(expected);
  return (token) => token.length <= MAX_TOKEN_CHARS && timingSafeEqual(digestOf(token), digest);
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/** Returns the token of an `Authorization` header; undefined if there is none or it has another scheme. */
export function readBearer(header: string | undefined): string | undefined {
  const match = /^bearer +(\S.*)$/is.exec(header?.trim() ?? '');
  return match?.[1];
}

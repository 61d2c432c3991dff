/**
 * The port through which every adapter turns a token into an identity, and the two open modes (jwt mode is in
 * jwt-authenticator.ts). Knows no wire format and no route. A client gets the same sentence for every refusal; `why` is
 * for the log.
 */
import { ok, type Result } from '../../shared/result.ts';
import type { ExplainRefusal } from '../lib/log/refusal-log.ts';
import { everyone, everyoneButAdmin, everyoneButMetrics, type Identity } from './identity.ts';
import { createStaticTokens } from './static-tokens.ts';

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
  /** The identity of a client without a token; null if a token is required. A reload of the settings may change it. */
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
  keys: 'the token cannot be checked now: try again',
  early: 'the token is not valid yet: try again',
  busy: 'too many bad tokens came from your address: try again later',
} as const satisfies Record<Undecided['fault'], string>;

/** `HUB_AUTH=open` without a token in the settings: every client is admin, whatever token it sends. */
export const openAuthenticator: Authenticator = {
  withoutToken: everyone,
  verify: async () => ({ ok: true, identity: everyone }),
};

/**
 * `HUB_AUTH=open` with tokens in the settings. With `HUB_ADMIN_TOKEN`: open, except for what needs an admin, and any
 * other token is refused. With `HUB_METRICS_TOKEN` alone: open, except for the metrics.
 */
export function createOpenWithTokens(adminTokens: string | null, metricsTokens: string | null): Result<Authenticator> {
  const tokens = createStaticTokens(adminTokens, metricsTokens, everyone);
  if (!tokens.ok) return tokens;
  const withoutToken = adminTokens === null ? everyoneButMetrics : everyoneButAdmin;
  return ok({
    withoutToken,
    verify: async (token) => {
      const identity = tokens.value(token) ?? (adminTokens === null ? withoutToken : undefined);
      return identity === undefined ? refused('admin', 'it is not HUB_ADMIN_TOKEN') : { ok: true, identity };
    },
  });
}

/** Wraps an authenticator and explains to the operator why tokens are refused. */
export function explaining(authenticator: Authenticator, explain: ExplainRefusal): Authenticator {
  return {
    get withoutToken() {
      return authenticator.withoutToken;
    },
    verify: async (token, address) => {
      const verdict = await authenticator.verify(token, address);
      if (!verdict.ok) {
        const what = verdict.kind === 'refused' ? 'token rejected' : 'token cannot be checked now';
        explain(verdict.fault, `${what}: ${verdict.why}`);
      }
      return verdict;
    },
  };
}

export function refused(fault: TokenFault, why: string): Verdict {
  return { ok: false, kind: 'refused', fault, why };
}

/** Returns the token of an `Authorization` header; undefined if there is none or it has another scheme. */
export function readBearer(header: string | undefined): string | undefined {
  const match = /^bearer +(\S.*)$/is.exec(header?.trim() ?? '');
  return match?.[1];
}

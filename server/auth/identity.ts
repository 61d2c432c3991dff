/**
 * An identity: a user or none, the scopes, and the time of expiry. Reads the claims of a token whose signature is
 * already verified. What an identity may do is decided in policy.ts.
 */
import { isUserId } from '../../shared/ids.ts';
import type { Viewer } from '../presence/viewer.ts';

/** `metrics` reads only the metrics, `roster` edits friend lists, and `read` reads what an admin may read. */
export const scopes = ['observe', 'admin', 'metrics', 'roster', 'read'] as const;
export type Scope = (typeof scopes)[number];

export interface Identity {
  /** The token's `sub`; null if the identity is not a user: an observer, an operator, or any client in open mode. */
  readonly user: string | null;
  readonly scopes: ReadonlySet<Scope>;
  /**
   * The wall-clock time at which everything that the identity opened must end; null for never. May exceed the range of
   * a timer.
   */
  readonly expiresAtMs: number | null;
  /** The hub asks for no identity: a client may send presence for any user. */
  readonly isOpen: boolean;
  /** Names the token in the audit log: its `sub`, or the setting and its position. Undefined without a token. */
  readonly tokenName?: string;
}

/** Any client in open mode. */
export const everyone: Identity = {
  user: null,
  scopes: new Set<Scope>(['observe', 'admin', 'metrics']),
  expiresAtMs: null,
  isOpen: true,
};

/** A client without the admin token, in open mode with one set. */
export const everyoneButAdmin: Identity = { ...everyone, scopes: new Set<Scope>(['observe']) };

/** A client without a token, in open mode with only a metrics token set. */
export const everyoneButMetrics: Identity = { ...everyone, scopes: new Set<Scope>(['observe', 'admin']) };

/** The holder of a metrics token, in any mode. */
export const metricsReader: Identity = {
  user: null,
  scopes: new Set<Scope>(['metrics']),
  expiresAtMs: null,
  isOpen: false,
};

/** The holder of the admin token in jwt mode, which is not a user. */
export const staticAdmin: Identity = {
  user: null,
  scopes: new Set<Scope>(['admin']),
  expiresAtMs: null,
  isOpen: false,
};

/**
 * Returns the viewer for this identity. In open mode, blocks apply to `claimed`, the user that a hello names. Blocks do
 * not apply to an admin, nor to the scope `read`.
 */
export function viewerOf({ user, scopes, isOpen }: Identity, claimed?: string): Viewer {
  const isAdmin = scopes.has('admin');
  const known = isAdmin || scopes.has('read') ? null : user;
  return { user: isOpen ? (claimed ?? null) : known, isAdmin, follower: user, mayObserve: scopes.has('observe') };
}

export type Claims = Readonly<Record<string, unknown>>;

/** Returns the identity of verified claims; undefined if they name neither a user nor a known scope. */
export function identityOf(claims: Claims): Identity | undefined {
  const { sub, exp } = claims;
  // A service's `sub` need not be a user id ("auth0|…"). With a scope, its identity has no user.
  const user = typeof sub === 'string' && isUserId(sub) ? sub : null;
  const granted = scopesOf(claims);
  if (user === null && granted.size === 0) return undefined;
  const expiresAtMs = typeof exp === 'number' ? instantOf(exp) : null;
  return { user, scopes: granted, expiresAtMs, isOpen: false, tokenName: typeof sub === 'string' ? sub : 'no sub' };
}

/**
 * `scope` is a text by RFC 8693. Issuers also write `scopes` or `scp`, as a list or a text. Unknown scopes are ignored.
 */
function scopesOf(claims: Claims): ReadonlySet<Scope> {
  const words = [claims['scope'], claims['scopes'], claims['scp']].flatMap((claim): unknown[] =>
    typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : [],
  );
  return new Set(words.filter((word): word is Scope => scopes.includes(word as Scope)));
}

/** Seconds may have a fraction, and JSON allows numbers beyond the range of dates. */
function instantOf(seconds: number): number {
  return Math.min(Math.floor(seconds * 1000), Number.MAX_SAFE_INTEGER);
}

/**
 * Who somebody is: a user or nobody in particular, the scopes it holds, and until when. Reads the claims of a token whose
 * signature somebody else has checked; decides nothing about what an identity may do (policy.ts does).
 */
import { isUserId } from '../../shared/ids.ts';
import type { Viewer } from '../presence/viewer.ts';

export type Scope = 'observe' | 'admin';

export interface Identity {
  /** The token's `sub`; null for one who is no user: an observer, an operator, anybody in open mode. */
  readonly user: string | null;
  readonly scopes: ReadonlySet<Scope>;
  /** By the wall clock, when what it opened must end; null for never. May lie further ahead than a timer can count. */
  readonly expiresAtMs: number | null;
  /** The hub asks nobody who it is: whoever comes may say of any user that it is there. */
  readonly isOpen: boolean;
}

/** Anybody, in open mode. */
export const everyone: Identity = {
  user: null,
  scopes: new Set<Scope>(['observe', 'admin']),
  expiresAtMs: null,
  isOpen: true,
};

/** Anybody without the admin token, in open mode with one set. */
export const everyoneButAdmin: Identity = { ...everyone, scopes: new Set<Scope>(['observe']) };

/** Whoever holds the admin token, in jwt mode: no user of its own. */
export const staticAdmin: Identity = {
  user: null,
  scopes: new Set<Scope>(['admin']),
  expiresAtMs: null,
  isOpen: false,
};

/**
 * Who looks, when this identity does. In open mode `claimed` (the user that a hello names) is whom blocks hold against;
 * they hold against no admin.
 */
export function viewerOf({ user, scopes, isOpen }: Identity, claimed?: string): Viewer {
  const isAdmin = scopes.has('admin');
  const known = isAdmin ? null : user;
  return { user: isOpen ? (claimed ?? null) : known, isAdmin, follower: user, mayObserve: scopes.has('observe') };
}

export type Claims = Readonly<Record<string, unknown>>;

/** The identity that verified claims speak of; undefined where they name neither a user nor a scope of ours. */
export function identityOf(claims: Claims): Identity | undefined {
  const { sub, exp } = claims;
  // A service's `sub` need not be a user id ("auth0|…"): with a scope it just is no user.
  const user = typeof sub === 'string' && isUserId(sub) ? sub : null;
  const scopes = scopesOf(claims);
  if (user === null && scopes.size === 0) return undefined;
  return { user, scopes, expiresAtMs: typeof exp === 'number' ? instantOf(exp) : null, isOpen: false };
}

/** `scope` is a text by RFC 8693; issuers also write `scopes` or `scp`, as a list or a text. Unknown ones mean nothing. */
function scopesOf(claims: Claims): ReadonlySet<Scope> {
  const words = [claims['scope'], claims['scopes'], claims['scp']].flatMap((claim): unknown[] =>
    typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : [],
  );
  return new Set(words.filter((word): word is Scope => word === 'observe' || word === 'admin'));
}

/** Seconds may have a fraction, and JSON knows numbers beyond any calendar. */
function instantOf(seconds: number): number {
  return Math.min(Math.floor(seconds * 1000), Number.MAX_SAFE_INTEGER);
}

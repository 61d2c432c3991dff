/**
 * What an identity may do: one question for each row of the contract's "Who may" and for watches. Pure. Never checks
 * whether a user exists, so that a refusal does not reveal it.
 */
import type { Identity } from './identity.ts';

/** Returns whether `other` is in the friend list of `user`. */
export type IsFriend = (user: string, other: string) => boolean;

/**
 * Permission to be `user` on a connection (hello, a TCP frame). An admin token does not give it, because the token's
 * `sub` is the user of a connection.
 */
export function mayClaim(identity: Identity, user: string): boolean {
  return identity.isOpen || isSelf(identity, user);
}

/** Permission to send a heartbeat for `user` over HTTP. */
export function mayHeartbeat(identity: Identity, user: string): boolean {
  return mayClaim(identity, user) || mayAdmin(identity);
}

/**
 * Permission to watch a user's friends and follow the list: for the owner, or with `observe`. `admin` alone reads over
 * HTTP only.
 */
export function mayWatchFriendsOf(identity: Identity, owner: string): boolean {
  return isSelf(identity, owner) || mayWatchAnyone(identity);
}

export function mayWatchAnyone(identity: Identity): boolean {
  return identity.scopes.has('observe');
}

/** Permission to watch all of these users by id. If one is not allowed, the whole watch is refused. */
export function mayWatchUsers(identity: Identity, users: readonly string[], isFriend: IsFriend): boolean {
  return mayWatchAnyone(identity) || users.every((user) => isSelfOrFriend(identity, user, isFriend));
}

/** The user whose friend list `mayWatchUsers` asks about; null if it asks about none. */
export function askedForWatch(identity: Identity): string | null {
  return mayWatchAnyone(identity) ? null : identity.user;
}

/** The user whose friend list `mayReadPresence` asks about; null if it asks about none. */
export function askedForPresence(identity: Identity): string | null {
  return mayReadAll(identity) ? null : askedForWatch(identity);
}

/** Permission to read the entries of all these users over HTTP. If one is not allowed, the whole request is refused. */
export function mayReadPresence(identity: Identity, users: readonly string[], isFriend: IsFriend): boolean {
  return mayReadAll(identity) || mayWatchUsers(identity, users, isFriend);
}

/** Permission to read the entries of a user's friends over HTTP. */
export function mayReadFriendsPresence(identity: Identity, owner: string): boolean {
  return mayReadAll(identity) || mayWatchFriendsOf(identity, owner);
}

/** Permission to read a friend list over HTTP. */
export function mayReadFriends(identity: Identity, owner: string): boolean {
  return mayReadFriendsPresence(identity, owner) || identity.scopes.has('roster');
}

/** Permission to list and count all present users. In open mode with an admin token, it needs that token. */
export function mayList(identity: Identity): boolean {
  return mayReadAll(identity) || (mayWatchAnyone(identity) && !identity.isOpen);
}

/** An edit of a friend list: `drop` ends one friendship; `change` is any other edit (add, replace, import). */
export type FriendEdit = 'drop' | 'change';

/**
 * Permission to edit a friend list. In open mode with an admin token, even a drop needs that token, because an identity
 * without it is not a user.
 */
export function mayEditFriends(identity: Identity, owner: string, edit: FriendEdit): boolean {
  return mayEditLists(identity) || (edit === 'drop' && isSelf(identity, owner));
}

/** Permission for any edit of any friend list. */
export function mayEditLists(identity: Identity): boolean {
  return mayAdmin(identity) || identity.scopes.has('roster');
}

export function mayBlock(identity: Identity, user: string): boolean {
  return mayHeartbeat(identity, user);
}

/**
 * Permission for the rows marked (admin), for what only an admin is shown (addresses, a hidden `lastSeen`), and for
 * what no row names.
 */
export function mayAdmin(identity: Identity): boolean {
  return identity.scopes.has('admin');
}

/** Permission for every GET that an admin may do. */
export function mayReadAll(identity: Identity): boolean {
  return mayAdmin(identity) || identity.scopes.has('read');
}

/**
 * Permission to read all that is known of a user, with the times of every change. With HUB_LAST_SEEN=hide, these are for
 * admins only.
 */
export function mayExplain(identity: Identity, hidesLastSeen: boolean): boolean {
  return mayAdmin(identity) || (mayReadAll(identity) && !hidesLastSeen);
}

/** Permission to read everything that is stored of a user: for the user itself, and for readers of everything. */
export function mayExport(identity: Identity, user: string, hidesLastSeen: boolean): boolean {
  return isSelf(identity, user) || mayExplain(identity, hidesLastSeen);
}

/** Permission to read the history of a user. In open mode with an admin token, it needs that token. */
export function mayReadHistory(identity: Identity, user: string, hidesLastSeen: boolean): boolean {
  if (isSelf(identity, user) || mayExplain(identity, hidesLastSeen)) return true;
  return !hidesLastSeen && mayWatchAnyone(identity) && !identity.isOpen;
}

/** In open mode, the metrics may need a token although everyone is admin (HUB_METRICS_TOKEN). */
export function mayReadMetrics(identity: Identity): boolean {
  return identity.scopes.has('metrics') || (mayReadAll(identity) && !identity.isOpen);
}

function isSelfOrFriend(identity: Identity, user: string, isFriend: IsFriend): boolean {
  return isSelf(identity, user) || (identity.user !== null && isFriend(identity.user, user));
}

function isSelf(identity: Identity, user: string): boolean {
  return identity.user === user;
}

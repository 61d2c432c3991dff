/**
 * What an identity may do: one question for each row of the contract's "Who may" and for watches, answered from the
 * identity and who is whose friend. Pure. Never asks whether a user exists, so a refusal can't tell. Called by whoever
 * answers a request: adapters and api.
 */
import type { Identity } from './identity.ts';

/** Whether `other` is in the friend list of `user`. */
export type IsFriend = (user: string, other: string) => boolean;

/** To be `user` on a connection (hello, a TCP frame). Not even an admin's: there, the token's `sub` is the user. */
export function mayClaim(identity: Identity, user: string): boolean {
  return identity.isOpen || isSelf(identity, user);
}

/** To send a heartbeat for `user` over HTTP. */
export function mayHeartbeat(identity: Identity, user: string): boolean {
  return mayClaim(identity, user) || mayAdmin(identity);
}

/** To watch a user's friends, following the list: one's own, or with `observe`. `admin` alone reads over HTTP only. */
export function mayWatchFriendsOf(identity: Identity, owner: string): boolean {
  return isSelf(identity, owner) || mayWatchAnyone(identity);
}

/** To watch whomever, without a look at who it is. */
export function mayWatchAnyone(identity: Identity): boolean {
  return identity.scopes.has('observe');
}

/** To watch these users by id: all of them, or the watch is refused whole. */
export function mayWatchUsers(identity: Identity, users: readonly string[], isFriend: IsFriend): boolean {
  return mayWatchAnyone(identity) || users.every((user) => isSelfOrFriend(identity, user, isFriend));
}

/** To read the entries of these users over HTTP: all of them, or the request is refused whole. */
export function mayReadPresence(identity: Identity, users: readonly string[], isFriend: IsFriend): boolean {
  return mayAdmin(identity) || mayWatchUsers(identity, users, isFriend);
}

/** To read a friend list over HTTP, or the entries of those in it. */
export function mayReadFriends(identity: Identity, owner: string): boolean {
  return mayAdmin(identity) || mayWatchFriendsOf(identity, owner);
}

/** What is done to a friend list: `drop` ends one friendship, `change` is all else (add, replace, import). */
export type FriendEdit = 'drop' | 'change';

/** To edit a friend list. Open mode with an admin token keeps even a drop for the admin: there nobody is `user`. */
export function mayEditFriends(identity: Identity, owner: string, edit: FriendEdit): boolean {
  return mayAdmin(identity) || (edit === 'drop' && isSelf(identity, owner));
}

/** To set or lift a block of `user` against another. */
export function mayBlock(identity: Identity, user: string): boolean {
  return mayHeartbeat(identity, user);
}

/** The rows marked (admin), what only an admin is shown (addresses, a hidden `lastSeen`), and all that no row names. */
export function mayAdmin(identity: Identity): boolean {
  return identity.scopes.has('admin');
}

export function mayReadMetrics(identity: Identity): boolean {
  return mayAdmin(identity);
}

function isSelfOrFriend(identity: Identity, user: string, isFriend: IsFriend): boolean {
  return isSelf(identity, user) || (identity.user !== null && isFriend(identity.user, user));
}

function isSelf(identity: Identity, user: string): boolean {
  return identity.user === user;
}

/**
 * The roster: friend lists as data. An edge `user -> friend` means that `user` sees `friend` in its list. `Roster` is what
 * the hub reads, wherever the lists are stored. `ListEdits` is how it changes them. `StoredRoster` is a roster in the
 * hub's own files, which `RosterEdits` edits in parts.
 *
 * Reads are synchronous, so that a list is read and acted on in one step. Whoever reads the list of a user waits for
 * `load` first. A roster in the hub's own files has nothing to load.
 */

/** One change of friend lists. Times are hub-clock milliseconds. */
export type RosterEdit =
  /** Adds edges that do not exist. */
  | { readonly kind: 'add'; readonly edges: readonly Edge[] }
  /** Ends edges that exist. */
  | { readonly kind: 'remove'; readonly edges: readonly Edge[] }
  /**
   * Makes `friends` the whole list of `user`. With `mutual`, kept and added friends follow back, and dropped ones stop.
   */
  | { readonly kind: 'replace'; readonly user: string; readonly friends: readonly string[]; readonly mutual: boolean };

export interface Edge {
  readonly user: string;
  readonly friend: string;
}

/** What an edit changed. Leaves out added edges that already existed, and removed ones that did not. */
export interface RosterChange {
  readonly added: readonly Edge[];
  readonly removed: readonly Edge[];
}

/** Work in parts. Yields the cost of each part, in rows, before the part. */
export type Parts<T> = Generator<number, T>;

/** Changes of one list since an instant. */
export interface ListChanges {
  /** Current friends whose edge was made after the instant. */
  readonly added: readonly string[];
  /** Former friends whose edge ended after the instant. */
  readonly removed: readonly string[];
}

/** An answer that may take a while. */
export type Maybe<T> = T | Promise<T>;

export interface Roster {
  /**
   * Makes the lists of these users readable. @returns a promise to wait for before they are read; undefined if they are
   * readable now. Rejects with `StorageUnavailable`.
   */
  load(users: readonly string[]): Promise<void> | undefined;
  /** The friends of a user, sorted by code unit; empty for an unknown user. */
  friendsOf(user: string): readonly string[];
  /** Whether `friend` is in the list of `user`. */
  follows(user: string, friend: string): boolean;
  /** Changes of the list since an instant; undefined if they are not known back to that instant. */
  changesSince(user: string, sinceMs: number): ListChanges | undefined;
  /** Users who have this user in their list, sorted, after that id. Where they are not known, none. */
  followersAfter(user: string, after: string, limit: number): Maybe<readonly string[]>;
}

/** What an edit changed, or whose list it would have made too long. In the second case nothing has changed. */
export type Edited = { readonly added: number; readonly removed: number } | { readonly full: string };

/** Edits of friend lists. Each takes effect as a whole or not at all, and its watchers are notified before it resolves. */
export interface ListEdits {
  /**
   * Commits an edit and notifies its watchers. Refuses it if a list would become longer than HUB_MAX_FRIENDS. A list
   * that is already too long may shrink or stay. Rejects with `StorageUnavailable`, and then nothing has changed.
   */
  edit(edit: RosterEdit): Promise<Edited>;
  /**
   * Ends all friendships of a user in both directions, forgets that they ever were, and then runs `then`, all before the
   * next edit. Rejects with `StorageUnavailable`; some friendships may have ended then.
   */
  erase<T>(user: string, then: () => Promise<T>): Promise<T>;
  /** Reads the list of a user again, in case it was changed elsewhere. Rejects with `StorageUnavailable`. */
  refresh(user: string): Promise<void>;
  stop(): void;
}

/**
 * A roster in the hub's own files. Edges are durable before `edit` returns: they survive the end of the process. With
 * HUB_SQLITE_SYNC=full they also survive a power cut; with `normal`, a power cut may lose the last ones. An edge keeps
 * the time at which it was made. When it ends, it leaves a tombstone for a day.
 */
export interface StoredRoster extends Roster {
  followersAfter(user: string, after: string, limit: number): readonly string[];
  /**
   * A user whose list the edit would make longer than `maxFriends`. A list that is already too long may shrink or stay.
   */
  overfull(edit: RosterEdit, maxFriends: number): string | undefined;
  /** Like `overfull`, in parts. */
  overfullInParts(edit: RosterEdit, maxFriends: number): Parts<string | undefined>;
  /**
   * Commits one edit with the time `atMs`, and returns what it changed. If storage fails, throws, and nothing has
   * changed.
   */
  edit(edit: RosterEdit, atMs: number): RosterChange;
  /**
   * Like `edit`, in parts. When it ends, the edit is durable as a whole, and every answer is as if all its rows were
   * stored. Rows of a large edit may still be missing. `settleInParts` must store them before the next edit.
   */
  editInParts(edit: RosterEdit, atMs: number): Parts<RosterChange>;
  /** Whether rows of the last edit are still to be stored. */
  readonly isUnsettled: boolean;
  /**
   * Stores the remaining rows of the last edit, each part in one transaction. Throws if storage fails; it may then be
   * called again.
   */
  settleInParts(): Parts<void>;
  /**
   * Deletes a bounded number of tombstones from more than a day before `nowMs`, the oldest first. Returns whether some
   * are left.
   */
  forgetTombstones(nowMs: number): boolean;
  /** Some of the edges of a user in both directions, few enough for one part of an edit; empty if there are none. */
  edgesOf(user: string): readonly Edge[];
  /**
   * Deletes a bounded number of tombstones that name the user. Changes since an instant before `atMs` are unknown from
   * then on, for all lists. Returns whether some may be left.
   */
  eraseTombstones(user: string, atMs: number): boolean;
}

/** How long a removed edge is remembered. */
export const TOMBSTONE_MS = 24 * 60 * 60 * 1000;

/**
 * The roster: who follows whom, as data. An edge `user -> friend` means that `user` sees `friend` in its list.
 * Edges are durable before `edit` returns: they survive the end of the process, and with HUB_SQLITE_SYNC=full a power cut
 * too, which with normal may take the last ones. They keep the time they were made, and leave a tombstone for a day when
 * they end.
 */

/** One change of the graph. Times are hub-clock milliseconds. */
export type RosterEdit =
  /** Adds edges that are not there. */
  | { readonly kind: 'add'; readonly edges: readonly Edge[] }
  /** Ends edges that are there. */
  | { readonly kind: 'remove'; readonly edges: readonly Edge[] }
  /** Makes `friends` the whole list of `user`; with `mutual`, those kept or added follow back, and those dropped stop. */
  | { readonly kind: 'replace'; readonly user: string; readonly friends: readonly string[]; readonly mutual: boolean };

export interface Edge {
  readonly user: string;
  readonly friend: string;
}

/** What an edit really changed: edges that were there already, or were not, are not in it. */
export interface RosterChange {
  readonly added: readonly Edge[];
  readonly removed: readonly Edge[];
}

/** Work in parts: yields, before each part, what it costs in rows. */
export type Parts<T> = Generator<number, T>;

/** What happened to one list after an instant. */
export interface ListChanges {
  /** Friends now, whose edge was made after that instant. */
  readonly added: readonly string[];
  /** Friends no longer, whose edge ended after that instant. */
  readonly removed: readonly string[];
}

export interface Roster {
  /** The friends of a user, sorted by code unit; empty for one never heard of. */
  friendsOf(user: string): readonly string[];
  /** Whether `friend` is in the list of `user`. */
  follows(user: string, friend: string): boolean;
  /** A user whose list the edit would make longer than `maxFriends`; one that is too long already may shrink or stay. */
  overfull(edit: RosterEdit, maxFriends: number): string | undefined;
  /** Changes of the list since an instant; undefined where that is longer ago than tombstones are kept. */
  changesSince(user: string, sinceMs: number): ListChanges | undefined;
  /** The same in parts. */
  overfullInParts(edit: RosterEdit, maxFriends: number): Parts<string | undefined>;
  /** Commits one edit made at `atMs` and says what it changed. Throws if storage can't take it: nothing has changed then. */
  edit(edit: RosterEdit, atMs: number): RosterChange;
  /**
   * The same in parts. From its end on the edit is durable as a whole, and every answer is as if all its rows were stored. Those
   * of a large edit may still be missing: `settleInParts` stores them, before the next edit.
   */
  editInParts(edit: RosterEdit, atMs: number): Parts<RosterChange>;
  /** Whether rows of the last edit are still to be stored. */
  readonly isUnsettled: boolean;
  /** Stores the rest of the last edit, each part in a transaction. Throws if storage can't take one: to be tried again. */
  settleInParts(): Parts<void>;
  /** Forgets a bounded number of tombstones older than a day before `nowMs`, the oldest first. True where some are left. */
  forgetTombstones(nowMs: number): boolean;
}

/** How long a removed edge is remembered. */
export const TOMBSTONE_MS = 24 * 60 * 60 * 1000;

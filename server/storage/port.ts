/**
 * The store: what must outlive the process besides the roster. It holds entries with their last seen and version,
 * blocks, and the ceiling of the hub clock. The core calls `recall` for users that it does not hold. Entries are
 * written behind, blocks at once.
 */

/** An entry in its stored form. `text` is null if there is none. */
export interface StoredEntry {
  readonly user: string;
  readonly status: 'online' | 'away' | 'busy' | 'offline';
  readonly code: number;
  readonly since: number;
  readonly lastSeen: number | null;
  readonly devices: readonly string[];
  readonly text: string | null;
  /** 0: never seen, stored only for its sessions. */
  readonly v: number;
  /** The live sessions, which the next run restores. */
  readonly sessions: readonly StoredSession[];
}

/** The part of a stored entry that counts while the user has no session. */
export type OfflineEntry = Pick<StoredEntry, 'since' | 'lastSeen' | 'v'>;

/** A live session in its stored form. Instants are on the wall clock. */
export interface StoredSession {
  readonly adapter: string;
  readonly device: string;
  readonly status: 'online' | 'away' | 'busy' | 'invisible';
  readonly code: number;
  readonly text: string;
  /** Orders the statuses and texts of the user's sessions by when they were set. */
  readonly statusSetNo: number;
  readonly textSetNo: number;
  /** On the wall clock. Orders the labels of the user. 0 if an older version of the hub stored the session. */
  readonly startedAt: number;
  readonly lastSignAt: number;
  /** When its lease ends if nothing more is heard. */
  readonly leaseEndsAt: number;
}

/**
 * What `viewer`, whom `user` blocked, sees of `user`: offline. `since` and `lastSeen` are null for a user that was
 * never seen.
 */
export interface StoredBlock {
  readonly user: string;
  readonly viewer: string;
  readonly since: number | null;
  readonly lastSeen: number | null;
  readonly v: number;
}

/** What the store knew when it was opened. */
export interface StoreState {
  /** The hub-clock instant when the store was created. An earlier `since` cannot be answered from it. */
  readonly bornAt: number;
  /** The start of the hub clock of this run, above everything that an earlier run can have issued. */
  readonly clockFloor: number;
  /** The last run issued nothing later than this; null for the first run. */
  readonly lastRunEndedBy: number | null;
  /** A `since` below this cannot be trusted, because of the last unclean end. Equals `bornAt` if there was none. */
  readonly certainFrom: number;
  /**
   * The last moment of which the last run was sure when it ended; null for the first run. It is the end of that run, or
   * an earlier moment if that run had doubts. It is below `certainFrom` if an unclean end is among the reasons.
   */
  readonly sureUntil: number | null;
}

/** A stored user that is offline and has no block and no friend edge in either direction. `v` is its version. */
export interface Stranger {
  readonly user: string;
  readonly v: number;
}

export interface Store {
  readonly state: StoreState;
  /**
   * Returns what is stored of a user that is not present, or undefined for an unknown user. Reads no devices, text or
   * sessions, because a user that is shown offline must not take longer to recall if it is invisible and has sessions.
   */
  recall(user: string): OfflineEntry | undefined;
  /** Like `recall`, for many users, in their order. */
  recallMany(users: readonly string[]): readonly (OfflineEntry | undefined)[];
  /** Stores corrected dates of stored entries, with their new version. */
  correct(entries: readonly (OfflineEntry & Pick<StoredEntry, 'user'>)[]): void;
  /** The entries that the last run left with live sessions. */
  withSessions(): Iterable<StoredEntry>;
  /** All blocks. */
  blocks(): Iterable<StoredBlock>;
  /** Sets a block durably. An existing block stays as it is. Throws if storage fails. */
  block(block: StoredBlock): void;
  /** Lifts a block durably. Does nothing if there is none. Throws if storage fails. */
  unblock(user: string, viewer: string): void;
  /** Writes entries, and runs `alongside`, in one transaction. Throws if storage fails. */
  keep(entries: readonly StoredEntry[], alongside?: () => void): void;
  /**
   * Checks `limit` entries after that id, in the order of ids. `last` is where to continue; undefined after the last
   * entry.
   */
  strangersAfter(user: string, limit: number): { readonly strangers: readonly Stranger[]; readonly last?: string };
  /** Deletes these entries, as if the users had never been seen. `at` is on the hub clock. */
  forget(users: readonly string[], at: number): void;
  /** Some of the users who block this one, sorted, after that id; empty if there are no more. */
  blockersAfter(viewer: string, after: string): readonly string[];
  /** Like `forget`, for one user, together with the blocks that it has set. */
  erase(user: string, at: number): void;
  /** The hub clock when an entry was last deleted; 0 if none ever was. */
  readonly forgottenAt: number;
  /** Durably promises that no version above `ceiling` has been issued yet. */
  raiseCeiling(ceiling: number): void;
  /**
   * Stores the last moment of which the hub is sure, in case this run ends; null: it is sure of everything it shows.
   */
  setSureUntil(at: number | null): void;
  /** Marks a clean end. `clock` is the last value that the hub clock issued. */
  closeCleanly(clock: number): void;
}

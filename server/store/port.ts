/**
 * The store: what must outlive the process beside the roster. Entries with their last seen and version, blocks, and the
 * hub clock's ceiling. The core asks `recall` for users it does not hold; entries are written behind, blocks at once.
 */

/** An entry as it is stored. `text` is null where there is none. */
export interface StoredEntry {
  readonly user: string;
  readonly status: 'online' | 'away' | 'busy' | 'offline';
  readonly code: number;
  readonly since: number;
  readonly lastSeen: number | null;
  readonly devices: readonly string[];
  readonly text: string | null;
  /** 0: never seen by anybody, kept for its sessions alone. */
  readonly v: number;
  /** The live sessions, for the next run to restore. */
  readonly sessions: readonly StoredSession[];
}

/** What is left of a stored entry while the user has no session. */
export type OfflineEntry = Pick<StoredEntry, 'since' | 'lastSeen' | 'v'>;

/** A live session as it is stored. Instants are on the wall clock. */
export interface StoredSession {
  readonly adapter: string;
  readonly device: string;
  readonly status: 'online' | 'away' | 'busy' | 'invisible';
  readonly code: number;
  readonly text: string;
  /** The order in which status and text were set, among the sessions of the user. */
  readonly statusSetNo: number;
  readonly textSetNo: number;
  /** On the wall clock. Orders the labels of the user. 0 if an older version of the hub stored the session. */
  readonly startedAt: number;
  readonly lastSignAt: number;
  /** When its lease ends if nothing more is heard. */
  readonly leaseEndsAt: number;
}

/** What `viewer` sees of `user`, who blocked it: offline. `since` and `lastSeen` are null for a user never seen. */
export interface StoredBlock {
  readonly user: string;
  readonly viewer: string;
  readonly since: number | null;
  readonly lastSeen: number | null;
  readonly v: number;
}

/** What the store knew when it was opened. */
export interface StoreState {
  /** Hub-clock instant the store was made; a `since` from before it can't be answered from it. */
  readonly bornAt: number;
  /** The hub clock of this run starts here: above everything that an earlier run can have given out. */
  readonly clockFloor: number;
  /** The last run gave out nothing later than this; null for the first run. */
  readonly lastRunEndedBy: number | null;
  /** A `since` below this can't be trusted: the last unclean end. Equals `bornAt` where there was none. */
  readonly certainFrom: number;
  /**
   * Nothing later was sure when the last run ended: its end, or what that run was not sure of itself; null for the first
   * run. It is below `certainFrom` where an unclean end is the reason, or among the reasons.
   */
  readonly sureUntil: number | null;
}

/** A stored user who is offline and has no friend edge, in either direction, and no block. `v` is its version. */
export interface Stranger {
  readonly user: string;
  readonly v: number;
}

export interface Store {
  readonly state: StoreState;
  /**
   * What is left of a user that was kept, or undefined for a user never kept. Reads no devices, text or sessions: a user
   * who is shown offline must not take longer to recall because it is invisible and has sessions.
   */
  recall(user: string): OfflineEntry | undefined;
  /** Of many users, in their order, what counts of one who is not here: the rest of the row is not read. */
  recallMany(users: readonly string[]): readonly (OfflineEntry | undefined)[];
  /** Stores other dates, and the version that they come with, of entries that are kept. */
  correct(entries: readonly (OfflineEntry & Pick<StoredEntry, 'user'>)[]): void;
  /** The entries that the last run left with live sessions. */
  withSessions(): Iterable<StoredEntry>;
  /** Every block that stands. */
  blocks(): Iterable<StoredBlock>;
  /** Sets a block, which is durable before this returns; one that stands stays as it is. Throws where storage can't take it. */
  block(block: StoredBlock): void;
  /** Lifts a block, durably; one that does not stand is lifted. Throws where storage can't take it. */
  unblock(user: string, viewer: string): void;
  /** Writes entries in one transaction. Throws where storage can't take it. */
  keep(entries: readonly StoredEntry[]): void;
  /** Looks at `limit` entries behind that id, in order of ids. `last` is where to go on; undefined behind the last one. */
  strangersAfter(user: string, limit: number): { readonly strangers: readonly Stranger[]; readonly last?: string };
  /** Forgets those entries: their users were never seen. `at` is the hub clock. */
  forget(users: readonly string[], at: number): void;
  /** The hub clock when an entry was last forgotten; 0 if none ever was. */
  readonly forgottenAt: number;
  /** Promises that no version above `ceiling` has been given out; durable before it returns. */
  raiseCeiling(ceiling: number): void;
  /** The last moment of which the hub is sure, should this run end before it says null: that it is sure of all it shows. */
  setSureUntil(at: number | null): void;
  /** Marks a clean end: `clock` is the last value the hub clock gave out. */
  closeCleanly(clock: number): void;
}

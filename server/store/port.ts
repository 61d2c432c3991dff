/**
 * The store: what must outlive the process beside the roster. Entries with their last seen and version, and the hub
 * clock's ceiling. The core asks `recall` for users it does not hold; everything else is written behind.
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
  readonly v: number;
}

/** What the store knew when it was opened. */
export interface StoreState {
  /** Hub-clock instant the store was made; a `since` from before it can't be answered from it. */
  readonly bornAt: number;
  /** The hub clock of this run starts here: above everything that an earlier run can have given out. */
  readonly clockFloor: number;
  /** A `since` below this can't be trusted: the last unclean end. Equals `bornAt` where there was none. */
  readonly certainFrom: number;
}

export interface Store {
  readonly state: StoreState;
  /** The entry of a user as the last run left it (offline by now), or undefined for a user never seen. */
  recall(user: string): StoredEntry | undefined;
  /** Writes entries in one transaction. Throws where storage can't take it. */
  keep(entries: readonly StoredEntry[]): void;
  /** Promises that no version above `ceiling` has been given out; durable before it returns. */
  raiseCeiling(ceiling: number): void;
  /** Marks a clean end: `clock` is the last value the hub clock gave out. */
  closeCleanly(clock: number): void;
}

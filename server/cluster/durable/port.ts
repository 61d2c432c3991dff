/** What a database keeps of users, in case the store of the cluster loses them: last seen, and blocks. */
import type { Frozen } from '../../presence/blocks.ts';

export interface KeptUser {
  readonly user: string;
  readonly since: number | null;
  readonly lastSeen: number | null;
  readonly v: number;
  /** The `n` of the record. What has a larger one is newer. */
  readonly n: number;
  /** What each blocked viewer sees. */
  readonly hidden: ReadonlyMap<string, Frozen>;
}

export interface UserStore {
  /** Stores what is newer than what is stored. Rejects with `StorageUnavailable`. */
  keep(users: readonly KeptUser[]): Promise<void>;
  /** Some of the users who block this one, sorted, after that id; empty if there are no more. */
  blockersAfter(viewer: string, after: string): Promise<readonly string[]>;
  /** Deletes what is stored of a user, unless it is newer than that record. Rejects with `StorageUnavailable`. */
  erase(user: string, n: number): Promise<void>;
  /** What is stored of these users. Rejects with `StorageUnavailable`. */
  recall(users: readonly string[]): Promise<ReadonlyMap<string, KeptUser>>;
}

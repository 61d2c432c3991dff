/**
 * Friend lists that are stored outside the hub. A `ListSource` reads them, `CachedRoster` keeps those in use in memory,
 * and `RemoteLists` is what the hub gets.
 */
import type { StorageUnavailable } from '../lib/storage-unavailable.ts';
import type { ListEdits, Roster, RosterChange } from './port.ts';

/** A list as it was read. */
export interface ReadList {
  readonly friends: readonly string[];
  /** Number of the last change that the list contains; 0 if changes have no numbers. */
  readonly position: number;
}

export interface ListSource {
  /**
   * Reads the lists of these users, which are different. The answer of a user is an error if only that list cannot be
   * read. Rejects with `StorageUnavailable` if none can be.
   */
  read(users: readonly string[]): Promise<ReadonlyMap<string, ReadList | StorageUnavailable>>;
  /** See `Roster.followersAfter`. Omitted if followers are not known. */
  followersAfter?(user: string, after: string, limit: number): Promise<readonly string[]>;
}

/** What the hub does with changes of lists, and which lists it cannot do without. */
export interface ListListener {
  /** The lists have just changed. @returns when, on the hub clock, and a promise that watchers are notified. */
  changed(change: RosterChange): { readonly atMs: number; readonly notified: Promise<void> };
  /** Whether the list is watched, or decides about a watch. Such a list stays in memory and is kept up to date. */
  isInUse(user: string): boolean;
  /** The hub clock. */
  now(): number;
}

/** Friend lists outside the hub, ready to be read. */
export interface RemoteLists {
  readonly roster: Roster;
  readonly edits: ListEdits;
  /** Whether another service owns the lists, so that the hub must not edit them. */
  readonly areReadOnly: boolean;
  /** Those of the users who have a friend edge in either direction. Omitted if that is not known. */
  readonly followed?: (users: readonly string[]) => Promise<ReadonlySet<string>>;
  /** Begins to follow changes. */
  start(listener: ListListener): void;
  stop(): Promise<void>;
}

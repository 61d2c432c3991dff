/**
 * The port to the history that several hubs write and read. Each hub reports up to which time it knew everything, and up to
 * which time its changes are stored. A time is known if at least one hub knew everything then, and no hub ended before it
 * had stored its changes of then.
 */
import type { ShownCause } from '../../shared/messages/shown-cause.ts';
import type { UserStatus } from '../../shared/status.ts';
import type { HistorySource, HistoryState } from './port.ts';

/** A transition with the version of the entry after it, by which it is stored only once if several hubs write it. */
export interface VersionedTransition {
  readonly user: string;
  readonly at: number;
  /** The versions of its first and its last change. They differ if several changes are recorded as one. */
  readonly firstV: number;
  readonly v: number;
  /** Null: the status of the transition before it. */
  readonly from: UserStatus | null;
  readonly to: UserStatus;
  readonly cause: ShownCause;
}

/** A time in which a hub knew everything. */
export interface KnownTime {
  readonly from: number;
  readonly to: number;
}

/** All functions reject if storage fails. */
export interface SharedHistoryStore extends HistorySource {
  /** Begins a history at `atMs`, or continues one. */
  open(atMs: number): Promise<Pick<HistoryState, 'beganAt'>>;
  /** Writes transitions. Does not change those that exist already. */
  record(transitions: readonly VersionedTransition[]): Promise<void>;
  /** Stores a known time of a hub, or changes its end. */
  setKnown(hub: string, known: KnownTime): Promise<void>;
  /** Stores up to which time all changes of this hub are stored, and which hubs are alive. */
  setWritten(hub: string, until: number, alive: readonly string[]): Promise<void>;
  /** Stores that a hub lost its changes of that time. */
  setLost(hub: string, lost: KnownTime): Promise<void>;
  /** Stores that a hub has stored all its changes and makes no more. */
  leave(hub: string): Promise<void>;
  /** Known times that overlap the span, and times whose changes a hub lost. In order. */
  knownTimes(from: number, to: number): Promise<{ readonly known: readonly KnownTime[]; readonly lost: KnownTime[] }>;
  /** Stores that a hub is uncertain about these users. `to` is null if the end is not known yet. */
  setDoubt(hub: string, users: readonly string[], from: number, to: number | null): Promise<void>;
  /** Deletes the history of a user up to version `v` of its entry. */
  erase(user: string, v: number): Promise<void>;
}

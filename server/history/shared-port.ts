/**
 * The stored history of several hubs, which each of them writes and reads. Each hub says up to which moment it knew
 * everything, and up to which moment what it saw is stored. A moment is known if at least one hub knew, and no hub ended
 * before it had stored what it saw then.
 */
import type { ShownCause } from '../../shared/messages/shown-cause.ts';
import type { UserStatus } from '../../shared/status.ts';
import type { HistorySource, HistoryState } from './port.ts';

/** A transition with the version of the entry after it, which makes it one, however many hubs write it. */
export interface VersionedTransition {
  readonly user: string;
  readonly at: number;
  /** The versions of the first and the last change of it. They differ if several changes are recorded as one. */
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
  /** Begins the history at that moment, or continues one. */
  open(atMs: number): Promise<Pick<HistoryState, 'beganAt'>>;
  /** Writes transitions. One that is there already stays. */
  record(transitions: readonly VersionedTransition[]): Promise<void>;
  /** Stores a known time of a hub, or a new end of it. */
  setKnown(hub: string, known: KnownTime): Promise<void>;
  /** Says up to which moment everything is stored that this hub has seen, and which hubs are alive. */
  setWritten(hub: string, until: number, alive: readonly string[]): Promise<void>;
  /** A hub dropped what it saw in that time. */
  setLost(hub: string, lost: KnownTime): Promise<void>;
  /** A hub has stored all, and sees no more. */
  leave(hub: string): Promise<void>;
  /** Known times that touch the span, and the times in which hubs ended that had not stored all. In order. */
  knownTimes(from: number, to: number): Promise<{ readonly known: readonly KnownTime[]; readonly lost: KnownTime[] }>;
  /** A hub doubts what is shown of these users. `to` is null if the end is not known yet. */
  setDoubt(hub: string, users: readonly string[], from: number, to: number | null): Promise<void>;
  /** Deletes all that is stored of a user up to that version of its entry. */
  erase(user: string, v: number): Promise<void>;
}

/**
 * The port to the stored history: transitions of the shown status of users, and times in which the hub did not know it. It
 * contains only what others were shown, so nothing about invisible times and blocks. All times are on the wall clock.
 */
import type { ShownCause } from '../../shared/messages/shown-cause.ts';
import type { UserStatus } from '../../shared/status.ts';

export interface HistoryTransition {
  readonly at: number;
  readonly from: UserStatus;
  readonly to: UserStatus;
  readonly cause: ShownCause;
  /** Null for a single transition. */
  readonly merged: MergedTime | null;
}

/** Several transitions kept as one: `firstAt` to `at`, and how long each status lasted in between. */
export interface MergedTime extends Readonly<Record<UserStatus, number>> {
  readonly firstAt: number;
}

export interface UserTransition extends HistoryTransition {
  readonly user: string;
}

/** A time in which the shown status was unknown. `to` is null while it lasts. */
export interface Gap {
  readonly from: number;
  readonly to: number | null;
}

export interface HistoryState {
  /** When the history began. Before that, everything is unknown. */
  readonly beganAt: number;
  /** The last time at which the last run with history was certain of its state. */
  readonly sureUntil: number;
}

type Maybe<T> = T | Promise<T>;

/** Reads and purges a history. All functions throw or reject if storage fails. */
export interface HistorySource {
  /** The transitions of a user since `from`, in order. */
  read(user: string, from: number, limit: number): Maybe<HistoryTransition[]>;
  /** The last transition before `at`. */
  lastBefore(user: string, at: number): Maybe<HistoryTransition | undefined>;
  /** Gaps that overlap the span: of all users (null), or of one. */
  gaps(user: string | null, from: number, to: number): Maybe<Gap[]>;
  /**
   * Deletes some old transitions, of users after `after` first. @returns where to continue; undefined if this was the
   * last step of a pass.
   */
  purge(after: string, before: number): Maybe<{ readonly after: string } | undefined>;
}

/** The recorder, for reading transitions that are not in the source yet. */
export interface HistoryRecorder {
  readonly state: Pick<HistoryState, 'beganAt'>;
  /** Resolves when the history of the user may be read. */
  readonly ready?: (user: string) => Promise<void>;
  /** Transitions of a user that are not stored yet, in order. */
  unstoredOf(user: string): readonly HistoryTransition[];
}

/** If storage fails, all functions throw and change nothing. */
export interface HistoryStore {
  /** Begins a history at `atMs`, or continues one. Ends all open gaps of single users of the last run. */
  open(atMs: number): HistoryState;
  /** Writes transitions, the oldest of a user first, and the time up to which the history is complete. */
  write(transitions: readonly UserTransition[], sureUntil: number): void;
  /** The transitions of a user since `from`, in order. */
  read(user: string, from: number, limit: number): HistoryTransition[];
  /** The last transition before `at`. */
  lastBefore(user: string, at: number): HistoryTransition | undefined;
  /** Gaps that overlap the span: of all users (null), or of one. */
  gaps(user: string | null, from: number, to: number): Gap[];
  /** Stores a gap, or changes its beginning or end. */
  setGap(user: string | null, gap: Gap): void;
  /** Stores the same gap for many users. */
  setGaps(users: readonly string[], gap: Gap): void;
  /** Deletes a gap that began at `from`. */
  dropGap(user: string | null, from: number): void;
  /**
   * Deletes some old transitions of the first user after `after`. @returns where to continue; undefined after the last
   * user.
   */
  purge(after: string, before: number): { readonly after: string } | undefined;
  /** Deletes a part of the history of the user. @returns whether more is left. */
  eraseSome(user: string): boolean;
}

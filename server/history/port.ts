/**
 * The stored history: transitions of the shown status of users, and the times in which the hub did not know. Everything
 * in it is what others were told, so it holds nothing of invisible times and blocks. All times are on the wall clock.
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

/** A time in which the hub did not know. `to` is null while it lasts. */
export interface Gap {
  readonly from: number;
  readonly to: number | null;
}

export interface HistoryState {
  /** When history began. Before that, nothing is known. */
  readonly beganAt: number;
  /** The last moment of the last run with history of which it was sure. */
  readonly sureUntil: number;
}

/** An answer that may take a while. */
type Maybe<T> = T | Promise<T>;

/** What history is read from, and purged. All functions fail if storage fails. */
export interface HistorySource {
  /** The transitions of a user from that moment on, in order. */
  read(user: string, from: number, limit: number): Maybe<HistoryTransition[]>;
  /** The last transition before that moment. */
  lastBefore(user: string, at: number): Maybe<HistoryTransition | undefined>;
  /** Gaps that touch the span: of all users (null), or of one. */
  gaps(user: string | null, from: number, to: number): Maybe<Gap[]>;
  /**
   * Deletes some old transitions, of users after `after` first. @returns where to continue; undefined if this was the
   * last step of a pass.
   */
  purge(after: string, before: number): Maybe<{ readonly after: string } | undefined>;
}

/** What is recorded and not in the source yet. */
export interface HistoryRecorder {
  readonly state: Pick<HistoryState, 'beganAt'>;
  /** Resolves when the history of the user may be read. */
  readonly ready?: (user: string) => Promise<void>;
  /** What is not stored yet of a user, in order. */
  unstoredOf(user: string): readonly HistoryTransition[];
}

/** All functions throw if storage fails, and have changed nothing then. */
export interface HistoryStore {
  /** Begins the history at that moment, or continues one, and ends every gap of single users that the last run left. */
  open(atMs: number): HistoryState;
  /** Writes transitions, the oldest of a user first, and up to which moment the history is complete. */
  write(transitions: readonly UserTransition[], sureUntil: number): void;
  /** The transitions of a user from that moment on, in order. */
  read(user: string, from: number, limit: number): HistoryTransition[];
  /** The last transition before that moment. */
  lastBefore(user: string, at: number): HistoryTransition | undefined;
  /** Gaps that touch the span: of all users (null), or of one. */
  gaps(user: string | null, from: number, to: number): Gap[];
  /** Stores a gap, or a new end or beginning of it. */
  setGap(user: string | null, gap: Gap): void;
  /** Stores the same gap for many users. */
  setGaps(users: readonly string[], gap: Gap): void;
  /** Takes back a gap that began at that moment. */
  dropGap(user: string | null, from: number): void;
  /**
   * Deletes some old transitions of the first user after `after`. @returns where to continue; undefined after the last
   * user.
   */
  purge(after: string, before: number): { readonly after: string } | undefined;
  /** Deletes some of what is stored of the user. @returns whether more is left. */
  eraseSome(user: string): boolean;
}

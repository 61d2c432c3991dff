/**
 * Records every change of a shown status, and the times in which it is unknown. Writes in batches, off the hot path: a
 * change costs one entry in a map. Of the changes of a user within 50 ms only the last is recorded, because watchers may
 * receive only the last. Records only what others are shown.
 */
import { MAX_FLUSH_WAIT_MS } from '../../shared/limits.ts';
import type { TransitionCause } from '../../shared/messages/explain.ts';
import type { UserStatus } from '../../shared/status.ts';
import type { Clock } from '../lib/time/clock.ts';
import type { Change } from '../presence/change.ts';
import { shownStatusOf } from '../presence/fold.ts';
import { shownCause } from '../presence/shown-cause.ts';
import type { HistoryState, HistoryStore, HistoryTransition, UserTransition } from './port.ts';

interface RecorderOptions {
  readonly store: HistoryStore;
  readonly clock: Clock;
  /** Reports that storage fails (an error), or works again (undefined). */
  readonly onHealth: (error: unknown) => void;
}

/** Changes of one user that are recorded as one. */
interface Pending {
  readonly openedAt: number;
  readonly from: UserStatus;
  to: UserStatus;
  at: number;
  cause: TransitionCause;
}

const WRITE_EVERY_MS = 250;
/** How often an idle hub stores that it was certain. After an unclean end, up to this much time is unknown. */
const SURE_EVERY_MS = 1000;
/** Transitions in one transaction: about 3 ms. */
const BATCH = 200;
/** A shorter stall is not recorded: it is no longer than what is unknown after an unclean end. */
export const MIN_STALL_MS = 1000;
/** If this many transitions wait because storage fails, the time from then on is unknown. */
const MAX_QUEUED = 100_000;

export class Recorder {
  readonly state: HistoryState;
  readonly #options: RecorderOptions;
  readonly #pending = new Map<string, Pending>();
  readonly #queue: UserTransition[] = [];
  readonly #timer: NodeJS.Timeout;
  #nextStep: NodeJS.Immediate | undefined;
  #sureAt = 0;
  /** When everything became uncertain; null if it is certain. */
  #doubtSince: number | null = null;
  /** The beginning of the gap that is stored as open. */
  #storedDoubt: number | null = null;
  #lostSince: number | null = null;

  /** The time since the end of the last run is unknown until `doubt(null)` is called. @throws if storage fails. */
  constructor(options: RecorderOptions) {
    this.#options = options;
    const { store } = options;
    const now = this.#now;
    this.state = store.open(now);
    if (this.state.sureUntil < now) {
      const open = store.gaps(null, 0, Infinity).filter(({ to }) => to === null);
      for (const { from } of open) store.setGap(null, { from, to: now });
      this.doubt(this.state.sureUntil);
    }
    this.#timer = setInterval(() => this.#tick(), WRITE_EVERY_MS);
  }

  changed({ user, isShown, from, at, cause }: Change): void {
    if (!isShown) return;
    const to = shownStatusOf(user.fold);
    if (from === to) return;
    const pending = this.#pending.get(user.id);
    if (pending !== undefined && isOpen(pending, at)) {
      pending.to = to;
      pending.at = at;
      pending.cause = cause;
      return;
    }
    if (pending !== undefined) this.#enqueue(user.id, pending);
    this.#pending.set(user.id, { openedAt: at, from, to, at, cause });
  }

  /** Records since when all shown states may be outdated. Null: they are certain again. */
  doubt(since: number | null): void {
    const before = this.#doubtSince;
    if (since === before) return;
    this.#doubtSince = since;
    // If a doubt ended before it could be stored, the next batch stores it.
    if (before !== null && before !== this.#storedDoubt) this.#lostSince = Math.min(before, this.#lostSince ?? before);
    this.#storeDoubt();
  }

  /** Records that the shown states of these users may be outdated. `to` is null if the end is not known yet. */
  doubtUsers(users: readonly string[], from: number, to: number | null): void {
    this.#attempt((store) => {
      store.setGaps(users, { from, to });
    });
  }

  /** Records that the hub stood still and noticed nothing. */
  stalled({ from, to }: { readonly from: number; readonly to: number }): void {
    const isUnknownAlready = this.#doubtSince !== null && this.#doubtSince <= from;
    if (to - from < MIN_STALL_MS || isUnknownAlready) return;
    const isStored = this.#attempt((store) => {
      store.setGap(null, { from, to });
    });
    if (!isStored) this.#lostSince = Math.min(from, this.#lostSince ?? from);
  }

  /** Recorded transitions of a user that are not stored yet, in order. */
  unstoredOf(user: string): HistoryTransition[] {
    const pending = this.#pending.get(user);
    const last = pending === undefined || pending.from === pending.to ? [] : [transitionOf(user, pending)];
    return [...this.#queue.filter((one) => one.user === user), ...last];
  }

  /** Drops the transitions of a user that are not stored yet. */
  forget(user: string): void {
    this.#pending.delete(user);
    this.#queue.splice(0, this.#queue.length, ...this.#queue.filter((one) => one.user !== user));
  }

  /** Stores everything at the end of the run. */
  stop(): void {
    clearInterval(this.#timer);
    clearImmediate(this.#nextStep);
    this.#closeWindows(true);
    while (this.#queue.length > 0 && this.#writeBatch());
    if (this.#doubtSince === null) this.#attempt((store) => store.write([], this.#now));
  }

  get #now(): number {
    return this.#options.clock.now().wallMs;
  }

  #tick(): void {
    this.#closeWindows(false);
    this.#storeDoubt();
    if (this.#nextStep !== undefined) return;
    const mustStamp = performance.now() - this.#sureAt >= SURE_EVERY_MS;
    if (this.#queue.length > 0 || mustStamp) this.#writeInSteps();
  }

  readonly #writeInSteps = (): void => {
    this.#nextStep = undefined;
    if (this.#writeBatch() && this.#queue.length > 0) this.#nextStep = setImmediate(this.#writeInSteps);
  };

  /** The next tick tries again if it fails. */
  #storeDoubt(): void {
    const [since, stored] = [this.#doubtSince, this.#storedDoubt];
    if (since === stored) return;
    const isStored = this.#attempt((store) => {
      if (since !== null) store.setGap(null, { from: since, to: null });
      if (stored === null) return;
      if (since === null) store.setGap(null, { from: stored, to: this.#now });
      else store.dropGap(null, stored);
    });
    if (isStored) this.#storedDoubt = since;
  }

  #closeWindows(all: boolean): void {
    const now = this.#now;
    for (const [user, pending] of this.#pending) {
      if (!all && isOpen(pending, now)) continue;
      this.#pending.delete(user);
      this.#enqueue(user, pending);
    }
  }

  #enqueue(user: string, pending: Pending): void {
    if (pending.from === pending.to) return;
    if (this.#queue.length < MAX_QUEUED) this.#queue.push(transitionOf(user, pending));
    else this.#lostSince ??= pending.at;
  }

  /** @returns whether it succeeded. */
  #writeBatch(): boolean {
    const batch = this.#queue.slice(0, BATCH);
    const now = this.#now;
    const isStored = this.#attempt((store) => {
      if (this.#lostSince !== null) store.setGap(null, { from: this.#lostSince, to: now });
      // After an unclean end, the time since the oldest waiting transition is unknown.
      store.write(batch, this.#doubtSince ?? this.#queue[batch.length]?.at ?? now - MAX_FLUSH_WAIT_MS);
    });
    if (!isStored) return false;
    this.#lostSince = null;
    this.#queue.splice(0, batch.length);
    this.#sureAt = performance.now();
    return true;
  }

  #attempt(work: (store: HistoryStore) => void): boolean {
    try {
      work(this.#options.store);
    } catch (error) {
      this.#options.onHealth(error);
      return false;
    }
    this.#options.onHealth(undefined);
    return true;
  }
}

function isOpen({ openedAt }: Pending, at: number): boolean {
  return at >= openedAt && at - openedAt < MAX_FLUSH_WAIT_MS;
}

function transitionOf(user: string, { from, to, at, cause }: Pending): UserTransition {
  return { user, at, from, to, cause: shownCause(cause, from, to), merged: null };
}

/**
 * The history of users as a viewer may read it: transitions and uptime. For a viewer that the user blocks, the history ends
 * at the block as if the user had left then. Deletes expired transitions in small steps. Reads in parts, so that a year of
 * one user does not block the event loop.
 */
import type { UserStatus } from '../../shared/status.ts';
import type { Clock } from '../lib/time/clock.ts';
import type { TurnBudget } from '../lib/time/turn-budget.ts';
import { shownStatusOf } from '../presence/fold.ts';
import type { Users } from '../presence/users.ts';
import type { Viewer } from '../presence/viewer.ts';
import type { HistoryRecorder, HistorySource, HistoryTransition } from './port.ts';
import { Uptime, type Span, type Sums } from './uptime.ts';

interface HistoryOptions {
  readonly store: HistorySource;
  readonly recorder: HistoryRecorder;
  /** The transition to the status that is shown now, in case it is not stored. Omitted if all are stored. */
  readonly latest?: (user: string, from: UserStatus) => HistoryTransition | undefined;
  readonly users: Pick<Users, 'peek' | 'find'>;
  readonly turns: Pick<TurnBudget, 'take'>;
  readonly clock: Clock;
  readonly days: number;
  /** Reports that storage fails (an error), or works again (undefined). */
  readonly onHealth: (error: unknown) => void;
}

/** The viewer, and a function that charges it for the rows that are read. */
export interface HistoryReader {
  readonly viewer: Viewer;
  readonly chargeFor: (rows: number) => void;
}

export interface HistoryPage {
  readonly transitions: readonly HistoryTransition[];
  /** The `from` of the next page; null if this one is the last. */
  readonly next: number | null;
}

const DAY_MS = 86_400_000;
/** Maximum rows of one read. They take about 2 ms, and each is one unit of the turn budget. */
const READ_AT_ONCE = 1000;
const PURGE_EVERY_MS = 50;
/** The pause between two passes through all users. */
const PURGE_REST_MS = 600_000;

/** The status that a viewer sees now, and where the history ends for it. */
interface End {
  readonly status: UserStatus;
  /** The time of the block; null if there is none. */
  readonly blockedAt: number | null;
}

export class History {
  readonly #options: HistoryOptions;
  #purgedUpTo = '';
  #timer: NodeJS.Timeout;
  #isStopped = false;

  constructor(options: HistoryOptions) {
    this.#options = options;
    this.#timer = setTimeout(this.#purge, PURGE_EVERY_MS).unref();
  }

  /** Before this time, everything is unknown. */
  get since(): number {
    const { clock, days, recorder } = this.#options;
    return Math.max(recorder.state.beganAt, clock.now().wallMs - days * DAY_MS);
  }

  async transitions(user: string, { from, to }: Span, limit: number, reader: HistoryReader): Promise<HistoryPage> {
    const transitions: HistoryTransition[] = [];
    const rows = this.#walk(user, Math.max(from, this.since), reader, limit + 1);
    for await (const one of rows) {
      if (one.at > to) break;
      if (transitions.length === limit) return { transitions, next: one.at };
      transitions.push(one);
    }
    return { transitions, next: null };
  }

  async uptime(user: string, span: Span, reader: HistoryReader): Promise<Sums> {
    const { store, clock, recorder } = this.#options;
    await recorder.ready?.(user);
    const known = { from: this.since, to: clock.now().wallMs };
    const end = this.#endFor(user, reader.viewer);
    const begin = Math.max(span.from, known.from);
    // Also those after the span: a change that was lost then is shown only by the transition after it.
    const upTo = Math.max(span.to, known.to);
    const [gaps, ownGaps] = await Promise.all([store.gaps(null, 0, upTo), store.gaps(user, 0, upTo)]);
    reader.chargeFor(gaps.length + ownGaps.length);
    const isOver = end.blockedAt !== null && end.blockedAt < begin;
    const before = isOver ? undefined : await store.lastBefore(user, begin);
    const uptime = new Uptime(span, known, gaps, ownGaps, before);
    for await (const one of this.#walk(user, begin, reader, READ_AT_ONCE)) {
      const firstAt = one.merged?.firstAt ?? one.at;
      if (firstAt >= span.to) return uptime.end(one.from, firstAt);
      uptime.add(one);
    }
    return uptime.end(end.status, upTo);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /** The transitions since `from` that the viewer may see. `atOnce`: the number of rows that are probably needed. */
  async *#walk(
    user: string,
    from: number,
    { viewer, chargeFor }: HistoryReader,
    atOnce: number,
  ): AsyncGenerator<HistoryTransition> {
    const { store, recorder, turns } = this.#options;
    const limit = Math.min(atOnce, READ_AT_ONCE);
    await recorder.ready?.(user);
    await turns.take(limit);
    const { blockedAt, status } = this.#endFor(user, viewer);
    let last = await store.lastBefore(user, from);
    // Taken before the first read: transitions that are stored during the reads are then in a part too.
    const unstored = recorder.unstoredOf(user);
    let part: readonly HistoryTransition[];
    let next = from;
    do {
      part = await store.read(user, next, limit);
      chargeFor(part.length);
      next = (part.at(-1)?.at ?? 0) + 1;
      const isWhole = part.length < limit;
      const all = isWhole ? this.#completed(user, from, part, unstored, last) : part;
      for (const one of all) {
        if (blockedAt !== null && one.at > blockedAt) {
          if (one.from !== 'offline' && blockedAt >= from) yield asIfLeft(blockedAt, one.from);
          return;
        }
        last = one;
        yield one;
      }
      if (!isWhole) await turns.take(limit);
    } while (part.length === limit);
    const shown = last?.to ?? this.#shownNow(user);
    if (blockedAt !== null && shown !== 'offline' && blockedAt >= from && status === 'offline') {
      yield asIfLeft(blockedAt, shown);
    }
  }

  /** The last stored part, followed by transitions that are not stored yet. */
  #completed(
    user: string,
    from: number,
    part: readonly HistoryTransition[],
    unstored: readonly HistoryTransition[],
    before: HistoryTransition | undefined,
  ): readonly HistoryTransition[] {
    const next = (part.at(-1)?.at ?? 0) + 1;
    const all = [...part, ...unstored.filter(({ at }) => at >= from && at >= next)];
    const { at: lastAt = 0, to: shown = 'offline' } = all.at(-1) ?? before ?? {};
    const latest = this.#options.latest?.(user, shown);
    if (latest === undefined || latest.to === shown || latest.at <= lastAt || latest.at < from) return all;
    return [...all, latest];
  }

  #endFor(user: string, viewer: Viewer): End {
    const { users, clock } = this.#options;
    const frozen = viewer.user === null ? undefined : users.peek(user).hiddenFrom?.get(viewer.user);
    if (frozen === undefined) return { status: this.#shownNow(user), blockedAt: null };
    // A user that was never seen when it set the block has no history for the viewer.
    return { status: 'offline', blockedAt: frozen.since ?? Math.min(0, clock.now().wallMs) };
  }

  #shownNow(user: string): UserStatus {
    const held = this.#options.users.find(user);
    return held === undefined ? 'offline' : shownStatusOf(held.fold);
  }

  readonly #purge = (): void => {
    void this.#purgeSome().then((restMs) => {
      if (!this.#isStopped) this.#timer = setTimeout(this.#purge, restMs).unref();
    });
  };

  /** @returns the time until the next step in milliseconds. */
  async #purgeSome(): Promise<number> {
    const { store, clock, days, onHealth } = this.#options;
    let restMs = PURGE_EVERY_MS;
    try {
      const purged = await store.purge(this.#purgedUpTo, clock.now().wallMs - days * DAY_MS);
      this.#purgedUpTo = purged?.after ?? '';
      if (purged === undefined) restMs = PURGE_REST_MS;
      onHealth(undefined);
    } catch (error) {
      onHealth(error);
      restMs = PURGE_REST_MS;
    }
    return restMs;
  }
}

/** The transition that a user's leaving would cause. */
function asIfLeft(at: number, from: UserStatus): HistoryTransition {
  return { at, from, to: 'offline', cause: 'bye', merged: null };
}

/**
 * Forgets the stored entries of users whom nobody follows: one-time users would fill the disk otherwise. Goes through all
 * entries in small steps, over and over. Keeps whoever is in memory (present, or watched), has a friend edge or a block;
 * the others for 30 days, and less if there are very many. Part of hub.ts; the store knows who is a stranger.
 *
 * A user who returns needs no row for its version to grow: the hub clock is above every version that is forgotten here,
 * and stays above it across restarts. So the hub clock is the one floor for all of them.
 */
import type { Store } from '../store/port.ts';

export interface ForgettingOptions {
  readonly store: Pick<Store, 'strangersAfter' | 'forget'>;
  readonly isHeld: (user: string) => boolean;
  /** The hub clock. */
  readonly now: () => number;
  /** Strangers that may be kept. */
  readonly maxStrangers: number;
  /** Runs storage work that may fail; it is tried again with the next step. @returns whether it was done. */
  readonly attempt: (work: () => void) => boolean;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** For how long strangers are kept: the longest that leaves no more of them than may be. */
const KEEP_MS = [MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, DAY_MS, 7 * DAY_MS, 30 * DAY_MS] as const;
/** About 1 ms. */
const STEP_ROWS = 100;
const REST_MS = 2000;
/** While there are too many: 20,000 rows a second, about as many as a flood of new users adds. */
const PRESSED_MS = 5;

export class Forgetting {
  readonly #options: ForgettingOptions;
  /** Where the pass is. */
  #at = '';
  #keepMs: number = KEEP_MS[KEEP_MS.length - 1] ?? DAY_MS;
  /** Strangers of this pass that are kept, by the first of KEEP_MS that keeps them. */
  #byAge = new Array<number>(KEEP_MS.length).fill(0);
  /** Strangers that the last pass left, and those who may have become one since. */
  #estimate = 0;

  constructor(options: ForgettingOptions) {
    this.#options = options;
  }

  /** Somebody has left, whom nobody watches. */
  left(): void {
    this.#estimate++;
  }

  /** Goes on by one step. @returns when to take the next one, in milliseconds. */
  step(): number {
    const { store, now, isHeld, attempt } = this.#options;
    let last: string | undefined;
    const isDone = attempt(() => {
      const found = store.strangersAfter(this.#at, STEP_ROWS);
      last = found.last;
      const at = now();
      const strangers = found.strangers.filter(({ user, v }) => v < at && !isHeld(user));
      const old = strangers.filter(({ v }) => at - v > this.#keepMs);
      store.forget(
        old.map(({ user }) => user),
        at,
      );
      for (const { v } of strangers) this.#count(at - v);
    });
    if (!isDone) return REST_MS;
    this.#at = last ?? '';
    if (last === undefined) this.#endPass();
    return this.#estimate > this.#options.maxStrangers ? PRESSED_MS : REST_MS;
  }

  #count(ageMs: number): void {
    if (ageMs > this.#keepMs) return;
    const index = KEEP_MS.findIndex((keepMs) => ageMs <= keepMs);
    if (index >= 0) this.#byAge[index] = (this.#byAge[index] ?? 0) + 1;
  }

  #endPass(): void {
    let kept = 0;
    let keepMs: number = MINUTE_MS;
    for (const [index, count] of this.#byAge.entries()) {
      kept += count;
      if (kept > this.#options.maxStrangers) break;
      keepMs = KEEP_MS[index] ?? keepMs;
    }
    this.#estimate = this.#byAge.reduce((sum, count) => sum + count, 0);
    this.#keepMs = keepMs;
    this.#byAge.fill(0);
  }
}

/** Runs it beside the loop's other work. @returns what stops it. */
export function startForgettingStrangers(forgetting: Forgetting): () => void {
  let timer: NodeJS.Timeout;
  const run = (): void => {
    timer = setTimeout(run, forgetting.step());
    timer.unref();
  };
  timer = setTimeout(run, REST_MS);
  timer.unref();
  return () => {
    clearTimeout(timer);
  };
}

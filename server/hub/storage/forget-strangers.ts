/**
 * Deletes the stored entries of strangers: users whom nobody follows. Without this, one-time users would fill the disk.
 * Goes through all entries in small steps, again and again. Keeps users that are in memory (present or watched) and
 * users with a friend edge or a block. Keeps strangers for 30 days, or less if there are too many. The store decides
 * who has edges and blocks. If friend lists are stored elsewhere, `followed` says who has edges.
 *
 * A returning user needs no row for its version to grow: the hub clock is above every version that is deleted here, and
 * stays above it across restarts. So the hub clock is the one floor for all deleted entries.
 */
import { StorageUnavailable } from '../../lib/storage-unavailable.ts';
import type { Store } from '../../storage/port.ts';

export interface ForgetStrangersOptions {
  readonly store: Pick<Store, 'strangersAfter' | 'forget'>;
  readonly isHeld: (user: string) => boolean;
  /**
   * Those of the users who have a friend edge in either direction. Left out if the store knows. A rejection leaves the
   * step for later.
   */
  readonly followed?: ((users: readonly string[]) => Promise<ReadonlySet<string>>) | undefined;
  /** The hub clock. */
  readonly now: () => number;
  /** Maximum strangers to keep. */
  readonly maxStrangers: number;
  /** Runs storage work that may fail; the next step repeats it then. @returns whether it succeeded. */
  readonly attempt: (work: () => void) => boolean;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** How long strangers may be kept. A pass picks the longest time that stays within the maximum. */
const KEEP_MS = [MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, DAY_MS, 7 * DAY_MS, 30 * DAY_MS] as const;
/** One step takes about 1 ms. */
const STEP_ROWS = 100;
const REST_MS = 2000;
/**
 * The pause between steps while there are too many: 20,000 rows a second, about as fast as a flood of new users adds
 * them.
 */
const PRESSED_MS = 5;

export class ForgetStrangers {
  readonly #options: ForgetStrangersOptions;
  /** The last user of the current pass. */
  #at = '';
  #keepMs: number = KEEP_MS[KEEP_MS.length - 1] ?? DAY_MS;
  /** Kept strangers of this pass, by the first of KEEP_MS that keeps them. */
  #byAge = new Array<number>(KEEP_MS.length).fill(0);
  /** Strangers that the last pass left, plus users that may have become one since. */
  #estimate = 0;
  #isStopped = false;

  constructor(options: ForgetStrangersOptions) {
    this.#options = options;
  }

  /** Counts a user that left and is not watched. */
  left(): void {
    this.#estimate++;
  }

  /** Takes steps in the background. @returns a function that ends this. */
  start(): () => void {
    let timer: NodeJS.Timeout | undefined;
    const next = async (): Promise<void> => {
      const ms = this.#options.followed === undefined ? this.step() : await this.stepAsking();
      if (!this.#isStopped) wait(ms);
    };
    const wait = (ms: number): void => {
      timer = setTimeout(() => void next(), ms).unref();
    };
    wait(REST_MS);
    return () => {
      this.#isStopped = true;
      clearTimeout(timer);
    };
  }

  /** Like `step`, but asks first who is followed. */
  async stepAsking(): Promise<number> {
    const { store, followed, attempt } = this.#options;
    let asked: string[] = [];
    const isRead = attempt(() => {
      asked = store.strangersAfter(this.#at, STEP_ROWS).strangers.map(({ user }) => user);
    });
    if (!isRead || followed === undefined) return REST_MS;
    try {
      const mustStay = await followed(asked);
      const mayGo = new Set(asked.filter((user) => !mustStay.has(user)));
      return this.#isStopped ? REST_MS : this.step((user) => mayGo.has(user));
    } catch (error) {
      if (error instanceof StorageUnavailable) return REST_MS;
      throw error;
    }
  }

  /**
   * Takes one step. Reads the strangers itself, because some may have returned since they were asked about. @returns
   * milliseconds until the next one.
   */
  step(mayGo: (user: string) => boolean = () => true): number {
    const { store, now, isHeld, attempt } = this.#options;
    let last: string | undefined;
    const isDone = attempt(() => {
      const found = store.strangersAfter(this.#at, STEP_ROWS);
      last = found.last;
      const at = now();
      const strangers = found.strangers.filter(({ user, v }) => v < at && !isHeld(user) && mayGo(user));
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

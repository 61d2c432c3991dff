/**
 * The hub clock: versions are times that never go back (PROTOCOL.md section 1, `v`). It is the larger of the wall clock
 * and of all it gave out before, also before a restart: a ceiling is made durable ahead of what is given out, so that
 * the next run starts above it however this one ends. Reads no clock itself.
 */

/** How far ahead a ceiling is promised: one durable write for as long, while anything is given out at all. */
export const CEILING_AHEAD_MS = 500;
/** How long to go on without a promise where storage could not take it: an attempt may hold the loop for 200 ms. */
const RETRY_AFTER_MS = 2000;

export class VersionClock {
  #last: number;
  #largest: number;
  #ceiling: number;
  /** After an attempt that failed, the next one is made when the clock gets here. */
  #retryFrom = 0;
  readonly #raiseCeiling: (ceiling: number) => boolean;

  /**
   * `floor`: above everything an earlier run gave out. `raiseCeiling` makes the promise durable before it returns true.
   * Where it answers false the clock goes on all the same: presence must not end with the disk. Only an unclean end
   * before storage heals, together with a wall clock that was set back, could then give a version twice.
   */
  constructor(floor: number, raiseCeiling: (ceiling: number) => boolean) {
    this.#last = floor;
    this.#largest = floor;
    this.#ceiling = floor;
    this.#raiseCeiling = raiseCeiling;
  }

  /** The largest value given out, for a clean end: a burst of changes takes versions ahead of the clock. */
  get last(): number {
    return this.#largest;
  }

  /** Now, in hub-clock milliseconds: never less than before. */
  now(wallMs: number): number {
    if (wallMs > this.#last) this.#last = wallMs;
    this.#promise(this.#last);
    return this.#last;
  }

  /** The version of a change of an entry whose version was `previous`. */
  versionAfter(previous: number, wallMs: number): number {
    const version = Math.max(previous + 1, this.now(wallMs));
    this.#promise(version);
    return version;
  }

  /** The `at` of what is sent now: every change that comes later has a larger version. */
  sentUpTo(wallMs: number): number {
    return this.now(wallMs) - 1;
  }

  #promise(value: number): void {
    if (value > this.#largest) this.#largest = value;
    if (value <= this.#ceiling || this.#last < this.#retryFrom) return;
    const ceiling = value + CEILING_AHEAD_MS;
    if (this.#raiseCeiling(ceiling)) this.#ceiling = ceiling;
    else this.#retryFrom = this.#last + RETRY_AFTER_MS;
  }
}

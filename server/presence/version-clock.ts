/**
 * The hub clock: versions are times that never go back (PROTOCOL.md section 1, `v`). It is the larger of the wall clock
 * and all it has issued, also before a restart. A ceiling is made durable before values up to it are issued, so that
 * the next run starts above it however this one ends. Reads no clock itself.
 */

/** How far ahead a ceiling is set. While values are issued, there is one durable write per this time. */
export const CEILING_AHEAD_MS = 500;
/** How long to continue without a new ceiling if storage failed, because an attempt may block the loop for 200 ms. */
const RETRY_AFTER_MS = 2000;

export class VersionClock {
  #last: number;
  #largest: number;
  #ceiling: number;
  /** After a failed attempt, the next one is made when the clock reaches this value. */
  #retryFrom = 0;
  readonly #raiseCeiling: (ceiling: number) => boolean;

  /**
   * `floor` is above everything that an earlier run issued. `raiseCeiling` must make the ceiling durable before it
   * returns true. If it returns false, the clock continues all the same, because presence must not end with the disk. A
   * version could then be issued twice only if the hub ends uncleanly before storage recovers and the wall clock is
   * also set back.
   */
  constructor(floor: number, raiseCeiling: (ceiling: number) => boolean) {
    this.#last = floor;
    this.#largest = floor;
    this.#ceiling = floor;
    this.#raiseCeiling = raiseCeiling;
  }

  /** The largest issued value, for a clean end. A burst of changes moves versions ahead of the clock. */
  get last(): number {
    return this.#largest;
  }

  /** Now, in hub-clock milliseconds. Never less than before. */
  now(wallMs: number): number {
    if (wallMs > this.#last) this.#last = wallMs;
    this.#promise(this.#last);
    return this.#last;
  }

  /** Returns the version of a changed entry whose version was `previous`. */
  versionAfter(previous: number, wallMs: number): number {
    const version = Math.max(previous + 1, this.now(wallMs));
    this.#promise(version);
    return version;
  }

  /** Moves the clock beyond the version of a user who is forgotten, so that the user returns with a larger one. */
  pass(version: number): void {
    this.#last = Math.max(this.#last, version + 1);
    this.#promise(this.#last);
  }

  /** Returns the `at` of what is sent now. Every later change has a larger version. */
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

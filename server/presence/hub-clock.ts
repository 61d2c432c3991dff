/**
 * The hub clock: versions are times that never go back (PROTOCOL.md section 1, `v`). It is the larger of the wall clock
 * and of all it gave out before, also before a restart: a ceiling is made durable ahead of what is given out, so that
 * the next run starts above it however this one ends. Reads no clock itself.
 */

/** How far ahead a ceiling is promised: one durable write for as long, while anything is given out at all. */
const CEILING_AHEAD_MS = 500;

export class HubClock {
  #last: number;
  #ceiling: number;
  readonly #raiseCeiling: (ceiling: number) => void;

  /** `floor`: above everything an earlier run gave out. `raiseCeiling` must be durable before it returns. */
  constructor(floor: number, raiseCeiling: (ceiling: number) => void) {
    this.#last = floor;
    this.#ceiling = floor;
    this.#raiseCeiling = raiseCeiling;
  }

  /** The last value, for a clean end. */
  get last(): number {
    return this.#last;
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
    if (value <= this.#ceiling) return;
    const ceiling = value + CEILING_AHEAD_MS;
    this.#raiseCeiling(ceiling); // may throw: then nothing has been promised, and nothing is given out
    this.#ceiling = ceiling;
  }
}

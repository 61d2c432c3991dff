/**
 * A log for what a stranger can cause as often as it likes: at most one line in a time, and how many were left out.
 */
import type { Clock } from './clock.ts';

export class QuietLog {
  readonly #clock: Clock;
  readonly #everyMs: number;
  #nextAtMs = 0;
  #leftOut = 0;

  constructor(clock: Clock, everyMs = 1000) {
    this.#clock = clock;
    this.#everyMs = everyMs;
  }

  /** Calls `write` with the number of lines left out since the last one, if one may be written now. */
  maybe(write: (leftOut: number) => void): void {
    const { monoMs } = this.#clock.now();
    if (monoMs < this.#nextAtMs) {
      this.#leftOut++;
      return;
    }
    this.#nextAtMs = monoMs + this.#everyMs;
    write(this.#leftOut);
    this.#leftOut = 0;
  }
}

/**
 * A log for what a stranger can cause as often as it likes: one line a second at most, and how many were left out.
 */
import type { Clock } from './clock.ts';

const EVERY_MS = 1000;

export class QuietLog {
  readonly #clock: Clock;
  #nextAtMs = 0;
  #leftOut = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `write` with the number of lines left out since the last one, if one may be written now. */
  maybe(write: (leftOut: number) => void): void {
    const { monoMs } = this.#clock.now();
    if (monoMs < this.#nextAtMs) {
      this.#leftOut++;
      return;
    }
    this.#nextAtMs = monoMs + EVERY_MS;
    write(this.#leftOut);
    this.#leftOut = 0;
  }
}

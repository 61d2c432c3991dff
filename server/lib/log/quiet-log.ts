/** Limits log lines that a stranger can cause at will: at most one line per period, with the number of omitted ones. */
import type { Clock } from '../time/clock.ts';

export class QuietLog {
  readonly #clock: Clock;
  readonly #everyMs: number;
  #nextAtMs = 0;
  #leftOut = 0;

  constructor(clock: Clock, everyMs = 1000) {
    this.#clock = clock;
    this.#everyMs = everyMs;
  }

  /** Calls `write` if a line may be written now, with the number of lines omitted since the last one. */
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

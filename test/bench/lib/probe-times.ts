/**
 * The arithmetic of the probe: the longest answer since the last look, with what has not been answered yet. Pure but for
 * the clock that it is given.
 */

export interface ProbeFigures {
  readonly answers: number;
  /** Asked, and not answered with 200. */
  readonly failed: number;
  /** Includes the time for which a request that has no answer yet has waited. */
  readonly longestMs: number;
  /** Asked, and not answered yet. */
  readonly waiting: number;
  /** How late the probe itself was at most. */
  readonly ownLateMs: number;
}

export class ProbeTimes {
  readonly #now: () => number;
  readonly #waiting = new Set<{ readonly atMs: number }>();
  #longestMs = 0;
  #answers = 0;
  #failed = 0;
  #ownLateMs = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** @returns what to call when the answer has come. */
  asked(): (isGood: boolean) => void {
    const request = { atMs: this.#now() };
    this.#waiting.add(request);
    return (isGood) => {
      if (!this.#waiting.delete(request)) return;
      const ms = this.#now() - request.atMs;
      this.#longestMs = Math.max(this.#longestMs, ms);
      if (isGood) this.#answers += 1;
      else this.#failed += 1;
    };
  }

  wasLate(ms: number): void {
    this.#ownLateMs = Math.max(this.#ownLateMs, ms);
  }

  look(): ProbeFigures {
    for (const { atMs } of this.#waiting) this.#longestMs = Math.max(this.#longestMs, this.#now() - atMs);
    const figures = {
      answers: this.#answers,
      failed: this.#failed,
      longestMs: this.#longestMs,
      waiting: this.#waiting.size,
      ownLateMs: this.#ownLateMs,
    };
    this.#longestMs = 0;
    this.#answers = 0;
    this.#failed = 0;
    this.#ownLateMs = 0;
    return figures;
  }
}

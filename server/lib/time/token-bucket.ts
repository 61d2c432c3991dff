/**
 * A rate limit with a burst. Each use lowers the level by one, and time raises it again up to the burst. The level may
 * fall below zero, down to a debt as large as the burst, which bounds how long a user must wait. A bucket is only two
 * numbers, because there is one per connection.
 */

export interface Rate {
  readonly perS: number;
  /** What may be used at once after a rest. */
  readonly burst: number;
}

/** Returns after how long a bucket in the deepest debt is full again. */
export function longestRefillMs({ perS, burst }: Rate): number {
  return (2000 * burst) / perS;
}

export type Level = 'within' | 'over';

export class TokenBucket {
  #level: number;
  #filledAt: number;

  constructor({ burst }: Rate, monoMs: number) {
    this.#level = burst;
    this.#filledAt = monoMs;
  }

  /**
   * Uses one unit, or more for expensive work. The rate is an argument, because it may grow with what the connection
   * carries.
   */
  take(rate: Rate, monoMs: number, cost = 1): Level {
    this.#fill(rate, monoMs);
    const { burst } = rate;
    if (this.#level > -burst) this.#level = Math.max(-burst, this.#level - cost);
    return this.#level >= 0 ? 'within' : 'over';
  }

  /** The last result of `take`. */
  get isOver(): boolean {
    return this.#level < 0;
  }

  /** Returns what may be used at once now. */
  levelAt(rate: Rate, monoMs: number): number {
    this.#fill(rate, monoMs);
    return this.#level;
  }

  /** Returns how long until one more unit is within the rate, in milliseconds; 0 for now. */
  waitMs({ perS }: Rate): number {
    return this.#level >= 1 ? 0 : Math.ceil(((1 - this.#level) * 1000) / perS);
  }

  #fill({ perS, burst }: Rate, monoMs: number): void {
    this.#level = Math.min(burst, this.#level + ((monoMs - this.#filledAt) * perS) / 1000);
    this.#filledAt = monoMs;
  }
}

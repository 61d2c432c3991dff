/**
 * A rate with a burst: the level falls by one with each use and rises again with time, up to the burst. It goes on
 * falling below zero, down to a debt as large as the burst: so long has the user to wait at most. Two numbers, since there
 * is one a connection.
 */

export interface Rate {
  readonly perS: number;
  /** What may be used at once after a rest. */
  readonly burst: number;
}

/** A bucket in the deepest debt is full again after this. */
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

  /** Uses one, or more for what is dear. The rate is an argument, since it may grow with what the connection carries. */
  take(rate: Rate, monoMs: number, cost = 1): Level {
    this.#fill(rate, monoMs);
    const { burst } = rate;
    if (this.#level > -burst) this.#level = Math.max(-burst, this.#level - cost);
    return this.#level >= 0 ? 'within' : 'over';
  }

  /** As `take` said last. */
  get isOver(): boolean {
    return this.#level < 0;
  }

  /** Uses that much where it is within the rate, and nothing where it is not. */
  takeWithin(rate: Rate, monoMs: number, cost: number): boolean {
    this.#fill(rate, monoMs);
    if (this.#level < cost) return false;
    this.#level -= cost;
    return true;
  }

  /** What may be used at once now. */
  levelAt(rate: Rate, monoMs: number): number {
    this.#fill(rate, monoMs);
    return this.#level;
  }

  /** How long until one more is within the rate, milliseconds; 0 for now. */
  waitMs({ perS }: Rate): number {
    return this.#level >= 1 ? 0 : Math.ceil(((1 - this.#level) * 1000) / perS);
  }

  #fill({ perS, burst }: Rate, monoMs: number): void {
    this.#level = Math.min(burst, this.#level + ((monoMs - this.#filledAt) * perS) / 1000);
    this.#filledAt = monoMs;
  }
}

/**
 * How many requests each caller may make: a bucket for each, in a map that forgets those at rest and can't grow beyond
 * its bound. Knows no request; callers.ts names the callers.
 */
import type { Clock } from '../lib/clock.ts';
import { TokenBucket, type Rate } from '../lib/token-bucket.ts';

/** 20 MB when full. More callers than this at once make the hub forget the debts of those that came first. */
const MAX_CALLERS = 100_000;

export class CallerRates {
  readonly #rate: Rate;
  readonly #clock: Clock;
  readonly #maxOfEach: number;
  /** From the deepest debt a bucket is full again after this. */
  readonly #fullAfterMs: number;
  // Two generations: what nobody has used for a whole one has been full for long, and goes all at once with it.
  #young = new Map<string, TokenBucket>();
  #old = new Map<string, TokenBucket>();
  #turnsAtMs: number;

  constructor(rate: Rate, clock: Clock, maxCallers = MAX_CALLERS) {
    this.#rate = rate;
    this.#clock = clock;
    this.#maxOfEach = Math.ceil(maxCallers / 2);
    this.#fullAfterMs = (2000 * rate.burst) / rate.perS;
    this.#turnsAtMs = clock.now().monoMs + this.#fullAfterMs;
  }

  /** Callers that are remembered. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /**
   * One more request of this caller, or a cheaper one. @returns how long it has to wait first, milliseconds; 0 where it is
   * within the rate.
   */
  take(caller: string, units = 1): number {
    const { monoMs } = this.#clock.now();
    if (monoMs >= this.#turnsAtMs) this.#turn(monoMs);
    const bucket = this.#bucketOf(caller, monoMs);
    return bucket.take(this.#rate, monoMs, units) === 'within' ? 0 : bucket.waitMs(this.#rate);
  }

  #bucketOf(caller: string, monoMs: number): TokenBucket {
    const known = this.#young.get(caller);
    if (known !== undefined) return known;
    const bucket = this.#old.get(caller) ?? new TokenBucket(this.#rate, monoMs);
    this.#old.delete(caller);
    if (this.#young.size >= this.#maxOfEach) this.#turn(monoMs);
    this.#young.set(caller, bucket);
    return bucket;
  }

  #turn(monoMs: number): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#turnsAtMs = monoMs + this.#fullAfterMs;
  }
}

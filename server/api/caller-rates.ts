/** How many requests each caller may make. Knows no request; callers.ts names the callers. */
import type { Clock } from '../lib/clock.ts';
import { RecentMap } from '../lib/recent-map.ts';
import { longestRefillMs, TokenBucket, type Rate } from '../lib/token-bucket.ts';

/** 20 MB when full. More callers than this at once make the hub forget the debts of those that came first. */
const MAX_CALLERS = 100_000;

export class CallerRates {
  readonly #rate: Rate;
  readonly #clock: Clock;
  readonly #buckets: RecentMap<string, TokenBucket>;

  constructor(rate: Rate, clock: Clock, maxCallers = MAX_CALLERS) {
    this.#rate = rate;
    this.#clock = clock;
    this.#buckets = new RecentMap({ keepMs: longestRefillMs(rate), capacity: maxCallers });
  }

  /** Callers that are remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  /**
   * One more request of this caller, or a cheaper one. @returns how long it has to wait first, milliseconds; 0 where it is
   * within the rate.
   */
  take(caller: string, units = 1): number {
    const { monoMs } = this.#clock.now();
    const bucket = this.#buckets.get(caller, monoMs, () => new TokenBucket(this.#rate, monoMs));
    return bucket.take(this.#rate, monoMs, units) === 'within' ? 0 : bucket.waitMs(this.#rate);
  }
}

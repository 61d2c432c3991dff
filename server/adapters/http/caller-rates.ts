/** The request rates of the callers. callers.ts names the callers; this file does not see requests. */
import type { Clock } from '../../lib/time/clock.ts';
import { RecentMap } from '../../lib/collections/recent-map.ts';
import { longestRefillMs, TokenBucket, type Rate } from '../../lib/time/token-bucket.ts';

/** 20 MB when full. With more simultaneous callers than this, the hub forgets the debts of the earliest ones. */
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

  get size(): number {
    return this.#buckets.size;
  }

  /** Charges `units` to this caller. @returns the milliseconds that it must wait first; 0 if it is within its rate. */
  take(caller: string, units = 1): number {
    const { monoMs } = this.#clock.now();
    const bucket = this.#buckets.get(caller, monoMs, () => new TokenBucket(this.#rate, monoMs));
    return bucket.take(this.#rate, monoMs, units) === 'within' ? 0 : bucket.waitMs(this.#rate);
  }

  /** @returns the milliseconds that a caller in debt must wait; 0 if it is in none. Charges nothing. */
  debtMs(caller: string): number {
    return this.take(caller, 0);
  }
}

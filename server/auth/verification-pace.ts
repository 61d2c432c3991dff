/**
 * Limits what bad tokens cost the hub: one verification takes 60 to 160 µs. Each verification is charged to the address
 * before it begins, and a good token's charge is refunded. So good tokens cost an address nothing, however many arrive
 * at once, and bad ones use up its rate. An address that has exceeded its rate gets no more verifications. This file
 * does not read tokens.
 */
import type { Clock } from '../lib/time/clock.ts';
import { RecentMap } from '../lib/collections/recent-map.ts';
import { longestRefillMs, TokenBucket, type Rate } from '../lib/time/token-bucket.ts';
import { TurnBudget } from '../lib/time/turn-budget.ts';
import type { Undecided, Verdict } from './authenticator.ts';
import { neighbourhoodOf } from './cidrs.ts';

/** 20 MB when full. */
const MAX_ADDRESSES = 100_000;
/** In units of `TurnBudget`: 50 verifications take 3 to 8 ms. */
const VERIFICATION_COST = 40;

/** Verifications for one address. */
interface Account {
  readonly bucket: TokenBucket;
  /** Verifications that are charged and have no verdict yet. */
  underWay: number;
  /** Verifications that wait because the rest of the rate is under way. The verdicts decide whether there is room. */
  readonly waiting: ((mayVerify: boolean) => void)[];
}

export class VerificationPace {
  readonly #rate: Rate;
  readonly #clock: Clock;
  readonly #turns = new TurnBudget();
  readonly #accounts: RecentMap<string, Account>;

  /** `rate`: the allowed bad tokens of one address. */
  constructor(rate: Rate, clock: Clock) {
    this.#rate = rate;
    this.#clock = clock;
    this.#accounts = new RecentMap({ keepMs: longestRefillMs(rate), capacity: MAX_ADDRESSES });
  }

  /** Verifies, or returns when the next token of this address may be verified. */
  async run(address: string, verify: () => Promise<Verdict>): Promise<Verdict> {
    const account = this.#accountOf(neighbourhoodOf(address));
    if (!(await this.#mayVerify(account))) return this.#busy(account);
    const turn = this.#turns.take(VERIFICATION_COST);
    if (turn !== undefined) await turn;
    let isGood = false;
    try {
      const verdict = await verify();
      isGood = verdict.ok;
      return verdict;
    } finally {
      this.#settle(account, isGood);
    }
  }

  #accountOf(address: string): Account {
    const { monoMs } = this.#clock.now();
    const make = (): Account => ({ bucket: new TokenBucket(this.#rate, monoMs), underWay: 0, waiting: [] });
    return this.#accounts.get(address, monoMs, make);
  }

  #mayVerify(account: Account): boolean | Promise<boolean> {
    if (this.#charge(account)) return true;
    return account.underWay > 0 && new Promise((decide) => account.waiting.push(decide));
  }

  #charge(account: Account): boolean {
    if (account.bucket.levelAt(this.#rate, this.#clock.now().monoMs) - account.underWay < 1) return false;
    account.underWay++;
    return true;
  }

  #settle(account: Account, isGood: boolean): void {
    account.underWay--;
    if (!isGood) account.bucket.take(this.#rate, this.#clock.now().monoMs);
    let decided = 0;
    for (const decide of account.waiting) {
      const mayVerify = this.#charge(account);
      if (!mayVerify && account.underWay > 0) break;
      decide(mayVerify);
      decided++;
    }
    account.waiting.splice(0, decided);
  }

  #busy({ bucket }: Account): Undecided {
    const why = 'too many bad tokens came from its address, so it was not verified';
    return { ok: false, kind: 'unavailable', fault: 'busy', why, retryInMs: Math.max(1, bucket.waitMs(this.#rate)) };
  }
}

/**
 * Creates events with the current state of users whose events the store may have lost: after a failover that lost
 * acknowledged writes, or after a flush. Users whose event still exists get none.
 */
import type { Rule } from '../../webhooks/rules.ts';
import { bucketOf } from '../bucket.ts';
import type { EventStore } from './event-store.ts';

export interface RestatingOptions {
  readonly store: Pick<EventStore, 'restate'>;
  readonly buckets: number;
  readonly mostInBucket: number;
  readonly rules: () => readonly Rule[];
  readonly newOp: () => string;
  readonly nowMs: () => number;
}

/** Maximum users of one call. */
const AT_ONCE = 200;
/** After a loss, other nodes restate events too. How long, and how often, this node searches for those. */
const UNSETTLED_MS = 15_000;
const CHECK_EVERY_MS = 3000;

export class Restating {
  readonly #options: RestatingOptions;
  /** By rule; '' stands for all rules of this node. */
  readonly #lost = new Map<string, Set<string>>();
  #isBusy = false;
  #unsettledUntilMs = -Infinity;
  #nextCheckMs = 0;

  constructor(options: RestatingOptions) {
    this.#options = options;
  }

  forked(): void {
    this.#unsettledUntilMs = this.#options.nowMs() + UNSETTLED_MS;
  }

  add(users: Iterable<string>, rule = ''): void {
    let lost = this.#lost.get(rule);
    for (const user of users) {
      if (lost === undefined) this.#lost.set(rule, (lost = new Set()));
      lost.add(user);
    }
  }

  /** Returns whether to search for events that other nodes restated. */
  tick(): boolean {
    if (this.#lost.size > 0 && !this.#isBusy) void this.#restate();
    const nowMs = this.#options.nowMs();
    if (nowMs > this.#unsettledUntilMs || nowMs < this.#nextCheckMs) return false;
    this.#nextCheckMs = nowMs + CHECK_EVERY_MS;
    return true;
  }

  async #restate(): Promise<void> {
    this.#isBusy = true;
    const lost = [...this.#lost];
    this.#lost.clear();
    try {
      for (const [name, users] of lost) {
        const rules = this.#options.rules().filter((rule) => name === '' || rule.name === name);
        for (const rule of rules) await this.#restateFor(rule, users);
      }
    } catch {
      // The store is away again. All users are restated again later.
      for (const [name, users] of lost) this.add(users, name);
    }
    this.#isBusy = false;
  }

  async #restateFor({ name, includesUser, on, afterMs }: Rule, users: ReadonlySet<string>): Promise<void> {
    const { store, buckets, mostInBucket, newOp } = this.#options;
    const byBucket = new Map<number, string[]>();
    for (const user of users) {
      if (!includesUser(user)) continue;
      const bucket = bucketOf(user, buckets);
      const some = byBucket.get(bucket);
      if (some === undefined) byBucket.set(bucket, [user]);
      else some.push(user);
    }
    for (const [bucket, all] of byBucket) {
      for (let i = 0; i < all.length; i += AT_ONCE) {
        const options = { op: newOp(), on: [...on], afterMs, most: mostInBucket };
        await store.restate(bucket, name, all.slice(i, i + AT_ONCE), options);
      }
    }
  }
}

/** Counts the events of all nodes, for operators. Asks the store at most every two seconds. */
import type { QueueCounts } from '../../webhooks/queue.ts';
import type { EventStore } from './event-store.ts';

interface Counted {
  readonly counts: ReadonlyMap<string, QueueCounts>;
  /** For how long the oldest event of each rule has been due. */
  readonly oldestForMs: ReadonlyMap<string, number>;
}

const COUNTED_FOR_MS = 2000;
const AT_ONCE = 32;

export class QueueCounter {
  readonly #store: Pick<EventStore, 'counts' | 'batchCounts'>;
  readonly #buckets: number;
  readonly #nowMs: () => number;
  #last: { readonly atMs: number; readonly rules: string; readonly counted: Promise<Counted> } | undefined;

  constructor(store: Pick<EventStore, 'counts' | 'batchCounts'>, buckets: number, nowMs: () => number) {
    this.#store = store;
    this.#buckets = buckets;
    this.#nowMs = nowMs;
  }

  count(rules: readonly string[]): Promise<Counted> {
    const names = rules.join();
    if (this.#last?.rules === names && this.#nowMs() - this.#last.atMs < COUNTED_FOR_MS) return this.#last.counted;
    const counted = this.#countAll(rules);
    this.#last = { atMs: this.#nowMs(), rules: names, counted };
    // A failure must not be cached.
    counted.catch(() => (this.#last = undefined));
    return counted;
  }

  /** Drops the cached counts, because events were changed. */
  forget(): void {
    this.#last = undefined;
  }

  async #countAll(rules: readonly string[]): Promise<Counted> {
    const counts = new Map<string, QueueCounts>();
    const oldest = new Map<string, number>();
    for (const rule of rules) {
      const { sent, replayed, dead, sentForMs } = await this.#store.batchCounts(rule);
      counts.set(rule, { queued: sent + replayed, dead });
      if (sentForMs !== undefined) oldest.set(rule, sentForMs);
    }
    for (let from = 0; from < this.#buckets && rules.length > 0; from += AT_ONCE) {
      const some = Array.from({ length: Math.min(AT_ONCE, this.#buckets - from) }, (_, i) => from + i);
      for (const found of await Promise.all(some.map((bucket) => this.#store.counts(bucket, rules)))) {
        for (const [i, rule] of rules.entries()) {
          const { waiting = 0, taken = 0, oldestForMs } = found[i] ?? {};
          const { queued = 0, dead = 0 } = counts.get(rule) ?? {};
          counts.set(rule, { queued: queued + waiting + taken, dead });
          if (oldestForMs !== undefined) oldest.set(rule, Math.max(oldestForMs, oldest.get(rule) ?? -Infinity));
        }
      }
    }
    return { counts, oldestForMs: oldest };
  }
}

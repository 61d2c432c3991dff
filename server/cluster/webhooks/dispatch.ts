/**
 * Passes the events of the rules that this node sends to their senders, one batch after the other. Events are taken in
 * their buckets, stored as a batch, and only then deleted from the buckets. If this node dies in between, nothing is lost
 * or reordered. A claim in the store prevents two nodes from sending a rule at the same time.
 */
import { MAX_WEBHOOK_EVENTS } from '../../../shared/limits.ts';
import type { Batch } from '../../webhooks/queue.ts';
import type { EventStore, TakenEvent } from './event-store.ts';
import { RuleQueue } from './rule-queue.ts';

export interface DispatchOptions {
  readonly store: EventStore;
  readonly buckets: number;
  /** HUB_WEBHOOK_MAX. */
  readonly most: number;
  readonly inc: () => string;
  readonly hasEnded: (inc: string) => boolean;
  /** Whether the store answers and this node has recovered. */
  readonly isUp: () => boolean;
  /** A clock in milliseconds that never goes back. */
  readonly nowMs: () => number;
  /** Wall clock. */
  readonly wallMs: () => number;
}

interface Delegate {
  /** Whether this node sends the rule. */
  readonly isMine: (rule: string) => boolean;
  /** The longest delay of an event of the rule. */
  readonly afterMsOf: (rule: string) => number;
  /** The event in the JSON form that is sent. */
  readonly jsonOf: (rule: string, bucket: number, event: TakenEvent) => string;
}

interface TakenFrom {
  readonly bucket: number;
  readonly event: TakenEvent;
}

/** Number of buckets that are searched concurrently. */
const AT_ONCE = 32;
const RECHECK_MS = 1000;

export class Dispatch {
  readonly #options: DispatchOptions & Delegate;
  readonly queues = new Map<string, RuleQueue>();

  constructor(options: DispatchOptions & Delegate) {
    this.#options = options;
  }

  /** Begins to send a rule. */
  begin(rule: string): void {
    if (!this.queues.has(rule)) this.queues.set(rule, new RuleQueue(this.#options.buckets));
  }

  scanAll(): void {
    for (const queue of this.queues.values()) queue.scanAll(this.#options.buckets);
  }

  /** See `EventQueue`. */
  async batchOf(rule: string): Promise<Batch | undefined> {
    const { store, inc, isUp, hasEnded, isMine, nowMs } = this.#options;
    const queue = this.queues.get(rule);
    if (queue === undefined || !isUp()) return undefined;
    if (!isMine(rule)) {
      this.queues.delete(rule);
      if (queue.isClaimed) await store.release(rule, inc());
      return undefined;
    }
    const isIdle = !queue.mayHaveBatch && queue.batch === undefined && (queue.nextScanMs ?? Infinity) > nowMs();
    if (isIdle) return undefined;
    const claim = await store.claim(rule, inc(), queue.endedHolder);
    queue.isClaimed = claim.kind === 'granted';
    if (claim.kind === 'refused') {
      queue.endedHolder = hasEnded(claim.holder) ? claim.holder : '';
      queue.mayHaveBatch = true;
      return undefined;
    }
    const { batch } = claim;
    queue.replayed = claim.replayed;
    queue.foundBatch(batch, nowMs());
    if (batch !== undefined && queue.clearedFor !== batch.id) {
      await store.clear(rule, batch.taken);
      queue.clearedFor = batch.id;
    }
    return batch;
  }

  /** See `EventQueue`. */
  async formBatch(
    rule: string,
    wallMs: number,
    isHeld: (user: string) => boolean,
    toBody: (events: readonly string[]) => Pick<Batch, 'id' | 'body'>,
  ): Promise<Batch | undefined> {
    const { store, inc, jsonOf } = this.#options;
    const queue = this.queues.get(rule);
    if (queue?.isClaimed !== true || queue.batch !== undefined) return undefined;
    const replayed = queue.replayed === 0 ? [] : await store.replayed(rule, MAX_WEBHOOK_EVENTS);
    const found = replayed.length > 0 ? [] : await this.#take(rule, queue, isHeld);
    const events = [...replayed, ...found.map(({ bucket, event }) => jsonOf(rule, bucket, event))];
    if (events.length === 0) return undefined;
    const taken = found.map(({ bucket, event: { user, id } }) => ({ bucket, user, id }));
    const message = toBody(events);
    const batch = { ...message, count: events.length, formedAt: wallMs, attempts: 0, nextAt: wallMs, taken };
    if (!(await store.store(rule, inc(), batch, replayed.length))) {
      // Another node sends the rule now. It finds the taken events in the store.
      queue.scanAll(this.#options.buckets);
      queue.isClaimed = false;
      return undefined;
    }
    queue.batch = batch;
    await store.clear(rule, taken);
    queue.clearedFor = batch.id;
    return batch;
  }

  /** See `EventQueue`. */
  nextDueAt(rule: string): number | undefined {
    const { wallMs, nowMs, isUp } = this.#options;
    const queue = this.queues.get(rule);
    if (queue === undefined) return undefined;
    if (!isUp() || queue.mayHaveBatch) return wallMs() + RECHECK_MS;
    const next = queue.nextScanMs;
    return next === undefined ? undefined : wallMs() + Math.max(0, next - nowMs());
  }

  /** Notes a failed attempt. */
  async retry(rule: string, attempts: number, nextAt: number): Promise<void> {
    const { store, inc } = this.#options;
    const queue = this.queues.get(rule);
    if (queue?.batch === undefined) return;
    queue.batch = { ...queue.batch, attempts, nextAt };
    await store.postpone(rule, inc(), queue.batch);
  }

  /** Removes the batch, and keeps its events as dead ones if it was not delivered. */
  async settle(rule: string, isDelivered: boolean): Promise<void> {
    const { store, inc, most } = this.#options;
    const queue = this.queues.get(rule);
    const batch = queue?.batch;
    if (queue === undefined || batch === undefined) return;
    // Of what is in the store now: a user may have been erased since.
    const claim = isDelivered ? undefined : await store.claim(rule, inc());
    const dead = claim?.kind === 'granted' && claim.batch?.id === batch.id ? eventsIn(claim.batch.body) : [];
    await store.settle(rule, inc(), batch.id, dead, most);
    queue.batch = undefined;
    queue.mayHaveBatch = false;
    // The next claim returns how many events are replayed.
    if (queue.replayed > 0) queue.mayHaveBatch = true;
  }

  /** Releases all claims, so that other nodes continue at once. */
  async stop(): Promise<void> {
    const { store, inc } = this.#options;
    const claimed = [...this.queues].filter(([, { isClaimed }]) => isClaimed);
    this.queues.clear();
    await Promise.allSettled(claimed.map(([rule]) => store.release(rule, inc())));
  }

  async #take(rule: string, queue: RuleQueue, isHeld: (user: string) => boolean): Promise<TakenFrom[]> {
    const found: TakenFrom[] = [];
    const due = queue.due(this.#options.nowMs());
    for (let i = 0; i < due.length && found.length < MAX_WEBHOOK_EVENTS; i += AT_ONCE) {
      const some = due.slice(i, i + AT_ONCE);
      const limit = Math.ceil((MAX_WEBHOOK_EVENTS - found.length) / some.length);
      const taken = await Promise.all(some.map((bucket) => this.#takeFrom(rule, queue, bucket, limit)));
      found.push(...taken.flat());
    }
    const wanted = found.filter(({ event }) => !isHeld(event.user)).slice(0, MAX_WEBHOOK_EVENTS);
    const kept = new Set(wanted);
    for (const one of found) if (!kept.has(one)) queue.scheduleScan(one.bucket, this.#options.nowMs() + RECHECK_MS);
    return wanted;
  }

  async #takeFrom(rule: string, queue: RuleQueue, bucket: number, limit: number): Promise<TakenFrom[]> {
    const { store, nowMs, afterMsOf } = this.#options;
    const wantsUsers = queue.isUnknown(bucket);
    queue.beginScan(bucket);
    try {
      const { events, nextInMs, users } = await store.take(bucket, rule, {
        ...{ limit, wantsUsers, afterMs: afterMsOf(rule) },
      });
      queue.endScan(bucket, nextInMs === undefined ? undefined : nowMs() + nextInMs, users, nowMs());
      // A batch has at most one event of a user. A second one stays in the bucket until the first is cleared.
      return events.map((event) => ({ bucket, event }));
    } catch (error) {
      queue.scheduleScan(bucket, nowMs());
      throw error;
    }
  }
}

/** The events of a message, as JSON. */
function eventsIn(body: string): string[] {
  return (JSON.parse(body) as { events: unknown[] }).events.map((event) => JSON.stringify(event));
}

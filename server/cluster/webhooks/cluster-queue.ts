/**
 * The queue of webhook events in a cluster. Nodes write events together with the changes; of each rule, one node sends
 * them, and another one if that node is gone. Any node may list and replay. Must not know how events are posted.
 */
import { eventJson, type Batch, type EventQueue, type QueueCounts, type WebhookEvent } from '../../webhooks/queue.ts';
import type { Rule } from '../../webhooks/rules.ts';
import { bucketOf } from '../bucket.ts';
import type { EventStep, StepResult, Stored } from '../engine.ts';
import type { NodeEvents, RecordChange } from '../node-events.ts';
import { readStored } from '../record/message.ts';
import type { Shares } from '../shares/shares.ts';
import { Dispatch, type DispatchOptions } from './dispatch.ts';
import { stepsOf } from './event-rules.ts';
import type { TakenEvent } from './event-store.ts';
import { QueueCounter } from './queue-counts.ts';
import { Restating } from './restating.ts';

export interface ClusterQueueOptions extends DispatchOptions {
  readonly shares: Pick<Shares, 'offer' | 'isMine' | 'owner' | 'onChange'>;
  readonly newOp: () => string;
  /** The entry of a record as a stranger with the scope `observe` sees it, as JSON. */
  readonly entryOf: (user: string, stored: Stored) => string;
  /** Events of a rule may be due. */
  readonly wake: (rule: string) => void;
  /** What became of other events of a rule. */
  readonly onApplied: (rule: string, applied: { replaced: number; dropped: number }) => void;
  /** Tells the node that sends a rule that dead events of it are sent again. */
  readonly tellReplayed: (inc: string, rule: string) => void;
  readonly warn: (text: string) => void;
}

/** How long a sender waits after a new event, so that several become one batch. */
const GATHER_MS = 50;
/** How often a sender reads all buckets, in case it has missed an event. */
const SCAN_ALL_EVERY_MS = 60_000;
/** How long a rule of no node is kept, because nodes read their files one after the other. */
const KEEP_RULES_MS = 60_000;
const NO_RECORD: Stored = { n: 0, v: 0, op: '-', t: 0, body: '' };

export class ClusterQueue implements EventQueue, NodeEvents {
  readonly #options: ClusterQueueOptions;
  readonly #dispatch: Dispatch;
  readonly #restating: Restating;
  readonly #counter: QueueCounter;
  #rules: readonly Rule[] = [];
  readonly #waking = new Map<string, NodeJS.Timeout>();
  #scanAllAtMs = 0;
  /** When rules that no node has are deleted. */
  #dropsAtMs = Infinity;

  constructor(options: ClusterQueueOptions) {
    this.#options = options;
    const { store, buckets, nowMs, shares } = options;
    this.#dispatch = new Dispatch({
      ...options,
      isMine: (rule) => shares.isMine('rule', rule),
      afterMsOf: (rule) => this.#rules.find(({ name }) => name === rule)?.afterMs ?? 0,
      jsonOf: (rule, _bucket, event) => this.#jsonOf(rule, event),
    });
    this.#restating = new Restating({ ...options, mostInBucket: this.#mostInBucket, rules: () => this.#rules });
    this.#counter = new QueueCounter(store, buckets, nowMs);
    shares.onChange.push(() => this.#share());
  }

  // What nodes report

  stepsOf(change: RecordChange): readonly EventStep[] {
    return stepsOf(this.#rules, change, this.#mostInBucket);
  }

  applied(steps: readonly EventStep[], results: readonly StepResult[]): void {
    for (const [i, { rule }] of steps.entries()) {
      if (results[i] === 'replaced') this.#options.onApplied(rule, { replaced: 1, dropped: 0 });
      if (results[i] === 'dropped') this.#options.onApplied(rule, { replaced: 0, dropped: 1 });
    }
  }

  received(bucket: number, user: string, { v, n, body }: Stored): void {
    const { queues } = this.#dispatch;
    if (v !== n || queues.size === 0) return;
    const [, status] = /^\{"s":"(\w+)"/.exec(body) ?? [];
    for (const { name, includesUser, on, afterMs } of this.#rules) {
      const queue = queues.get(name);
      if (queue === undefined || !includesUser(user) || ![...on].some((wanted) => wanted === status)) continue;
      queue.addUser(bucket, user);
      queue.scheduleScan(bucket, this.#options.nowMs() + afterMs);
      this.#wakeSoon(name);
    }
  }

  readAgain(bucket: number, lost: readonly string[]): void {
    this.#restating.add(lost);
    for (const [rule, queue] of this.#dispatch.queues) {
      queue.scheduleScan(bucket, this.#options.nowMs());
      this.#wakeSoon(rule);
    }
  }

  forked(): void {
    this.#restating.forked();
    for (const [rule, queue] of this.#dispatch.queues) this.#restating.add(queue.users(), rule);
    this.#scanAll();
  }

  /** Does what is due. Must be called about ten times a second. */
  tick(): void {
    const { isUp, nowMs } = this.#options;
    if (!isUp()) return;
    if (this.#restating.tick() || nowMs() >= this.#scanAllAtMs) this.#scanAll();
    if (nowMs() < this.#dropsAtMs) return;
    this.#dropsAtMs = Infinity;
    this.#dropForeign().catch(() => this.keepOnly());
  }

  /** These rules hold on this node from now on. */
  useRules(rules: readonly Rule[]): void {
    this.#rules = rules;
    this.#options.shares.offer(
      'rule',
      rules.map(({ name }) => name),
    );
    this.#share();
  }

  /** Deletes the rules that no node has, but later: other nodes may be about to read their files. */
  keepOnly(): number {
    this.#dropsAtMs = this.#options.nowMs() + KEEP_RULES_MS;
    return 0;
  }

  // What senders need

  batchOf(rule: string): Promise<Batch | undefined> {
    return this.#dispatch.batchOf(rule);
  }

  formBatch(...args: Parameters<EventQueue['formBatch']>): Promise<Batch | undefined> {
    return this.#dispatch.formBatch(...args);
  }

  /** Does nothing, because taking events corrects due times that are too late. */
  bringForward(): void {
    return undefined;
  }

  nextDueAt(rule: string): number | undefined {
    return this.#dispatch.nextDueAt(rule);
  }

  delivered(rule: string): Promise<void> {
    return this.#dispatch.settle(rule, true);
  }

  retry(rule: string, attempts: number, nextAt: number): Promise<void> {
    return this.#dispatch.retry(rule, attempts, nextAt);
  }

  markDead(rule: string): Promise<void> {
    return this.#dispatch.settle(rule, false);
  }

  stop(): Promise<void> {
    for (const timer of this.#waking.values()) clearTimeout(timer);
    this.#waking.clear();
    return this.#dispatch.stop();
  }

  // What operators ask on any node

  async replay(rule: string): Promise<number> {
    const { store, shares, tellReplayed } = this.#options;
    const count = await store.replay(rule);
    this.#counter.forget();
    const owner = shares.owner('rule', rule);
    if (count > 0 && owner !== undefined) tellReplayed(owner, rule);
    return count;
  }

  async counts(): Promise<ReadonlyMap<string, QueueCounts>> {
    return (await this.#counter.count(this.#rules.map(({ name }) => name))).counts;
  }

  async oldestDueAt(rule: string): Promise<number | undefined> {
    const { oldestForMs } = await this.#counter.count(this.#rules.map(({ name }) => name));
    const forMs = oldestForMs.get(rule);
    return forMs === undefined ? undefined : this.#options.wallMs() - forMs;
  }

  async eventsOf(user: string): Promise<readonly string[]> {
    const { store, buckets } = this.#options;
    const events: string[] = [];
    for (const rule of await store.rules()) {
      const { sent, waiting } = await store.eventsOf(user, bucketOf(user, buckets), rule);
      events.push(...sent, ...waiting.map((event) => this.#jsonOf(rule, event)));
    }
    return events;
  }

  async eraseUser(user: string): Promise<void> {
    const { store, buckets } = this.#options;
    for (const rule of await store.rules()) await store.eraseUser(user, bucketOf(user, buckets), rule);
  }

  /** Looks for what another node has had sent again. */
  replayed(rule: string): void {
    const queue = this.#dispatch.queues.get(rule);
    if (queue === undefined) return;
    queue.mayHaveBatch = true;
    this.#options.wake(rule);
  }

  get #mostInBucket(): number {
    return Math.ceil(this.#options.most / this.#options.buckets);
  }

  /** Begins to send the rules that are this node's now. A sender ceases by itself. */
  #share(): void {
    for (const { name } of this.#rules) {
      const isMine = this.#options.shares.isMine('rule', name);
      if (isMine && !this.#dispatch.queues.has(name)) {
        this.#dispatch.begin(name);
        this.#options.store.addRule(name).catch(() => undefined);
      }
      // Another node may send it for a while.
      const queue = this.#dispatch.queues.get(name);
      if (queue !== undefined && !isMine) queue.mayHaveBatch = true;
      this.#options.wake(name);
    }
  }

  #scanAll(): void {
    this.#scanAllAtMs = this.#options.nowMs() + SCAN_ALL_EVERY_MS;
    this.#dispatch.scanAll();
    for (const rule of this.#dispatch.queues.keys()) this.#wakeSoon(rule);
  }

  #wakeSoon(rule: string): void {
    if (this.#waking.has(rule)) return;
    const timer = setTimeout(() => {
      this.#waking.delete(rule);
      this.#options.wake(rule);
    }, GATHER_MS);
    this.#waking.set(rule, timer);
  }

  #jsonOf(rule: string, { user, id, from, status, cause, record }: TakenEvent): string {
    const stored = readStored(record) ?? NO_RECORD;
    const event = {
      id,
      rule,
      user,
      at: stored.t,
      from,
      status,
      cause,
      entry: this.#options.entryOf(user, stored),
      dueAt: 0,
    };
    return eventJson(event as WebhookEvent);
  }

  async #dropForeign(): Promise<void> {
    const { store, shares, warn } = this.#options;
    for (const rule of await store.rules()) {
      if (shares.owner('rule', rule) !== undefined) continue;
      await store.dropRule(rule);
      warn(`the webhook events of the rule ${JSON.stringify(rule)} were deleted: no hub has it any more`);
    }
  }
}

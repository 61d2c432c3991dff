/**
 * Reports changes of entries to the receivers that the rules name: runs a sender for each rule, and answers requests of
 * operators. Must not know how events enter the queue, and must not read files or settings.
 */
import { randomUUID } from 'node:crypto';
import type { Cidrs } from '../auth/cidrs.ts';
import type { UserStatus } from '../../shared/status.ts';
import { post, type Outcome } from './post.ts';
import type { Applied, EventQueue, QueueCounts } from './queue.ts';
import { publicUrl, type Rule } from './rules.ts';
import { Sender, type SendResult } from './sender.ts';

export interface WebhooksOptions {
  readonly queue: EventQueue;
  /** Called after the senders have stopped, before the rules are replaced or the hub stops. */
  readonly onPause: () => void;
  /** Called when these rules take effect. */
  readonly onRules: (rules: readonly Rule[]) => void;
  /** Whether the state of this user (undefined: of all users) is uncertain. */
  readonly isStale: (user?: string) => boolean;
  /** The name of the hub, for the body. */
  readonly hub: string;
  readonly keepMs: number;
  /** Link-local addresses that receivers may have. */
  readonly allowed: Cidrs;
  /** Wall clock, in milliseconds. */
  readonly now: () => number;
  readonly log: Log;
  /** The queue failed, or works again (undefined). */
  readonly onHealth: (error: unknown) => void;
}

interface Log {
  readonly info: (facts: object, text: string) => void;
  readonly warn: (facts: object, text: string) => void;
}

export interface RuleState extends QueueCounts {
  readonly name: string;
  /** Without user info, query and fragment. */
  readonly url: string;
  readonly on: readonly UserStatus[];
  readonly afterMs: number;
  readonly events: Rule['events'];
  /** Why the last attempt failed; null if it did not. */
  readonly lastFailure: string | null;
}

interface Running {
  readonly rule: Rule;
  readonly sender: Sender;
  lastFailure: string | null;
  /** Whether events were dropped since the last delivery. */
  isFull: boolean;
}

type Result = SendResult | 'replaced' | 'dropped';

export class Webhooks {
  readonly #options: WebhooksOptions;
  readonly #running = new Map<string, Running>();
  readonly #results = new Map<string, Record<Result, number>>();
  #replacing = Promise.resolve();

  constructor(options: WebhooksOptions) {
    this.#options = options;
  }

  /** Replaces the rules. A rule keeps its queue by its name; events of removed rules are deleted. */
  setRules(rules: readonly Rule[]): Promise<void> {
    // One replacement after the other, because the file may change again while the previous senders still stop.
    this.#replacing = this.#replacing.then(() => this.#replace(rules));
    return this.#replacing;
  }

  get rules(): readonly Rule[] {
    return [...this.#running.values()].map(({ rule }) => rule);
  }

  /** Reports that events of a rule entered the queue. */
  wake(rule: string): void {
    this.#running.get(rule)?.sender.wake();
  }

  /** Counts events of a rule that were replaced or dropped. */
  applied(rule: string, { replaced, dropped }: Applied): void {
    this.#count(rule, 'replaced', replaced);
    if (dropped > 0) this.#onDropped(rule, dropped);
  }

  /** Sends one signed message without events to the receiver of a rule. @returns undefined if no rule has that name. */
  async test(name: string): Promise<Outcome | undefined> {
    const rule = this.#running.get(name)?.rule;
    if (rule === undefined) return undefined;
    const body = JSON.stringify({ type: 'presence.test', hub: this.#options.hub, events: [] });
    return this.#post(rule, { id: messageId(), body }, AbortSignal.timeout(MAX_TEST_MS));
  }

  /** Sends the dead events of a rule again. @returns their number; undefined if no rule has that name. */
  async replay(name: string): Promise<number | undefined> {
    const running = this.#running.get(name);
    if (running === undefined) return undefined;
    const count = await this.#options.queue.replay(name);
    running.sender.wake();
    return count;
  }

  /** The rules with their queues, in the order of the file. */
  async states(): Promise<readonly RuleState[]> {
    const counts = await this.#options.queue.counts();
    return [...this.#running.values()].map(({ rule: { name, url, on, afterMs, events }, lastFailure }) => ({
      name,
      url: publicUrl(url),
      on: [...on],
      afterMs,
      events,
      queued: counts.get(name)?.queued ?? 0,
      dead: counts.get(name)?.dead ?? 0,
      lastFailure,
    }));
  }

  /** How long the oldest due event of a rule has waited, in milliseconds. @throws errors of the queue. */
  async overdueMs(rule: string): Promise<number> {
    const { queue, now } = this.#options;
    return Math.max(0, now() - ((await queue.oldestDueAt(rule)) ?? Infinity));
  }

  /** Events by rule and result since the start, for metrics. */
  get results(): ReadonlyMap<string, Readonly<Record<Result, number>>> {
    return this.#results;
  }

  async stop(): Promise<void> {
    await this.#replacing;
    this.#options.onPause();
    await Promise.all([...this.#running.values()].map(({ sender }) => sender.stop()));
  }

  async #replace(rules: readonly Rule[]): Promise<void> {
    await Promise.all([...this.#running.values()].map(({ sender }) => sender.stop(ANSWER_BEFORE_RULES_MS)));
    // No await from here on, so no change falls between the old rules and the new ones.
    this.#options.onPause();
    this.#running.clear();
    for (const rule of rules) this.#add(rule);
    this.#options.onRules(rules);
    await this.#deleteAllBut(rules.map(({ name }) => name));
    for (const { sender } of this.#running.values()) sender.wake();
  }

  async #deleteAllBut(names: readonly string[]): Promise<void> {
    const { queue, log, onHealth } = this.#options;
    try {
      const deleted = await queue.keepOnly(names);
      if (deleted > 0) log.warn({ events: deleted }, 'events of removed webhook rules were deleted');
    } catch (error) {
      onHealth(error);
    }
  }

  #add(rule: Rule): void {
    const { queue, now, isStale, hub, keepMs, onHealth } = this.#options;
    const sender = new Sender({
      rule: rule.name,
      afterMs: rule.afterMs,
      queue,
      post: (batch, signal) => this.#post(rule, batch, signal),
      now,
      isHeld: isStale,
      toBody: (events) => ({
        id: messageId(),
        body: `{"type":"presence.changed","hub":${JSON.stringify(hub)},"events":[${events.join(',')}]}`,
      }),
      keepMs,
      random: Math.random,
      onResult: (result, count, reason) => {
        this.#onResult(rule, result, count, reason);
      },
      onHealth,
    });
    this.#running.set(rule.name, { rule, sender, lastFailure: null, isFull: false });
  }

  #post(rule: Rule, message: { id: string; body: string }, signal: AbortSignal): Promise<Outcome> {
    return post(rule, message, this.#options.now(), { allowed: this.#options.allowed, signal });
  }

  #onResult(rule: Rule, result: SendResult, count: number, reason?: string): void {
    const { log } = this.#options;
    this.#count(rule.name, result, count);
    const running = this.#running.get(rule.name);
    if (running === undefined) return;
    const facts = { rule: rule.name, url: publicUrl(rule.url) };
    if (result === 'delivered' && running.lastFailure !== null) log.info(facts, 'webhooks are delivered again');
    if (result === 'failed' && running.lastFailure === null) {
      log.warn({ ...facts, reason }, 'a webhook could not be delivered: it is tried again');
    }
    if (result === 'dead') log.warn({ ...facts, events: count }, 'webhook events are dead: replay them when it works');
    if (result === 'delivered') running.isFull = false;
    running.lastFailure = result === 'delivered' ? null : (reason ?? running.lastFailure);
  }

  #onDropped(rule: string, count: number): void {
    this.#count(rule, 'dropped', count);
    const running = this.#running.get(rule);
    if (running === undefined || running.isFull) return;
    running.isFull = true;
    this.#options.log.warn({ rule }, 'webhook events are dropped, because HUB_WEBHOOK_MAX of them wait');
  }

  #count(rule: string, result: Result, count: number): void {
    let results = this.#results.get(rule);
    if (results === undefined) {
      results = { delivered: 0, failed: 0, dead: 0, replaced: 0, dropped: 0 };
      this.#results.set(rule, results);
    }
    results[result] += count;
  }
}

const MAX_TEST_MS = 15_000;
/** How long new rules wait for the answer to an attempt. An aborted attempt would be repeated. */
const ANSWER_BEFORE_RULES_MS = 1000;

function messageId(): string {
  return `msg_${randomUUID()}`;
}

/**
 * Sends the events of one rule, one batch after the other, so that the events of a user arrive in order. Repeats a batch
 * unchanged until it is delivered or too old. Must not know how events are created or how a batch is posted.
 */
import type { Batch, EventQueue } from './queue.ts';
import type { Outcome } from './post.ts';

export type SendResult = 'delivered' | 'failed' | 'dead';

export interface SenderOptions {
  readonly rule: string;
  /** See `Rule`. */
  readonly afterMs: number;
  readonly queue: EventQueue;
  readonly post: (batch: Batch, signal: AbortSignal) => Promise<Outcome>;
  /** Wall clock, in milliseconds. */
  readonly now: () => number;
  /** Whether the state of this user (undefined: of all users) is uncertain, so that it must not be reported. */
  readonly isHeld: (user?: string) => boolean;
  readonly toBody: (events: readonly string[]) => Pick<Batch, 'id' | 'body'>;
  /** How long a batch is repeated, in milliseconds. */
  readonly keepMs: number;
  /** A number from 0 to 1. */
  readonly random: () => number;
  /** Receives the result of `count` events. `reason`: why an attempt failed. */
  readonly onResult: (result: SendResult, count: number, reason?: string) => void;
  /** The queue failed, or works again (undefined). */
  readonly onHealth: (error: unknown) => void;
}

const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 300_000;
/** How often due times are checked again, because events may be held and the wall clock may be set. */
const CHECK_AGAIN_MS = 1000;

/** If a batch is due later than any retry can be, the wall clock was set back, so the batch counts as due. */
function isDue({ nextAt }: Batch, nowMs: number): boolean {
  return nextAt <= nowMs || nextAt > nowMs + MAX_RETRY_MS;
}

export class Sender {
  readonly #options: SenderOptions;
  readonly #aborted = new AbortController();
  #isStopped = false;
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  /** Whether `wake` was called since the queue was last read. */
  #isWoken = false;
  /** Whether a batch was not due when the queue was last read. */
  #waitsToRetry = false;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** Sends the events that are due. If an attempt is under way or waits to be repeated, new events follow it. */
  wake(): void {
    // The timer checks the batch. Reading it from the queue for each new event would be slow, because it is large.
    if (!this.#isStopped && !this.#waitsToRetry) this.#check();
  }

  #check(): void {
    clearTimeout(this.#timer);
    this.#waitsToRetry = false;
    this.#isWoken = true;
    this.#sending ??= this.#send().then((nextAt) => {
      this.#sending = undefined;
      if (this.#isWoken && !this.#isStopped) this.#check();
      else this.#sleepUntil(nextAt);
    });
  }

  /** Starts no more attempts, and aborts one that is still under way after `withinMs`. The next run repeats it. */
  async stop(withinMs = 0): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    const timer = setTimeout(() => this.#aborted.abort(), withinMs);
    if (withinMs === 0) this.#aborted.abort();
    await this.#sending;
    clearTimeout(timer);
  }

  /** A method, because TypeScript would assume that the field does not change during an await. */
  #mustStop(): boolean {
    return this.#isStopped;
  }

  /** Returns when the next event can be sent; undefined if none waits. */
  async #send(): Promise<number | undefined> {
    const { rule, afterMs, queue, now, isHeld, toBody, post, onHealth } = this.#options;
    try {
      await queue.bringForward(rule, now() + afterMs);
      while (!this.#mustStop()) {
        this.#isWoken = false;
        const waiting = await queue.batchOf(rule);
        const batch = waiting ?? (isHeld() ? undefined : await queue.formBatch(rule, now(), isHeld, toBody));
        if (this.#mustStop()) break;
        if (batch === undefined || !isDue(batch, now())) {
          const nextAt = batch?.nextAt ?? (await queue.nextDueAt(rule));
          this.#waitsToRetry = batch !== undefined;
          onHealth(undefined);
          return nextAt;
        }
        const outcome = await post(batch, this.#aborted.signal);
        // A failure of an attempt that the stop aborted is not a failure of the receiver.
        if (outcome.kind === 'delivered' || !this.#aborted.signal.aborted) await this.#settle(batch, outcome);
      }
      return undefined;
    } catch (error) {
      onHealth(error);
      return now() + CHECK_AGAIN_MS;
    }
  }

  async #settle(batch: Batch, outcome: Outcome): Promise<void> {
    const { rule, queue, now, keepMs, onResult } = this.#options;
    if (outcome.kind === 'delivered') {
      await queue.delivered(rule);
      onResult('delivered', batch.count);
      return;
    }
    onResult('failed', batch.count, outcome.reason);
    const attempts = batch.attempts + 1;
    const nextAt = now() + this.#retryAfterMs(attempts);
    if (nextAt - batch.formedAt <= keepMs) await queue.retry(rule, attempts, nextAt);
    else {
      await queue.markDead(rule, now());
      onResult('dead', batch.count);
    }
  }

  /** Doubles up to the maximum. Up to half is subtracted at random, so that many hubs do not retry at the same time. */
  #retryAfterMs(attempts: number): number {
    const longest = Math.min(FIRST_RETRY_MS * 2 ** Math.min(attempts - 1, 20), MAX_RETRY_MS);
    return Math.ceil(longest * (0.5 + this.#options.random() / 2));
  }

  /** Events that are already due are held, so they are checked again after a while. */
  #sleepUntil(nextAt: number | undefined): void {
    if (this.#isStopped || nextAt === undefined) return;
    const dueInMs = nextAt - this.#options.now();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.#check();
      },
      dueInMs <= 0 ? CHECK_AGAIN_MS : Math.min(dueInMs, CHECK_AGAIN_MS),
    );
  }
}

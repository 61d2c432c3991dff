/**
 * Sends the events of one rule, one batch after the other, so that the events of a user arrive in order. Repeats a batch
 * unchanged until it is delivered or too old. Must not know how events come to be, or how a batch is posted.
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
  /** Whether the state of this user (undefined: of all users) is in doubt now, so that nothing may be reported of it. */
  readonly isHeld: (user?: string) => boolean;
  readonly toBody: (events: readonly string[]) => Pick<Batch, 'id' | 'body'>;
  /** How long a batch is repeated, in milliseconds. */
  readonly keepMs: number;
  /** A number from 0 to 1. */
  readonly random: () => number;
  /** `count` events had this result. `reason` says why an attempt failed. */
  readonly onResult: (result: SendResult, count: number, reason?: string) => void;
  /** The queue failed, or works again (undefined). */
  readonly onHealth: (error: unknown) => void;
}

const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 300_000;
/** How often it is checked again whether something is due: events may be held, and the wall clock may be set. */
const CHECK_AGAIN_MS = 1000;

/** A batch that is due later than any retry was noted before the wall clock was set back. */
function isDue({ nextAt }: Batch, nowMs: number): boolean {
  return nextAt <= nowMs || nextAt > nowMs + MAX_RETRY_MS;
}

export class Sender {
  readonly #options: SenderOptions;
  readonly #aborted = new AbortController();
  #isStopped = false;
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  /** Whether something came since the queue was last asked. */
  #isWoken = false;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** Sends what is due, unless an attempt is under way: what comes meanwhile follows it. */
  wake(): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timer);
    this.#isWoken = true;
    this.#sending ??= this.#send().then((nextAt) => {
      this.#sending = undefined;
      if (this.#isWoken) this.wake();
      else this.#sleepUntil(nextAt);
    });
  }

  /** Begins no more attempts, and ends one that is still under way after `withinMs`. The next run repeats it. */
  async stop(withinMs = 0): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    const timer = setTimeout(() => this.#aborted.abort(), withinMs);
    if (withinMs === 0) this.#aborted.abort();
    await this.#sending;
    clearTimeout(timer);
  }

  /** A method, because a stop may come at each await. */
  #mustStop(): boolean {
    return this.#isStopped;
  }

  /** Returns when something can be sent next; undefined if nothing waits. */
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
          onHealth(undefined);
          return nextAt;
        }
        const outcome = await post(batch, this.#aborted.signal);
        // An attempt that the stop ended says nothing about the receiver.
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
      await queue.bury(rule, now());
      onResult('dead', batch.count);
    }
  }

  /** Doubles up to the maximum. Between half of it and all of it, so that many hubs do not retry at once. */
  #retryAfterMs(attempts: number): number {
    const longest = Math.min(FIRST_RETRY_MS * 2 ** Math.min(attempts - 1, 20), MAX_RETRY_MS);
    return Math.ceil(longest * (0.5 + this.#options.random() / 2));
  }

  /** What is due and was not sent is held. */
  #sleepUntil(nextAt: number | undefined): void {
    if (this.#isStopped || nextAt === undefined) return;
    const dueInMs = nextAt - this.#options.now();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.wake();
      },
      dueInMs <= 0 ? CHECK_AGAIN_MS : Math.min(dueInMs, CHECK_AGAIN_MS),
    );
  }
}

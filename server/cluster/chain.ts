/**
 * The position of a node in the messages of one bucket. Each message names the operation before it, so the next message
 * reveals a missing one, and also a fork: a server that lost operations and continues from an older state. Ids of
 * operations are unique for all time, so a fork cannot pass for the same history. Pure.
 */
import type { BucketState } from './engine.ts';

/** `next`: the message follows. `old`: it was read already. `gap`: a message is missing, or the history has forked. */
export type Step = 'next' | 'old' | 'gap';

export interface Link extends BucketState {
  /** The operation before it; for a tick, the last one itself. */
  readonly before: string;
}

export class Chain {
  #last = '-';
  #clock = 0;
  #epoch = 0;
  /** Whether a message has confirmed the last read. Until then, messages from before the read may still arrive. */
  #isConfirmed = false;
  #receivedAtMs = -Infinity;
  #timeBase = 0;
  #timeBaseAtMs = 0;
  /** Acknowledged operations of this node whose messages are missing: a server that lost them does not publish them. */
  #awaited: { readonly op: string; readonly n: number; readonly atMs: number }[] = [];

  get clock(): number {
    return this.#clock;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get receivedAtMs(): number {
    return this.#receivedAtMs;
  }

  /** Restarts the measurement of silence. A read does not do this, because it would hide a dead subscription. */
  resetSilence(nowMs: number): void {
    this.#receivedAtMs = nowMs;
  }

  /** The bucket's clock now, by the last message. The clock in a read may be old, so it only moves this clock forward. */
  clockAt(nowMs: number): number {
    return this.#timeBase + (nowMs - this.#timeBaseAtMs);
  }

  /** Continues from a read. */
  resync({ last, clock, epoch }: BucketState, nowMs: number): void {
    this.#last = last;
    this.#clock = clock;
    this.#epoch = epoch;
    this.#isConfirmed = false;
    if (clock > this.clockAt(nowMs)) this.#setTimeBase(clock, nowMs);
    this.#awaited = [];
  }

  /** Records an operation of this node that the engine has acknowledged. Its message must follow. */
  acknowledged(op: string, n: number, nowMs: number): void {
    if (n > this.#clock) this.#awaited.push({ op, n, atMs: nowMs });
  }

  /** Whether the message of an operation that was acknowledged before `sinceMs` is missing. */
  isOverdue(sinceMs: number): boolean {
    return (this.#awaited[0]?.atMs ?? Infinity) <= sinceMs;
  }

  receive({ last, clock, epoch, before }: Link, nowMs: number): Step {
    const follows = before === this.#last && (clock > this.#clock || !this.#isConfirmed);
    if (!follows) return last === this.#last || (!this.#isConfirmed && clock <= this.#clock) ? 'old' : 'gap';
    const own = this.#awaited.findIndex(({ op }) => op === last);
    if (own >= 0) this.#awaited.splice(own, 1);
    if (this.#awaited.some(({ n }) => n < clock)) return 'gap';
    this.#last = last;
    this.#clock = Math.max(this.#clock, clock);
    this.#epoch = Math.max(this.#epoch, epoch);
    this.#isConfirmed = true;
    this.#receivedAtMs = nowMs;
    this.#setTimeBase(clock, nowMs);
    return 'next';
  }

  #setTimeBase(clock: number, nowMs: number): void {
    this.#timeBase = clock;
    this.#timeBaseAtMs = nowMs;
  }
}

/**
 * What a node has heard of one bucket. Each message names the operation before it, so a missing message shows at the
 * next one, and so does a fork: a server that lost operations and continues from an older state. Ids of operations are
 * unique for all time, so a fork cannot pass for the same history. Pure.
 */
import type { BucketState } from './engine.ts';

/** `next`: goes on. `old`: was read already. `gap`: something is missing, or the history is another one. */
export type Step = 'next' | 'old' | 'gap';

export interface Link extends BucketState {
  /** The operation before it; for a tick, the last one itself. */
  readonly before: string;
}

export class Chain {
  #last = '-';
  #clock = 0;
  #epoch = 0;
  /** Whether a message has confirmed what was read. Until then, messages from before the read may still come. */
  #isConfirmed = false;
  #heardAtMs = -Infinity;
  #toldClock = 0;
  #toldAtMs = 0;
  /** Acknowledged operations of this node that it has not heard yet: a server that lost them would not publish them. */
  #owed: { readonly op: string; readonly n: number; readonly atMs: number }[] = [];

  get clock(): number {
    return this.#clock;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  /** Begins to wait for messages anew. What is read does not count as heard: a dead subscription must show. */
  listen(nowMs: number): void {
    this.#heardAtMs = nowMs;
  }

  /** The bucket's clock now, by the last message. What was read tells no time: it may be of any age. */
  clockAt(nowMs: number): number {
    return this.#toldClock + (nowMs - this.#toldAtMs);
  }

  /** Continues from what was read. */
  resync({ last, clock, epoch }: BucketState, nowMs: number): void {
    this.#last = last;
    this.#clock = clock;
    this.#epoch = epoch;
    this.#isConfirmed = false;
    if (clock > this.clockAt(nowMs)) this.#tell(clock, nowMs);
    this.#owed = [];
  }

  /** An operation of this node was done. Its message must come. */
  acknowledged(op: string, n: number, nowMs: number): void {
    if (n > this.#clock) this.#owed.push({ op, n, atMs: nowMs });
  }

  /** Whether a message is overdue. */
  isOwed(sinceMs: number): boolean {
    return (this.#owed[0]?.atMs ?? Infinity) <= sinceMs;
  }

  hear({ last, clock, epoch, before }: Link, nowMs: number): Step {
    const goesOn = before === this.#last && (clock > this.#clock || !this.#isConfirmed);
    if (!goesOn) return last === this.#last || (!this.#isConfirmed && clock <= this.#clock) ? 'old' : 'gap';
    const own = this.#owed.findIndex(({ op }) => op === last);
    if (own >= 0) this.#owed.splice(own, 1);
    if (this.#owed.some(({ n }) => n < clock)) return 'gap';
    this.#last = last;
    this.#clock = Math.max(this.#clock, clock);
    this.#epoch = Math.max(this.#epoch, epoch);
    this.#isConfirmed = true;
    this.#heardAtMs = nowMs;
    this.#tell(clock, nowMs);
    return 'next';
  }

  #tell(clock: number, nowMs: number): void {
    this.#toldClock = clock;
    this.#toldAtMs = nowMs;
  }
}

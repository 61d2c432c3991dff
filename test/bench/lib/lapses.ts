/**
 * How late each lapse is reported, and whether a user who sends heartbeats is reported offline. A lapse is due at the
 * user's last heartbeat and the server's timeout. Pure: takes heartbeats and the server's messages, with the time as an
 * argument.
 */
import { Histogram, type Counts } from './histogram.ts';

export interface LapseFigures {
  readonly due: number;
  readonly reported: number;
  /** Reported before they were due. Not in `late`. */
  readonly early: number;
  readonly earliestMs: number;
  readonly late: Counts;
  /** Users who sent heartbeats, but were reported offline. */
  readonly falseOffline: number;
  /** From the first lapse that is due to the last message. */
  readonly spanMs: number;
}

export class Lapses {
  readonly #timeoutMs: number;
  readonly #lastBeatMs: Float64Array;
  readonly #late = new Histogram();
  #waiting = new Set<number>();
  #due = 0;
  #reported = 0;
  #early = 0;
  #earliestMs = Number.POSITIVE_INFINITY;
  #falseOffline = 0;
  #firstDueMs = Number.POSITIVE_INFINITY;
  #lastReportedMs = 0;

  constructor(users: number, timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#lastBeatMs = new Float64Array(users);
  }

  beat(user: number, nowMs: number): void {
    this.#lastBeatMs[user] = nowMs;
  }

  /** These users stop sending heartbeats, and their lapses are awaited. Resets the counts. */
  fallSilent(users: Iterable<number>): void {
    this.#waiting = new Set(users);
    this.#due = this.#waiting.size;
    this.#reported = 0;
    this.#early = 0;
    this.#earliestMs = Number.POSITIVE_INFINITY;
    this.#late.clear();
    this.#firstDueMs = Number.POSITIVE_INFINITY;
    for (const user of this.#waiting) this.#firstDueMs = Math.min(this.#firstDueMs, this.#dueMs(user));
  }

  reportedOffline(user: number, nowMs: number): void {
    if (!this.#waiting.delete(user)) {
      this.#falseOffline += 1;
      return;
    }
    this.#reported += 1;
    this.#lastReportedMs = nowMs;
    const lateMs = nowMs - this.#dueMs(user);
    this.#earliestMs = Math.min(this.#earliestMs, lateMs);
    if (lateMs < 0) this.#early += 1;
    else this.#late.add(lateMs);
  }

  get areAllReported(): boolean {
    return this.#waiting.size === 0;
  }

  get figures(): LapseFigures {
    return {
      due: this.#due,
      reported: this.#reported,
      early: this.#early,
      earliestMs: this.#earliestMs,
      late: this.#late.counts,
      falseOffline: this.#falseOffline,
      spanMs: this.#lastReportedMs - this.#firstDueMs,
    };
  }

  #dueMs(user: number): number {
    return (this.#lastBeatMs[user] ?? 0) + this.#timeoutMs;
  }
}

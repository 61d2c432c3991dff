/**
 * When to flush: at once while telling is a small part of the work (a tick would only add delay), in short ticks once it is
 * a fifth of it, in ticks of up to 6 ms where these make one message of several. The last flush says which.
 * Owns one timer; knows nothing of what is flushed.
 */

/**
 * At 50,000 deliveries/s to 1,000 connections a message then holds 1.08 to 1.1 entries, with p99 5 to 6 ms; with 3 ms 1.06, and
 * 4 to 5; with 5 ms 1.13, and 8, for no less CPU beyond the noise (2026-11-27, Node 20.20).
 */
const SHORT_REST_MS = 4;
/** A flush that was quick is not waited for. */
const MOST_REST_PER_FLUSH = 4;
/**
 * A longer rest pays where messages hold several entries each. It grows with the time that this spares, not with the length of a
 * flush: then one hiccup would make long flushes that make long rests that make long flushes.
 * At 150,000 deliveries/s a message then holds 1.8 to 2 entries, with p99 12 to 15 ms; with rests of 3 ms 1.4, for a fifth more CPU.
 */
const REST_PER_SPARED_MS_A_MS = 24;
export const MAX_WAIT_MS = 6;

/** What the last flush says of how long to rest. */
export interface Flushed {
  /** How long it took. */
  readonly tookMs: number;
  /** From the end of the one before to its own. */
  readonly periodMs: number;
  /** How many entries it put into a message, 1 or more. */
  readonly entriesAMessage: number;
}

/** How long to rest, in milliseconds. */
export function restAfter({ tookMs, periodMs, entriesAMessage }: Flushed): number {
  const sparedMsAMs = (tookMs * (entriesAMessage - 1)) / periodMs;
  const long = Math.min(REST_PER_SPARED_MS_A_MS * sparedMsAMs, MAX_WAIT_MS);
  return Math.min(MOST_REST_PER_FLUSH * tookMs, Math.max(SHORT_REST_MS, long));
}

export class FlushScheduler {
  readonly #flush: () => number;
  #isDue = false;
  #notBeforeMs = 0;
  #endedAt = performance.now();

  /** @param flush says how many entries it put into a message, 1 or more. */
  constructor(flush: () => number) {
    this.#flush = flush;
  }

  /** The last flush had no room for all: another one will come, in the next turn of the loop or at most 6 ms later. */
  goOn(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(this.#run);
  }

  /** There is something to tell: a flush will come, in this turn of the loop or at most 6 ms later. */
  request(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    const waitMs = this.#notBeforeMs - performance.now();
    if (waitMs <= 0) setImmediate(this.#run);
    else setTimeout(this.#run, waitMs);
  }

  readonly #run = (): void => {
    this.#isDue = false;
    const startMs = performance.now();
    const entriesAMessage = this.#flush();
    const endMs = performance.now();
    const tookMs = endMs - startMs;
    this.#notBeforeMs = endMs + restAfter({ tookMs, periodMs: endMs - this.#endedAt, entriesAMessage });
    this.#endedAt = endMs;
  };
}

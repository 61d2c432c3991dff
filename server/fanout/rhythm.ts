/**
 * When to flush: at once while telling is a small part of the work (a tick would only add delay), in short ticks once it is
 * a third of it, in ticks of up to 6 ms where it would be all of it (a tick then halves the number of sends). The last flush
 * says which. Owns one timer; knows nothing of what is flushed.
 */

/** At 50,000 deliveries/s a frame then holds 1.06 to 1.09 entries, with p99 6 to 11 ms; with 4 ms 1.13 to 1.16, and 8 to 15. */
const SHORT_REST_MS = 3;
const SHORT_REST_PER_FLUSH = 4;
/**
 * Beyond that it grows only where telling takes two thirds of the time: with a larger part, or a jump, one hiccup would make
 * long flushes that make long rests that make long flushes, at half that load.
 */
const LONG_REST_PER_FLUSH = 1 / 2;
export const MAX_WAIT_MS = 6;

/** How long to rest after a flush that took so long. */
export function restAfter(flushMs: number): number {
  const short = Math.min(SHORT_REST_PER_FLUSH * flushMs, SHORT_REST_MS);
  return Math.max(short, Math.min(LONG_REST_PER_FLUSH * flushMs, MAX_WAIT_MS));
}

export class FlushRhythm {
  readonly #flush: () => void;
  #isDue = false;
  #notBeforeMs = 0;

  constructor(flush: () => void) {
    this.#flush = flush;
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
    this.#flush();
    const endMs = performance.now();
    this.#notBeforeMs = endMs + restAfter(endMs - startMs);
  };
}

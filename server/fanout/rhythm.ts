/**
 * When to flush: at once while telling is a small part of the work (a tick would only add delay), in ticks of up to
 * 10 ms once it is half of it (a tick then halves the number of sends). The last flush says which: the next one waits
 * as long as it took. Owns one timer; knows nothing of what is flushed.
 */

/** More, and 50,000 deliveries a second would be told 20 ms late without need; less, and 150,000 would cost a third more. */
const WAIT_PER_FLUSH = 1;
export const MAX_WAIT_MS = 10;

export class FlushRhythm {
  readonly #flush: () => void;
  #isDue = false;
  #notBeforeMs = 0;

  constructor(flush: () => void) {
    this.#flush = flush;
  }

  /** There is something to tell: a flush will come, in this turn of the loop or at most 10 ms later. */
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
    this.#notBeforeMs = endMs + Math.min((endMs - startMs) * WAIT_PER_FLUSH, MAX_WAIT_MS);
  };
}

/**
 * Measures how late the event loop runs what is due. The histogram only grows, so any number of readers can compare two
 * of their own readings.
 */
import { Histogram } from '../lib/histogram.ts';

/** The interval between measurements. */
const EVERY_MS = 20;

export class LoopLag {
  readonly delays = new Histogram([1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]);
  readonly #timer: NodeJS.Timeout;
  #lookedAt = performance.now();

  constructor() {
    this.#timer = setInterval(() => {
      const now = performance.now();
      this.delays.observe(Math.max(0, now - this.#lookedAt - EVERY_MS));
      this.#lookedAt = now;
    }, EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/**
 * How late the event loop runs what is due, between two readings: the kernel of Node measures it, beside the loop's work.
 * Whoever reads it begins anew, so of two readers each sees a part. The hub starts and stops it.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** How often it is measured: a wake-up each. */
const EVERY_MS = 20;
const NS_PER_S = 1e9;

export class LoopLag {
  readonly #delays = monitorEventLoopDelay({ resolution: EVERY_MS });

  constructor() {
    this.#delays.enable();
  }

  stop(): void {
    this.#delays.disable();
  }

  /** Seconds, since the last time that this was asked. */
  take(): Readonly<Record<'0.5' | '0.99' | 'max', number>> {
    const delays = this.#delays;
    // What is measured is the time from one look to the next.
    const lag = (ns: number): number => (delays.count === 0 ? 0 : Math.max(0, ns / NS_PER_S - EVERY_MS / 1000));
    const taken = { '0.5': lag(delays.percentile(50)), '0.99': lag(delays.percentile(99)), max: lag(delays.max) };
    delays.reset();
    return taken;
  }
}

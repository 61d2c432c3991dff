/**
 * How long it takes until a change is told: from when it was applied, once for each flush (its oldest change), and from
 * when a lease ran out. A number and no object is kept for it. Called by `Fanout`; the metrics read it.
 */
import { Histogram } from '../lib/histogram.ts';
import type { Clock } from '../lib/clock.ts';
import type { Change } from '../presence/change.ts';

export class Delays {
  readonly delivery = new Histogram([0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000]);
  readonly lapse = new Histogram([10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]);
  /** When the oldest change that waits was applied; 0 for none. */
  #firstAt = 0;
  /** When the leases ran out whose end waits to be told, on the forward clock. */
  #lapsedAt: number[] = [];

  /** A change that somebody is to be told. */
  changed({ cause, session }: Change): void {
    if (this.#firstAt === 0) this.#firstAt = performance.now();
    if (cause === 'lapsed') this.#lapsedAt.push(session.waitEndsAt);
  }

  /** All that waited has been handed to the sockets. */
  told(clock: Clock): void {
    if (this.#firstAt === 0) return;
    this.delivery.observe(performance.now() - this.#firstAt);
    this.#firstAt = 0;
    if (this.#lapsedAt.length === 0) return;
    const { monoMs } = clock.now();
    for (const lapsedAt of this.#lapsedAt) this.lapse.observe(monoMs - lapsedAt);
    this.#lapsedAt = [];
  }
}

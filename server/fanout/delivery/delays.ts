/**
 * Measures how long notifications take: from when a change was applied and from when the message arrived that caused it,
 * each once per flush (its oldest change), and from when a lease expired. Keeps a number per measurement, and no object.
 */
import { Histogram } from '../../lib/histogram.ts';
import type { Clock } from '../../lib/time/clock.ts';
import type { InputWait } from '../../lib/time/input-wait.ts';
import type { TransitionCause } from '../../../shared/messages/explain.ts';
import type { Change } from '../../presence/change.ts';

/** The causes that are messages of the user. */
const isMessage: Readonly<Partial<Record<TransitionCause, true>>> = {
  came: true,
  returned: true,
  set: true,
  left: true,
};

export class Delays {
  readonly delivery = new Histogram([0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000]);
  readonly heartbeat = new Histogram([0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000]);
  readonly lapse = new Histogram([10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]);
  /** When the oldest pending change was applied; 0 if none is pending. */
  #firstAt = 0;
  /** When the oldest message arrived that caused a pending change; 0 if none did. */
  #arrivedAt = 0;
  /** When the leases expired whose end is still to be sent, on the forward clock. */
  #lapsedAt: number[] = [];
  readonly #inputWait: InputWait;

  constructor(inputWait: InputWait) {
    this.#inputWait = inputWait;
  }

  /** Notes a change that some watcher will be sent. */
  changed({ lapsedAt, cause }: Change): void {
    if (this.#firstAt === 0) this.#firstAt = performance.now();
    if (lapsedAt !== null) this.#lapsedAt.push(lapsedAt);
    else if (isMessage[cause] === true) this.#arrived(this.#inputWait.ms);
  }

  /** Ends the measurements: everything pending was handed to the sockets. */
  sent(clock: Clock): void {
    if (this.#firstAt === 0) return;
    this.delivery.observe(performance.now() - this.#firstAt);
    this.#firstAt = 0;
    if (this.#arrivedAt !== 0) this.heartbeat.observe(performance.now() - this.#arrivedAt);
    this.#arrivedAt = 0;
    if (this.#lapsedAt.length === 0) return;
    const { monoMs } = clock.now();
    for (const lapsedAt of this.#lapsedAt) this.lapse.observe(monoMs - lapsedAt);
    this.#lapsedAt = [];
  }

  #arrived(waitedMs: number): void {
    // Of messages that did not wait, the first one is the oldest.
    if (waitedMs === 0 && this.#arrivedAt !== 0) return;
    const at = performance.now() - waitedMs;
    if (this.#arrivedAt === 0 || at < this.#arrivedAt) this.#arrivedAt = at;
  }
}

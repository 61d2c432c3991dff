/**
 * The place of one accepted socket in the timing wheel. The wheel may reference a slot until its time comes. The owner,
 * which serves the socket, is released earlier, together with everything that it references.
 */
import { DONE, NOT_SCHEDULED, type Timed, type TimingWheel } from '../../lib/time/timing-wheel.ts';

/** The object that serves a socket: its acceptance first, then its connection. */
export interface SlotOwner {
  /** Nothing received is still to be applied. Once its socket is closed, the owner may be released. */
  readonly isDone: boolean;
  /** Runs when a scheduled time has come. @returns the monotonic time of the next tick; Infinity for never. */
  tick(monoMs: number): number;
  /** Reacts to a step of the wall clock. */
  clockStepped?(): void;
  /** From now on, the end of the connection does not change the state of its users. */
  drain?(): void;
  /** Destroys the connection at once. Its users keep their state. */
  cut(): void;
}

export class WheelSlot implements Timed {
  wheelTick = NOT_SCHEDULED;
  wheelPlace = 0;
  /** Null before the socket is served and after its owner is released. */
  owner: SlotOwner | null = null;
  readonly #wheel: TimingWheel<WheelSlot>;
  /** Time of the next planned visit; Infinity for never. */
  #nextVisitAt = Infinity;

  constructor(wheel: TimingWheel<WheelSlot>) {
    this.#wheel = wheel;
  }

  /** Schedules a visit at `atMs` unless an earlier one is planned. */
  visitBy(atMs: number): void {
    if (atMs >= this.#nextVisitAt) return;
    this.#nextVisitAt = atMs;
    this.#wheel.schedule(this, atMs);
  }

  tick(monoMs: number): number {
    this.#nextVisitAt = Infinity;
    this.#nextVisitAt = this.owner?.tick(monoMs) ?? Infinity;
    return this.#nextVisitAt === Infinity ? DONE : this.#nextVisitAt;
  }
}

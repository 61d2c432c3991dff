/**
 * The place of one accepted socket in the timing wheel. The wheel may reference a slot until its time comes. Whatever
 * currently serves the socket is released earlier, together with everything that it references.
 */
import { DONE, NOT_SCHEDULED, type Timed } from '../../lib/time/timing-wheel.ts';

/** The object that serves a socket: its acceptance first, then its connection. */
export interface SlotOwner {
  /** Nothing received is still to be applied. Once its socket is closed, the owner may be released. */
  readonly isDone: boolean;
  /** Runs when a scheduled time has come. @returns the time of the next tick, or DONE. */
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
  served: SlotOwner | null = null;

  tick(monoMs: number): number {
    return this.served === null ? DONE : this.served.tick(monoMs);
  }
}

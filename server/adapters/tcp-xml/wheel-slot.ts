/**
 * One accepted socket's place in the timing wheel, whoever serves it at the moment. The wheel may hold on to a line until
 * its date comes; what served it, and all that hangs on that, must not wait so long. The listener makes one for each socket.
 */
import { DONE, NOT_SCHEDULED, type Timed } from '../../lib/timing-wheel.ts';

/** What serves a line: it opens, or it carries frames. */
export interface SlotOwner {
  /** Nothing of what came is still to be applied: once its socket is closed, it may be forgotten. */
  readonly isDone: boolean;
  /** A time that it waited for has come. Answers when to look again, or DONE. */
  tick(monoMs: number): number;
  /** The wall clock is no longer where it was expected. */
  clockStepped?(): void;
  /** How the connection ends from now on says nothing of its users, where it carries any. */
  drain?(): void;
  /** Ends it at once; whom it carried stays as they are. */
  cut(): void;
}

export class WheelSlot implements Timed {
  wheelTick = NOT_SCHEDULED;
  wheelPlace = 0;
  /** Null before it is served, and once it is forgotten. */
  served: SlotOwner | null = null;

  tick(monoMs: number): number {
    return this.served === null ? DONE : this.served.tick(monoMs);
  }
}

/**
 * Shares each turn of the event loop among all connections of the port: whoever has many frames waiting hands them in by
 * slices, in line behind the others, so that no flood keeps the hub's other work waiting. Knows neither frames nor sockets,
 * loses nothing, and asks nothing of the loop while there is little to do. The listener has one; each reading asks it.
 */
import type { Clock } from '../../lib/clock.ts';

/** A connection whose next frames are there, and wait. */
export interface InLine {
  /** Reads on, in this turn. */
  goOn(): void;
}

interface TurnsOptions {
  /** Real time, which goes on in a stall: turns are what ends it. */
  readonly clock: Clock;
  /** Calls back when the loop has seen its other work: `setImmediate`. */
  readonly afterTurn: (run: () => void) => void;
}

/** How much of a turn is for frames; a frame costs 5 to 10 µs. */
const TURN_MS = 10;
/** So many frames pass before a turn is watched at all: an immediate for each would cost what a small frame does. */
const UNWATCHED_FRAMES = 128;
/** Frames of one connection in a row, while others wait. */
const SLICE_FRAMES = 64;
/** Of a chunk, however late it is: small batches never stand in line, which costs more than hearing them. */
const LEAST_FRAMES = 16;

export class Turns {
  readonly #options: TurnsOptions;
  readonly #line = new Set<InLine>();
  /** How often the listener has looked: between two looks the loop has come round. */
  looks = 0;
  /** Since a turn was watched. */
  #frames = 0;
  /** When what the turn has for frames is used up; Infinity while no turn is watched. */
  #endsAt = Infinity;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** A frame was handled, its connection's `inARow`th. @returns whether the connection is to get in line before its next. */
  take(inARow: number, cost: number): boolean {
    this.#frames += cost;
    if (this.#frames >= UNWATCHED_FRAMES && this.#endsAt === Infinity) this.#watch();
    return this.isOver(inARow);
  }

  /** Whether the connection is to get in line before another frame. */
  isOver(inARow: number): boolean {
    if (this.#endsAt === Infinity) return false;
    if (this.#options.clock.now().monoMs >= this.#endsAt) return inARow >= LEAST_FRAMES;
    return this.#line.size > 0 && inARow >= SLICE_FRAMES;
  }

  /** Has it go on after those that wait already, one a turn. Only right after `take` said so: the turn is watched then. */
  getInLine(connection: InLine): void {
    this.#line.add(connection);
  }

  leave(connection: InLine): void {
    this.#line.delete(connection);
  }

  #watch(): void {
    this.#endsAt = this.#options.clock.now().monoMs + TURN_MS;
    this.#options.afterTurn(() => this.#begin());
  }

  #begin(): void {
    this.#frames = 0;
    this.#endsAt = Infinity;
    const [first] = this.#line;
    if (first === undefined) return;
    this.#watch();
    this.#line.delete(first);
    // One a turn: a slice takes many times what it costs the loop to come round, and all else is seen in between.
    first.goOn();
  }
}

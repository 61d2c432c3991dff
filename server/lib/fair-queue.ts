/**
 * Shares each turn of the event loop among all connections of a port: whoever has many frames waiting hands them in by
 * slices, in line behind the others, so that no flood keeps the hub's other work waiting. Knows neither frames nor sockets,
 * loses nothing, and asks nothing of the loop while there is little to do. Each adapter with connections has one.
 */
import type { Clock } from './clock.ts';

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
/** The same as a cost: a usual frame is 1. */
const TURN_COST = 2000;
/** So many frames pass before a turn is watched at all: an immediate for each would cost what a small frame does. */
const UNWATCHED_FRAMES = 128;
/** Frames of one connection in a row, while others wait. */
const SLICE_FRAMES = 64;
/** Of a chunk, however late it is: small batches never stand in line, which costs more than hearing them. */
export const LEAST_FRAMES = 16;
/** A reading of the clock for each message would cost 2 % of what a heartbeat does. */
const CLOCK_EVERY = 8;
/** What may come in one turn only to wait, of all connections together: about 10 ms. */
const MAX_KEPT_FRAMES = 20_000;

export class FairQueue {
  readonly #options: TurnsOptions;
  readonly #line = new Set<InLine>();
  /** How often the listener has looked: between two looks the loop has come round. */
  looks = 0;
  /** Grows with each turn that was watched. */
  turnNo = 0;
  /** Since a turn was watched. */
  #frames = 0;
  #kept = 0;
  /** What the clock said last, and how often it may go unread. */
  #readAt = 0;
  #untilClock = 0;
  /** What those cost beside their size. */
  #burden = 0;
  /** When what the turn has for frames is used up; Infinity while no turn is watched. */
  #endsAt = Infinity;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** A frame was handled, its connection's `inARow`th. @returns whether the connection is to get in line before its next. */
  take(inARow: number, cost: number): boolean {
    this.#frames += cost;
    if (this.#endsAt === Infinity) {
      if (this.#frames < UNWATCHED_FRAMES) return false;
      this.#watch();
    } else if (--this.#untilClock <= 0) {
      this.#readClock();
    }
    return this.#isOverAt(this.#readAt, inARow);
  }

  /** Something came that has to wait. @returns whether too much of that has come in this turn. */
  keep(cost: number): boolean {
    this.#kept += cost;
    if (this.#endsAt === Infinity) this.#watch();
    return this.#kept > MAX_KEPT_FRAMES;
  }

  /** Whether the connection is to get in line before another frame. */
  isOver(inARow: number): boolean {
    return this.#endsAt !== Infinity && this.#isOverAt(this.#readClock(), inARow);
  }

  /** A frame costs more than it seems: what it begins is done after it, so the time until now does not tell. */
  burden(cost: number): void {
    if (this.#endsAt === Infinity) this.#watch();
    this.#burden += cost;
    if (this.#burden >= TURN_COST) this.#endsAt = -Infinity;
  }

  /** Whether the turn has no more time for frames: what can wait had better. */
  get isUsedUp(): boolean {
    return this.#endsAt !== Infinity && this.#readClock() >= this.#endsAt;
  }

  /** Has it go on after those that wait already, one a turn. Only right after `take` said so: the turn is watched then. */
  getInLine(connection: InLine): void {
    this.#line.add(connection);
  }

  leave(connection: InLine): void {
    this.#line.delete(connection);
  }

  #isOverAt(monoMs: number, inARow: number): boolean {
    if (monoMs >= this.#endsAt) return inARow >= LEAST_FRAMES;
    return this.#line.size > 0 && inARow >= SLICE_FRAMES;
  }

  #readClock(): number {
    this.#untilClock = CLOCK_EVERY;
    this.#readAt = this.#options.clock.now().monoMs;
    return this.#readAt;
  }

  #watch(): void {
    this.#endsAt = this.#readClock() + TURN_MS;
    this.#options.afterTurn(() => this.#begin());
  }

  #begin(): void {
    this.turnNo++;
    this.#frames = 0;
    this.#kept = 0;
    this.#burden = 0;
    this.#endsAt = Infinity;
    const [first] = this.#line;
    if (first === undefined) return;
    this.#watch();
    this.#line.delete(first);
    // One a turn: a slice takes many times what it costs the loop to come round, and all else is seen in between.
    first.goOn();
  }
}

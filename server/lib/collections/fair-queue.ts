/**
 * Shares each loop turn among all connections of one port. A connection with many waiting frames is read in slices,
 * queued behind the others, so that no flood delays the hub's other work. Knows neither frames nor sockets, loses
 * nothing, and schedules nothing while there is little to do. Each adapter with connections has its own queue.
 */
import type { Clock } from '../time/clock.ts';

/** A connection with waiting frames. */
export interface Queued {
  /** Continues to read, in this turn. */
  onTurn(): void;
}

interface TurnsOptions {
  /** The real clock, which continues during a stall, because turns are what ends a stall. */
  readonly clock: Clock;
  /** Calls back after the loop's other work: `setImmediate`. */
  readonly afterTurn: (run: () => void) => void;
}

/** Time of a turn for frames. A frame costs 5 to 10 µs. */
const TURN_MS = 10;
/** The same as a cost. A usual frame costs 1. */
const TURN_COST = 2000;
/** Frames before a turn is observed, because an immediate for each frame would cost as much as a small frame. */
const UNWATCHED_FRAMES = 128;
/** Frames of one connection in a row while others wait. */
const SLICE_FRAMES = 64;
/** Frames of one chunk that are always read at once. Queuing a small batch costs more than reading it. */
export const LEAST_FRAMES = 16;
/** Reading the clock for each message would cost 2 % of a heartbeat. */
const CLOCK_EVERY = 8;
/** Maximum frames that may arrive in one turn only to wait, of all connections together: about 10 ms. */
const MAX_KEPT_FRAMES = 20_000;

export class FairQueue {
  readonly #options: TurnsOptions;
  readonly #queue = new Set<Queued>();
  /** Number of the listener's ticks. The loop has served every socket between two of them. */
  tickNo = 0;
  /** Number of observed turns. */
  turnNo = 0;
  /** Frames since the last observed turn. */
  #frames = 0;
  #kept = 0;
  /** The last reading of the clock, and the frames until the next one. */
  #readAt = 0;
  #untilClock = 0;
  /** Additional cost of frames beyond their size. */
  #burden = 0;
  /** When the turn's time for frames ends; Infinity while no turn is observed. */
  #endsAt = Infinity;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /**
   * Counts a frame, the `inARow`th of its connection. @returns whether the connection must queue before its next frame.
   */
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

  /** Counts input that has to wait. @returns whether too much of it has arrived in this turn. */
  keep(cost: number): boolean {
    this.#kept += cost;
    if (this.#endsAt === Infinity) this.#watch();
    return this.#kept > MAX_KEPT_FRAMES;
  }

  /** Whether the connection must queue before another frame. */
  isOver(inARow: number): boolean {
    return this.#endsAt !== Infinity && this.#isOverAt(this.#readClock(), inARow);
  }

  /** Counts work that a frame causes after it was handled, which the elapsed time does not include. */
  burden(cost: number): void {
    if (this.#endsAt === Infinity) this.#watch();
    this.#burden += cost;
    if (this.#burden >= TURN_COST) this.#endsAt = -Infinity;
  }

  /** Whether the turn has no more time for frames, so that deferrable work should wait. */
  get isUsedUp(): boolean {
    return this.#endsAt !== Infinity && this.#readClock() >= this.#endsAt;
  }

  /**
   * Queues a connection behind those that wait, one per turn. May be called only right after `take` returned true,
   * because the turn is observed then.
   */
  enqueue(connection: Queued): void {
    this.#queue.add(connection);
  }

  leave(connection: Queued): void {
    this.#queue.delete(connection);
  }

  #isOverAt(monoMs: number, inARow: number): boolean {
    if (monoMs >= this.#endsAt) return inARow >= LEAST_FRAMES;
    return this.#queue.size > 0 && inARow >= SLICE_FRAMES;
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
    const [first] = this.#queue;
    if (first === undefined) return;
    this.#watch();
    this.#queue.delete(first);
    // One connection per turn: a slice takes many times as long as a turn of the loop, and other work runs in between.
    first.onTurn();
  }
}

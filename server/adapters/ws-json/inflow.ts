/**
 * Limits how fast the messages of one connection are handled. Everything received is counted by what it costs. Messages
 * wait in order while the connection is over its rate, while the loop turn is used up, or while a handler is not done (a
 * token is being verified, a long list is being loaded). Heartbeats and `bye` pass a handler that is not done. The
 * socket is then paused, and what still arrives (uWebSockets.js cannot pause) is kept in a lane. Nothing is refused or
 * lost. Only more than ten times the rate for 10 s ends the connection. Knows no message types.
 */
import { TokenBucket, type Rate } from '../../lib/time/token-bucket.ts';
import { LEAST_FRAMES, type Queued } from '../../lib/collections/fair-queue.ts';
import type { Socket } from '../../sockets/port.ts';
import { Lane, type Incoming } from './lane.ts';
import type { ConnectionContext } from './context.ts';

/** A message is charged once for each piece of this size: a watch of a thousand users costs more than a heartbeat. */
const MESSAGE_CHARS = 1024;
/** Maximum arrivals while messages wait: ten times the rate, for 10 s. */
const MOST_TIMES_THE_RATE = 10;
const MOST_FOR_S = 10;
/** Maximum waiting bytes of one connection, and the lower maximum before its hello is accepted. */
const MAX_WAITING_BYTES = 2 * 1024 * 1024;
const MAX_WAITING_BYTES_AT_FIRST = 256 * 1024;
/** While only a handler is waited for, the socket is read on up to this much, so that heartbeats arrive. */
const UNPAUSED_BYTES = 64 * 1024;

/** The part of a connection that its inflow needs. */
export interface InflowOwner {
  readonly isOpen: boolean;
  readonly isWelcomed: boolean;
  handle(message: Incoming): void;
  /** Whether the message may be handled before earlier ones that wait for a handler. */
  mayPass(message: Incoming): boolean;
  /** Schedules a tick at that monotonic time or earlier. */
  wakeBy(monoMs: number): void;
  /**
   * Too much arrived while messages had to wait. `mustCut`: it arrived in one turn, so the engine would go on reading.
   */
  flooded(mustCut: boolean): void;
}

/** Exists only while messages wait or must wait. */
interface Wait {
  readonly lane: Lane;
  /** When a message last found the lane empty, as `performance.now()` says. No message has waited longer. */
  since: number;
  /** Rate of arrivals since the wait began. */
  readonly arrivals: TokenBucket;
  units: number;
  /** Monotonic time until which the rate allows nothing; 0 if it allows more. */
  overUntil: number;
  isQueued: boolean;
  /** Number of current holds. */
  holds: number;
  isPaused: boolean;
  /** Whether no message waits that could pass a handler. Another one must not pass it either. */
  isPassable: boolean;
}

/**
 * Extends the bucket instead of having one. There is one inflow for each connection, and a separate object would cost
 * each heartbeat a second memory access.
 */
export class Inflow extends TokenBucket implements Queued {
  readonly #context: ConnectionContext;
  readonly #socket: Socket;
  readonly #connection: InflowOwner;
  readonly #strictUntil: number;
  #turnNo = 0;
  #inARow = 0;
  #wait: Wait | null = null;

  /** `strictUntil`: until then, burst and debt are limited to what one second allows. */
  constructor(context: ConnectionContext, socket: Socket, connection: InflowOwner, strictUntil: number) {
    super(context.lastTickAt < strictUntil ? withoutBurst(context.messages) : context.messages, context.lastTickAt);
    this.#context = context;
    this.#socket = socket;
    this.#connection = connection;
    this.#strictUntil = strictUntil;
  }

  /** Whether new messages must wait, or earlier ones still do. */
  get isWaiting(): boolean {
    return this.#wait !== null;
  }

  /** Monotonic time when `tick` has something to do; Infinity for never. */
  get dueAt(): number {
    return this.#wait === null || this.#wait.overUntil === 0 ? Infinity : this.#wait.overUntil;
  }

  /** Handles a message now or later. */
  arrive(message: Incoming): void {
    const wait = this.#wait;
    if (wait === null || (wait.isPassable && this.#connection.mayPass(message))) {
      this.#handle(message);
      return;
    }
    if (wait.lane.bytes === 0) wait.since = performance.now();
    wait.lane.push(message);
    // Before the welcome nothing passes, so a heartbeat may be waiting now.
    if (!this.#connection.isWelcomed) wait.isPassable = false;
    if (wait.lane.bytes > UNPAUSED_BYTES) this.#pause(wait);
    if (wait.lane.bytes > this.#maxWaitingBytes) this.#connection.flooded(false);
    else this.#arrived(wait, unitsOf(message));
  }

  /** Counts something received that is not a message and needs no handling. */
  count(): void {
    this.#use(1);
    if (this.#wait === null) this.#afterwards(1);
    else this.#arrived(this.#wait, 1);
  }

  /** Charges more for the current message than its size suggests. */
  charge(units: number): void {
    this.#use(units);
    this.#inARow += units;
    this.#context.turns.take(this.#inARow, units);
  }

  /** Holds further messages until `release`. Each hold needs its own release. */
  hold(): void {
    this.#begin().holds++;
  }

  release(): void {
    if (this.#wait === null) return;
    this.#wait.holds--;
    this.#drain(this.#wait);
  }

  tick(monoMs: number): void {
    const wait = this.#wait;
    if (wait === null || wait.overUntil === 0 || monoMs < wait.overUntil) return;
    this.#use(0); // more may have arrived since the time was planned
    if (this.isOver) {
      this.#waitForRate();
      return;
    }
    wait.overUntil = 0;
    this.#inARow = LEAST_FRAMES; // others go first if the turn is used up
    this.#drain(wait);
  }

  /** Runs when the connection is first in the queue. */
  onTurn(): void {
    if (this.#wait === null) return;
    this.#wait.isQueued = false;
    this.#drain(this.#wait);
  }

  /** Drops all waiting messages, because the connection has ended. */
  stop(): void {
    if (this.#wait?.isQueued === true) this.#context.turns.leave(this);
    this.#wait = null;
  }

  #handle(message: Incoming): void {
    const units = unitsOf(message);
    this.#use(units);
    this.#connection.handle(message);
    if (this.#connection.isOpen) this.#afterwards(units);
  }

  #use(units: number): void {
    const { lastTickAt, turns } = this.#context;
    this.take(this.#rate, lastTickAt, units);
    if (turns.turnNo === this.#turnNo) return;
    this.#turnNo = turns.turnNo;
    this.#inARow = 0;
  }

  #afterwards(units: number): void {
    const { turns } = this.#context;
    this.#inARow += units;
    const isTurnOver = turns.take(this.#inARow, units);
    if (this.isOver) {
      this.#waitForRate();
    } else if (isTurnOver) {
      const wait = this.#begin();
      this.#pause(wait);
      wait.isQueued = true;
      turns.enqueue(this);
    }
  }

  #waitForRate(): void {
    const wait = this.#begin();
    this.#pause(wait);
    if (wait.overUntil === 0) this.#context.onRefused('messages');
    wait.overUntil = this.#context.lastTickAt + this.waitMs(this.#rate);
    this.#connection.wakeBy(wait.overUntil);
  }

  #begin(): Wait {
    if (this.#wait !== null) return this.#wait;
    const arrivals = new TokenBucket(this.#mostArrivals, this.#context.lastTickAt);
    const lane = new Lane();
    this.#wait = {
      lane,
      since: 0,
      arrivals,
      units: 0,
      overUntil: 0,
      isQueued: false,
      holds: 0,
      isPaused: false,
      isPassable: true,
    };
    return this.#wait;
  }

  /** From now on every message waits, and the engine reads no more. */
  #pause(wait: Wait): void {
    wait.isPassable = false;
    if (wait.isPaused) return;
    wait.isPaused = true;
    this.#socket.pause();
  }

  #arrived(wait: Wait, units: number): void {
    const { turns, messages, lastTickAt } = this.#context;
    wait.units += units;
    // While a turn is full, each of a great many connections may add what one second allows.
    const isTurnFull = turns.keep(units) && wait.units > messages.perS;
    const isFlood = wait.arrivals.take(this.#mostArrivals, lastTickAt, units) === 'over';
    if (isTurnFull || isFlood) this.#connection.flooded(isTurnFull);
  }

  #drain(wait: Wait): void {
    while (wait.overUntil === 0 && !wait.isQueued && wait.holds === 0) {
      const message = wait.lane.shift();
      if (message === undefined) {
        this.#wait = null;
        if (wait.isPaused) this.#socket.resume();
        return;
      }
      wait.units -= unitsOf(message);
      this.#context.inputWait.since(wait.since, () => this.#handle(message));
      if (this.#wait !== wait) return; // that message ended the connection or the wait
    }
  }

  get #rate(): Rate {
    const { messages, lastTickAt } = this.#context;
    return lastTickAt < this.#strictUntil ? withoutBurst(messages) : messages;
  }

  get #mostArrivals(): Rate {
    const perS = MOST_TIMES_THE_RATE * this.#context.messages.perS;
    return { perS, burst: MOST_FOR_S * perS };
  }

  /** At least as much as the burst allows. */
  get #maxWaitingBytes(): number {
    if (!this.#connection.isWelcomed) return MAX_WAITING_BYTES_AT_FIRST;
    return Math.max(MAX_WAITING_BYTES, this.#context.messages.burst * MESSAGE_CHARS);
  }
}

function unitsOf(message: Incoming): number {
  return typeof message !== 'string' || message.length <= MESSAGE_CHARS ? 1 : Math.ceil(message.length / MESSAGE_CHARS);
}

function withoutBurst({ perS, burst }: Rate): Rate {
  return { perS, burst: Math.min(perS, burst) };
}

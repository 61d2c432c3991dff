/**
 * How fast one connection is heard. Everything that comes is counted by what it costs; over the rate, while the turn of the
 * event loop is used up, or while a token is being checked, it waits in its order: the socket is paused, and what comes all
 * the same (uWebSockets.js cannot pause) is kept in a lane. Nothing is refused or lost, and only what comes at over ten
 * times the rate for 10 s ends the connection. Knows no message: connection.ts handles them.
 */
import { TokenBucket, type Rate } from '../../lib/token-bucket.ts';
import { LEAST_FRAMES, type InLine } from '../../lib/fair-queue.ts';
import type { Socket } from '../../sockets/port.ts';
import { Lane, type Incoming } from './lane.ts';
import type { ConnectionContext } from './ws-json.ts';

/** A message counts once for each such piece of it: a watch of a thousand users is no heartbeat. */
const MESSAGE_CHARS = 1024;
/** What may come while nothing is heard: ten times the rate, for 10 s. */
const MOST_TIMES_THE_RATE = 10;
const MOST_FOR_S = 10;
/** What may wait of one connection, and before its hello is accepted. */
const MAX_WAITING_BYTES = 2 * 1024 * 1024;
const MAX_WAITING_BYTES_AT_FIRST = 256 * 1024;

/** The connection, as its inflow sees it. */
export interface Heard {
  readonly isOpen: boolean;
  readonly isWelcomed: boolean;
  handle(message: Incoming): void;
  /** Has it looked at then (monotonic milliseconds), or before. */
  wakeBy(monoMs: number): void;
  /** Too much came while it had to wait. `mustCut`: in one turn, so that the engine would read on without an end. */
  flooded(mustCut: boolean): void;
}

/** Only while something waits, or has to. */
interface Wait {
  readonly lane: Lane;
  /** What came since it began. */
  readonly arrivals: TokenBucket;
  units: number;
  /** Until the rate allows more, monotonic milliseconds; 0 if it does. */
  overUntil: number;
  isInLine: boolean;
  /** How many hold it. */
  holds: number;
}

/** Itself the bucket, not one beside it: there is one a connection, and each heartbeat would wait for memory twice. */
export class Inflow extends TokenBucket implements InLine {
  readonly #hub: ConnectionContext;
  readonly #socket: Socket;
  readonly #connection: Heard;
  readonly #strictUntil: number;
  #turnNo = 0;
  #inARow = 0;
  #wait: Wait | null = null;

  /** `strictUntil`: till then the burst, and the debt, is what one second allows. */
  constructor(hub: ConnectionContext, socket: Socket, connection: Heard, strictUntil: number) {
    super(hub.lookedAt < strictUntil ? withoutBurst(hub.messages) : hub.messages, hub.lookedAt);
    this.#hub = hub;
    this.#socket = socket;
    this.#connection = connection;
    this.#strictUntil = strictUntil;
  }

  /** Whether what comes now has to wait, or what came before does. */
  get isWaiting(): boolean {
    return this.#wait !== null;
  }

  /** When `look` has something to do; Infinity for never. */
  get dueAt(): number {
    return this.#wait === null || this.#wait.overUntil === 0 ? Infinity : this.#wait.overUntil;
  }

  /** A message came: it is handled now, or later. */
  arrive(message: Incoming): void {
    const wait = this.#wait;
    if (wait === null) {
      this.#handle(message);
      return;
    }
    wait.lane.push(message);
    if (wait.lane.bytes > this.#maxWaitingBytes) this.#connection.flooded(false);
    else this.#arrived(wait, unitsOf(message));
  }

  /** Something came that is no message, and needs no handling. */
  count(): void {
    this.#use(1);
    if (this.#wait === null) this.#afterwards(1);
    else this.#arrived(this.#wait, 1);
  }

  /** The message in hand costs that much more than its size says. */
  charge(units: number): void {
    this.#use(units);
    this.#inARow += units;
    this.#hub.turns.take(this.#inARow, units);
  }

  /** What comes waits until `release`, which each of those who hold it has to call. */
  hold(): void {
    this.#begin().holds++;
  }

  release(): void {
    if (this.#wait === null) return;
    this.#wait.holds--;
    this.#drain(this.#wait);
  }

  /** The wheel came by. */
  tick(monoMs: number): void {
    const wait = this.#wait;
    if (wait === null || wait.overUntil === 0 || monoMs < wait.overUntil) return;
    this.#use(0); // more may have come than it knew of
    if (this.isOver) {
      this.#waitForRate();
      return;
    }
    wait.overUntil = 0;
    this.#inARow = LEAST_FRAMES; // others go first if the turn is used up
    this.#drain(wait);
  }

  /** It was first in line. */
  goOn(): void {
    if (this.#wait === null) return;
    this.#wait.isInLine = false;
    this.#drain(this.#wait);
  }

  /** The connection is over: what waits is not heard any more. */
  stop(): void {
    if (this.#wait?.isInLine === true) this.#hub.turns.leave(this);
    this.#wait = null;
  }

  #handle(message: Incoming): void {
    const units = unitsOf(message);
    this.#use(units);
    this.#connection.handle(message);
    if (this.#connection.isOpen) this.#afterwards(units);
  }

  #use(units: number): void {
    const { lookedAt, turns } = this.#hub;
    this.take(this.#rate, lookedAt, units);
    if (turns.turnNo === this.#turnNo) return;
    this.#turnNo = turns.turnNo;
    this.#inARow = 0;
  }

  #afterwards(units: number): void {
    const { turns } = this.#hub;
    this.#inARow += units;
    const isTurnOver = turns.take(this.#inARow, units);
    if (this.isOver) {
      this.#waitForRate();
    } else if (isTurnOver) {
      this.#begin().isInLine = true;
      turns.getInLine(this);
    }
  }

  #waitForRate(): void {
    const wait = this.#begin();
    if (wait.overUntil === 0) this.#hub.onRefused('messages');
    wait.overUntil = this.#hub.lookedAt + this.waitMs(this.#rate);
    this.#connection.wakeBy(wait.overUntil);
  }

  #begin(): Wait {
    if (this.#wait !== null) return this.#wait;
    this.#socket.pause();
    const arrivals = new TokenBucket(this.#mostArrivals, this.#hub.lookedAt);
    this.#wait = { lane: new Lane(), arrivals, units: 0, overUntil: 0, isInLine: false, holds: 0 };
    return this.#wait;
  }

  #arrived(wait: Wait, units: number): void {
    const { turns, messages, lookedAt } = this.#hub;
    wait.units += units;
    // While a turn is full, each of very many connections may add what one second allows.
    const isTurnFull = turns.keep(units) && wait.units > messages.perS;
    const isFlood = wait.arrivals.take(this.#mostArrivals, lookedAt, units) === 'over';
    if (isTurnFull || isFlood) this.#connection.flooded(isTurnFull);
  }

  #drain(wait: Wait): void {
    while (wait.overUntil === 0 && !wait.isInLine && wait.holds === 0) {
      const message = wait.lane.shift();
      if (message === undefined) {
        this.#wait = null;
        this.#socket.resume();
        return;
      }
      wait.units -= unitsOf(message);
      this.#handle(message);
      if (this.#wait !== wait) return; // it was the last
    }
  }

  get #rate(): Rate {
    const { messages, lookedAt } = this.#hub;
    return lookedAt < this.#strictUntil ? withoutBurst(messages) : messages;
  }

  get #mostArrivals(): Rate {
    const perS = MOST_TIMES_THE_RATE * this.#hub.messages.perS;
    return { perS, burst: MOST_FOR_S * perS };
  }

  /** What the burst allows always fits. */
  get #maxWaitingBytes(): number {
    if (!this.#connection.isWelcomed) return MAX_WAITING_BYTES_AT_FIRST;
    return Math.max(MAX_WAITING_BYTES, this.#hub.messages.burst * MESSAGE_CHARS);
  }
}

function unitsOf(message: Incoming): number {
  return typeof message !== 'string' || message.length <= MESSAGE_CHARS ? 1 : Math.ceil(message.length / MESSAGE_CHARS);
}

function withoutBurst({ perS, burst }: Rate): Rate {
  return { perS, burst: Math.min(perS, burst) };
}

/**
 * The WebSocket-JSON adapter: creates a connection for every socket and keeps the timing wheel for its hello, its pings
 * and its end. Everything here that waits for a time depends on `tick`.
 */
import type { CloseReason } from '../../../shared/reasons.ts';
import { TimingWheel } from '../../lib/time/timing-wheel.ts';
import { realTime } from '../../lib/time/stall-clock.ts';
import { FairQueue } from '../../lib/collections/fair-queue.ts';
import type { Outbox } from '../../fanout/delivery/outbox.ts';
import type { Socket, SocketEvents } from '../../sockets/port.ts';
import { Connection, type ConnectionHost } from './connection.ts';
import type { WsJsonOptions } from './context.ts';
import { Observers } from './observers.ts';
import { PenaltyBox } from './penalty-box.ts';
import { RejectedSocket } from './rejected-socket.ts';

const WHEEL_TICK_MS = 50;
const WHEEL_SLOTS = 1024;
/** Maximum connections that one turn of the loop visits. A ping costs about 5 µs. */
const BUDGET = 1000;
/** Maximum rejected sockets that are closing at one time. Further ones are terminated at once. */
const MAX_LEAVING = 1000;
/** Range of the reconnect delay of rejected sockets. Spread, so that they do not return all at once. */
const RECONNECT_AFTER_MS = { least: 1000, most: 10_000 } as const;

export class WsJson {
  readonly #context: ConnectionHost & { lastTickAt: number };
  readonly #connections = new Set<Connection>();
  readonly #leaving = new Set<RejectedSocket>();
  readonly #wheel: TimingWheel<Connection | RejectedSocket>;
  #observerNo = 0;
  /** Set once the hub drains: the time over which reconnects are spread. */
  #drainMs: number | null = null;
  /** Set while clients are sent to other hubs: the time over which that is spread. */
  #awayMs: number | null = null;
  /** How far the wall clock is ahead of the monotonic clock. */
  #wallAheadMs: number;

  constructor(options: WsJsonOptions) {
    const { wallMs, monoMs } = options.clock.now();
    this.#wallAheadMs = wallMs - monoMs;
    this.#wheel = new TimingWheel(WHEEL_TICK_MS, WHEEL_SLOTS, monoMs);
    this.#context = {
      ...options,
      penaltyBox: new PenaltyBox(),
      turns: new FairQueue({ clock: realTime(options.clock), afterTurn: setImmediate }),
      observers: new Observers(options.limits),
      lastTickAt: monoMs,
      scheduleTick: (connection, dueMs) => {
        this.#wheel.schedule(connection, dueMs);
      },
      nameObserver: () => options.idOfObserver(++this.#observerNo),
      gone: (connection) => {
        this.#wheel.cancel(connection);
        this.#connections.delete(connection);
      },
    };
  }

  /** Number of open WebSocket connections, including observers and those without a hello. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  get isDraining(): boolean {
    return this.#drainMs !== null;
  }

  opened(socket: Socket): SocketEvents {
    const { clock, openOutbox } = this.#context;
    const { monoMs } = clock.now();
    const leaveMs = this.#drainMs ?? this.#awayMs;
    if (leaveMs !== null) return this.#reject(socket, monoMs, spread(0, leaveMs), 'restarting');
    if (socket.exceededLimit !== undefined) {
      return this.#reject(socket, monoMs, spread(RECONNECT_AFTER_MS.least, RECONNECT_AFTER_MS.most), 'overloaded');
    }
    const connection = new Connection(this.#context, socket, openOutbox(socket), monoMs);
    this.#connections.add(connection);
    this.#wheel.schedule(connection, connection.tick(monoMs));
    return connection;
  }

  /** Runs all due ticks of connections. What exceeds the budget follows with the next tick. */
  tick(monoMs: number): void {
    this.#context.lastTickAt = monoMs;
    this.#findStep();
    this.#wheel.advance(monoMs, BUDGET, (item) => item.tick(monoMs));
  }

  /** Outboxes of all welcomed connections that are still open. */
  *welcomedOutboxes(): Generator<Outbox> {
    for (const connection of this.#connections) if (connection.isWelcomed) yield connection.outbox;
  }

  /** Pings every connection to get a sign of life. */
  pingAll(): void {
    for (const connection of this.#connections) connection.ping();
  }

  /**
   * Asks all clients to reconnect later, spread over `spreadMs`. How they leave after that ends no session. Nobody is
   * welcomed any more.
   */
  drain(spreadMs: number): void {
    this.#drainMs = spreadMs;
    for (const connection of this.#connections) connection.drain(spread(0, spreadMs));
  }

  /**
   * Asks all clients to reconnect elsewhere, spread over `spreadMs`, and new ones too, until `takeAgain`. A session ends
   * as usual when its client goes.
   */
  sendAway(spreadMs: number): void {
    this.#awayMs = spreadMs;
    for (const connection of this.#connections) connection.send({ type: 'reconnect', afterMs: spread(0, spreadMs) });
  }

  takeAgain(): void {
    this.#awayMs = null;
  }

  /** Closes all connections with 1012. */
  shutDown(): void {
    for (const connection of this.#connections) connection.shutDown();
  }

  #reject(socket: Socket, monoMs: number, afterMs: number, reason: CloseReason): SocketEvents {
    const rejected = new RejectedSocket(socket, monoMs, (gone) => {
      this.#wheel.cancel(gone);
      this.#leaving.delete(gone);
    });
    if (this.#leaving.size >= MAX_LEAVING) {
      socket.terminate();
      return rejected;
    }
    this.#leaving.add(rejected);
    this.#wheel.schedule(rejected, rejected.tick(monoMs));
    rejected.sayGoodbye(afterMs, reason);
    return rejected;
  }

  /**
   * Detects that the wall clock was stepped, or that the monotonic clock left out a stall. Tokens expire by the wall
   * clock.
   */
  #findStep(): void {
    const { wallMs, monoMs } = this.#context.clock.now();
    const aheadMs = wallMs - monoMs;
    if (Math.abs(aheadMs - this.#wallAheadMs) < WHEEL_TICK_MS) return;
    this.#wallAheadMs = aheadMs;
    for (const connection of this.#connections) connection.clockStepped(monoMs);
  }
}

function spread(least: number, most: number): number {
  return least + Math.floor(Math.random() * (most - least));
}

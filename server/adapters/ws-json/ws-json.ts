/**
 * The WebSocket-JSON adapter: makes a connection of every socket, keeps the wheel that greets, pings and ends them.
 * The engine brings sockets; the hub calls `look` with the time and `shutDown` at its end.
 */
import type { CloseReason, RefusalReason } from '../../../shared/reasons.ts';
import type { SessionStatus } from '../../../shared/status.ts';
import type { Authenticator } from '../../auth/authenticator.ts';
import type { IsFriend } from '../../auth/policy.ts';
import type { Rate } from '../../lib/token-bucket.ts';
import type { Clock } from '../../lib/clock.ts';
import type { TurnBudget } from '../../lib/turn-budget.ts';
import { TimingWheel } from '../../lib/timing-wheel.ts';
import type { ExplainRefusal } from '../../lib/refusal-log.ts';
import { realTime } from '../../lib/stall-clock.ts';
import { FairQueue } from '../../lib/fair-queue.ts';
import type { Fanout } from '../../fanout/fanout.ts';
import type { Tails } from '../../fanout/tails.ts';
import type { Outbox } from '../../fanout/outbox.ts';
import type { Intake } from '../../intake.ts';
import type { Session } from '../../presence/session.ts';
import type { Socket, SocketEvents } from '../../sockets/port.ts';
import { Connection } from './connection.ts';
import { Observers } from './observers.ts';
import { PenaltyBox } from './penalty-box.ts';
import { RejectedSocket } from './rejected-socket.ts';

/** What the connections need of the hub. */
export interface WsJsonOptions {
  readonly authenticator: Authenticator;
  readonly onRefused: (reason: RefusalReason) => void;
  readonly explainRefusal: ExplainRefusal;
  /** Messages of one connection. */
  readonly messages: Rate;
  /** Users watched by id and friend lists, of one connection. */
  readonly maxWatches: number;
  /** What one turn of the loop has for long work. */
  readonly workTurns: Pick<TurnBudget, 'take'>;
  /** Sessions of one user; as many observers of that user may be connected besides. */
  readonly maxSessions: number;
  /** How long a client may read too slowly. */
  readonly slowMs: number;
  /** For a question about that many users: who is whose friend. */
  readonly friendLookUp: (count: number) => IsFriend;
  readonly intake: Intake;
  readonly fanout: Fanout;
  readonly tails: Tails;
  readonly clock: Clock;
  readonly openOutbox: (socket: Socket) => Outbox;
  readonly codeOf: (status: SessionStatus) => number;
  readonly heartbeatMs: number;
  readonly timeoutMs: number;
  /** Called right after the welcome: what is shown may be behind. */
  readonly onWelcomed: (outbox: Outbox) => void;
  /** The name of this hub, told in `welcome`. */
  readonly node: string;
  /** The id of a session, told in `welcome`. */
  readonly idOf: (session: Session) => string;
  /** The same for an observer, by its number. */
  readonly idOfObserver: (no: number) => string;
  /** A message could not be answered through no fault of its own. */
  readonly onFault: (error: unknown) => void;
}

/** The same, and what a connection asks of the adapter itself. */
export interface ConnectionContext extends WsJsonOptions {
  readonly suspects: PenaltyBox;
  readonly turns: FairQueue;
  readonly observers: Observers;
  /** The last look, monotonic milliseconds: for what may be 25 ms old, and would cost a reading of the clock a message. */
  readonly lookedAt: number;
  /** Have it looked at then (monotonic milliseconds), and not before. */
  lookAt(connection: Connection, monoMs: number): void;
  /** What an observer is told in the place of a session's id. */
  readonly nameObserver: () => string;
  /** It is closed. */
  gone(connection: Connection): void;
}

const WHEEL_TICK_MS = 50;
const WHEEL_SLOTS = 1024;
/** Connections looked at in one turn of the loop: a ping costs about 5 µs. */
const BUDGET = 1000;
/** Sockets without room that are let say goodbye at a time; what comes beyond them is cut without a word. */
const MAX_LEAVING = 1000;
/** When those may come back: spread, so that they don't all come at once. */
const COME_BACK_AFTER_MS = { least: 1000, most: 10_000 } as const;

export class WsJson {
  readonly #context: ConnectionContext & { lookedAt: number };
  readonly #connections = new Set<Connection>();
  readonly #leaving = new Set<RejectedSocket>();
  readonly #wheel: TimingWheel<Connection | RejectedSocket>;
  #observerNo = 0;
  /** Set once the hub takes leave: over how long those who come back are spread. */
  #drainMs: number | null = null;
  /** How far the wall clock is ahead of the forward one. */
  #wallAheadMs: number;

  constructor(options: WsJsonOptions) {
    const { wallMs, monoMs } = options.clock.now();
    this.#wallAheadMs = wallMs - monoMs;
    this.#wheel = new TimingWheel(WHEEL_TICK_MS, WHEEL_SLOTS, monoMs);
    this.#context = {
      ...options,
      suspects: new PenaltyBox(),
      turns: new FairQueue({ clock: realTime(options.clock), afterTurn: setImmediate }),
      observers: new Observers(options.maxSessions),
      lookedAt: monoMs,
      lookAt: (connection, dueMs) => {
        this.#wheel.schedule(connection, dueMs);
      },
      nameObserver: () => options.idOfObserver(++this.#observerNo),
      gone: (connection) => {
        this.#wheel.cancel(connection);
        this.#connections.delete(connection);
      },
    };
  }

  /** Open WebSocket connections, observers and those without a hello included. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** The engine has a new socket. */
  opened(socket: Socket): SocketEvents {
    const { clock, openOutbox } = this.#context;
    const { monoMs } = clock.now();
    if (this.#drainMs !== null) return this.#turnAway(socket, monoMs, spread(0, this.#drainMs), 'restarting');
    if (socket.noRoom !== undefined) {
      return this.#turnAway(socket, monoMs, spread(COME_BACK_AFTER_MS.least, COME_BACK_AFTER_MS.most), 'overloaded');
    }
    const connection = new Connection(this.#context, socket, openOutbox(socket), monoMs);
    this.#connections.add(connection);
    this.#wheel.schedule(connection, connection.tick(monoMs));
    return connection;
  }

  /** Greets, pings and ends what is due. What a budget leaves over comes with the next look. */
  tick(monoMs: number): void {
    this.#context.lookedAt = monoMs;
    this.#findStep();
    this.#wheel.advance(monoMs, BUDGET, (item) => item.tick(monoMs));
  }

  /** Everybody who was welcomed and is still there. */
  *welcomedOutboxes(): Generator<Outbox> {
    for (const connection of this.#connections) if (connection.isWelcomed) yield connection.outbox;
  }

  /** Asks every connection for a sign of life. */
  pingAll(): void {
    for (const connection of this.#connections) connection.ping();
  }

  /**
   * Asks everybody to come back after a while, spread over `spreadMs`. How they leave then ends no session; nobody is
   * welcomed any more.
   */
  drain(spreadMs: number): void {
    this.#drainMs = spreadMs;
    for (const connection of this.#connections) connection.drain(spread(0, spreadMs));
  }

  /** Says 1012 to everybody. */
  shutDown(): void {
    for (const connection of this.#connections) connection.shutDown();
  }

  #turnAway(socket: Socket, monoMs: number, afterMs: number, reason: CloseReason): SocketEvents {
    const turned = new RejectedSocket(socket, monoMs, (gone) => {
      this.#wheel.cancel(gone);
      this.#leaving.delete(gone);
    });
    if (this.#leaving.size >= MAX_LEAVING) {
      socket.terminate();
      return turned;
    }
    this.#leaving.add(turned);
    this.#wheel.schedule(turned, turned.tick(monoMs));
    turned.sayGoodbye(afterMs, reason);
    return turned;
  }

  /** The wall clock was stepped, or a stall was left out of the forward one: tokens run out by the wall clock. */
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

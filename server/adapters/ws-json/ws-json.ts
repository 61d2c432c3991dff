/**
 * The WebSocket-JSON adapter: makes a connection of every socket, keeps the wheel that greets, pings and ends them.
 * The engine brings sockets; the hub calls `look` with the time and `shutDown` at its end.
 */
import type { RefusalReason } from '../../../shared/codes.ts';
import type { HubMessage } from '../../../shared/hub-messages.ts';
import type { SessionStatus } from '../../../shared/status.ts';
import type { Admission } from '../../admission.ts';
import type { Authenticator } from '../../auth/authenticator.ts';
import type { Rate } from '../../lib/token-bucket.ts';
import type { Clock } from '../../lib/clock.ts';
import { TimingWheel } from '../../lib/timing-wheel.ts';
import type { Fanout } from '../../fanout/fanout.ts';
import type { Outbox } from '../../fanout/outbox.ts';
import type { Intake } from '../../intake.ts';
import type { Socket, SocketEvents } from '../../sockets/port.ts';
import { Connection } from './connection.ts';

/** What the connections need of the hub. */
export interface WsJsonOptions {
  readonly authenticator: Authenticator;
  readonly admission: Admission;
  readonly onRefused: (reason: RefusalReason) => void;
  /** Messages of one connection. */
  readonly messages: Rate;
  /** Users watched by id and friend lists, of one connection. */
  readonly maxWatches: number;
  /** How long a client may read too slowly. */
  readonly slowMs: number;
  /** Whether `other` is in the friend list of `user`. */
  readonly isFriend: (user: string, other: string) => boolean;
  readonly intake: Intake;
  readonly fanout: Fanout;
  readonly clock: Clock;
  readonly openOutbox: (socket: Socket) => Outbox;
  readonly codeOf: (status: SessionStatus) => number;
  readonly heartbeatMs: number;
  readonly timeoutMs: number;
  /** Since when what is shown may be behind; null where it is not. */
  readonly staleSince: () => number | null;
  /** The name of this hub, told in `welcome`. */
  readonly node: string;
  /** A message could not be answered through no fault of its own. */
  readonly onFault: (error: unknown) => void;
}

/** The same, and what a connection asks of the adapter itself. */
export interface ConnectionContext extends WsJsonOptions {
  /** Have it looked at then (monotonic milliseconds), and not before. */
  lookAt(connection: Connection, monoMs: number): void;
  /** It is closed. */
  gone(connection: Connection): void;
}

const WHEEL_TICK_MS = 50;
const WHEEL_SLOTS = 1024;
/** Connections looked at in one turn of the loop: a ping costs about 5 µs. */
const BUDGET = 1000;

export class WsJson {
  readonly #context: ConnectionContext;
  readonly #connections = new Set<Connection>();
  readonly #wheel: TimingWheel<Connection>;
  #connectionNo = 0;

  constructor(options: WsJsonOptions) {
    this.#wheel = new TimingWheel(WHEEL_TICK_MS, WHEEL_SLOTS, options.clock.now().monoMs);
    this.#context = {
      ...options,
      lookAt: (connection, monoMs) => {
        this.#wheel.schedule(connection, monoMs);
      },
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
    const { clock, node, openOutbox } = this.#context;
    const { monoMs } = clock.now();
    const id = `${node}.${(++this.#connectionNo).toString(36)}`;
    const connection = new Connection(this.#context, socket, openOutbox(socket), id, monoMs);
    this.#connections.add(connection);
    this.#wheel.schedule(connection, connection.look(monoMs));
    return connection;
  }

  /** Greets, pings and ends what is due. What a budget leaves over comes with the next look. */
  look(monoMs: number): void {
    this.#wheel.advance(monoMs, BUDGET, (connection) => connection.look(monoMs));
  }

  /** Tells everybody who was welcomed: `stale` and `fresh`. */
  broadcast(message: HubMessage): void {
    for (const connection of this.#connections) connection.tell(message);
  }

  /** Asks every connection for a sign of life. */
  pingAll(): void {
    for (const connection of this.#connections) connection.ping();
  }

  /** Asks everybody to come back after a while, spread over `spreadMs`. How they leave then ends no session. */
  drain(spreadMs: number): void {
    for (const connection of this.#connections) connection.drain(Math.floor(Math.random() * spreadMs));
  }

  /** Says 1012 to everybody. */
  shutDown(): void {
    for (const connection of this.#connections) connection.shutDown();
  }
}

/**
 * The TCP-XML adapter: the listener of legacy clients, and what all their connections share. Every way that a connection
 * can fail ends in that connection; nothing a peer does stops the accepting. The hub builds it, and calls `look`.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { BadFrameReason, RefusalReason } from '../../../shared/codes.ts';
import type { SessionStatus } from '../../../shared/status.ts';
import type { Admission } from '../../admission.ts';
import type { Authenticator } from '../../auth/authenticator.ts';
import type { Cidrs } from '../../auth/cidrs.ts';
import type { Rate } from '../../lib/token-bucket.ts';
import type { Intake } from '../../intake.ts';
import type { Clock } from '../../lib/clock.ts';
import { takePort } from '../../lib/take-port.ts';
import { TimingWheel } from '../../lib/timing-wheel.ts';
import type { Encoding } from './charset.ts';
import { TcpConnection } from './connection.ts';
import type { FieldNames } from './names.ts';

export interface TcpXmlOptions {
  readonly authenticator: Authenticator;
  /** A user's first frame needs a token. */
  readonly asksForToken: boolean;
  readonly admission: Admission;
  /** Addresses that may connect; null for all. */
  readonly allowed: Cidrs | null;
  /** Peers whose PROXY header counts. */
  readonly trustedProxies: Cidrs;
  readonly onRefused: (reason: RefusalReason) => void;
  /** Frames of each user on a connection. */
  readonly messages: Rate;
  /** How long a connection may take for its first frame, and for any that it has begun. */
  readonly frameMs: number;
  readonly intake: Intake;
  readonly clock: Clock;
  /** What a frame is in that says nothing itself. */
  readonly encoding: Encoding;
  readonly names: FieldNames;
  readonly statusOf: (code: number) => SessionStatus;
  readonly timeoutMs: number;
  /** Answer each frame. */
  readonly ack: boolean;
  /** Ask silent connections. */
  readonly probe: boolean;
  /** A bad frame came from that peer. */
  readonly onBadFrame: (reason: BadFrameReason, peer: string) => void;
}

const WHEEL_TICK_MS = 50;
const WHEEL_SLOTS = 1024;
/** Connections asked in one turn of the loop: a small write each. */
const BUDGET = 500;
/** The kernel's own notice of a peer that is gone without a word, beside the leases. */
const KEEP_ALIVE_AFTER_MS = 60_000;
/** More than Node's 511: after a restart thousands of legacy clients come back in the same second. */
const BACKLOG = 4096;

export class TcpXml {
  readonly #options: TcpXmlOptions;
  readonly #connections = new Set<TcpConnection>();
  readonly #wheel: TimingWheel<TcpConnection>;
  readonly #server: Server;

  constructor(options: TcpXmlOptions) {
    this.#options = options;
    this.#wheel = new TimingWheel(WHEEL_TICK_MS, WHEEL_SLOTS, options.clock.now().monoMs);
    this.#server = createServer(
      { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_AFTER_MS },
      (socket) => {
        this.#accept(socket);
      },
    );
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Takes the port. @returns the port taken. @throws the system's error where it can't be had. */
  async listen(host: string, port: number): Promise<number> {
    const taken = await takePort(this.#server, { host, port, backlog: BACKLOG });
    // An error of accept (descriptors used up, a peer gone already) concerns that connection alone.
    this.#server.on('error', () => undefined);
    return taken.port;
  }

  look(monoMs: number): void {
    if (this.#options.probe) this.#wheel.advance(monoMs, BUDGET, (connection) => connection.look(monoMs));
  }

  /** Takes no new connections any more; those that are open stay, and however they end, their sessions stay. */
  stopAccepting(): void {
    this.#server.close();
    for (const connection of this.#connections) connection.drain();
  }

  /** Stops accepting and cuts every connection. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => {
        resolve();
      });
      for (const connection of this.#connections) connection.cut();
    });
  }

  #accept(socket: Socket): void {
    const connection = new TcpConnection(this.#options, socket);
    this.#connections.add(connection);
    if (this.#options.probe) {
      const { monoMs } = this.#options.clock.now();
      this.#wheel.schedule(connection, connection.look(monoMs));
    }
    socket.on('close', () => {
      this.#wheel.cancel(connection);
      this.#connections.delete(connection);
    });
  }
}

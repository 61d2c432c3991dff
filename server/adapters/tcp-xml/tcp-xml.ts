/**
 * The TCP-XML adapter: the listener of legacy clients, and what all their connections share. Every way that a connection
 * can fail ends in that connection; nothing a peer does stops the accepting. The hub builds it, and calls `look`, which
 * everything here that waits for a time depends on.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { BadFrameReason, RefusalReason } from '../../../shared/reasons.ts';
import type { SessionStatus } from '../../../shared/status.ts';
import type { Admission } from '../../admission.ts';
import type { Authenticator } from '../../auth/authenticator.ts';
import { canonicalAddress, type Cidrs } from '../../auth/cidrs.ts';
import type { Rate } from '../../lib/token-bucket.ts';
import type { Intake } from '../../intake.ts';
import type { Clock } from '../../lib/clock.ts';
import type { ExplainRefusal } from '../../lib/refusal-log.ts';
import { realTime } from '../../lib/stall-clock.ts';
import { takePort } from '../../lib/take-port.ts';
import type { TlsFiles } from '../../lib/tls-files.ts';
import { TimingWheel } from '../../lib/timing-wheel.ts';
import { TlsUpgrade } from '../../lib/tls-upgrade.ts';
import type { Encoding } from './charset.ts';
import { TcpConnection } from './connection.ts';
import { WheelSlot } from './wheel-slot.ts';
import type { FieldNames } from './names.ts';
import { Acceptance } from './acceptance.ts';
import { FrameTemplates } from './frame-templates.ts';
import { shareReads } from './shared-reads.ts';
import { FairQueue } from '../../lib/fair-queue.ts';

export interface TcpXmlOptions {
  readonly authenticator: Authenticator;
  /** A user's first frame needs a token. */
  readonly asksForToken: boolean;
  readonly admission: Admission;
  /** Addresses that may connect; null for all. */
  readonly allowed: Cidrs | null;
  /** Peers whose PROXY header counts. */
  readonly trustedProxies: Cidrs;
  /** With a certificate the port takes TLS too; null for none. */
  readonly tls: TlsFiles | null;
  /** Whether it takes plain connections beside it. */
  readonly tlsMode: 'allow' | 'require';
  readonly onRefused: (reason: RefusalReason) => void;
  readonly explainRefusal: ExplainRefusal;
  /** Users of one connection. */
  readonly maxUsers: number;
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
  readonly onBadFrame: (bad: BadFrame) => void;
}

export interface BadFrame {
  readonly reason: BadFrameReason;
  readonly why: string;
  /** What is wrong, as it came; undefined if that is nothing that can be shown. Never a token. Asked for if it is logged. */
  readonly value: () => string | undefined;
  readonly peer: string;
}

const WHEEL_TICK_MS = 50;
const WHEEL_SLOTS = 1024;
/** Connections looked at in one turn of the loop: a small write each, at most. */
const BUDGET = 2000;
/** The kernel's own notice of a peer that is gone without a word, beside the leases. */
const KEEP_ALIVE_AFTER_MS = 60_000;
/** More than Node's 511: after a restart thousands of legacy clients come back in the same second. */
const BACKLOG = 4096;

export class TcpXml {
  readonly #options: TcpXmlOptions;
  /** One for each open socket. */
  readonly #lines = new Set<WheelSlot>();
  readonly #wheel: TimingWheel<WheelSlot>;
  readonly #turns: FairQueue;
  readonly #shapes: FrameTemplates;
  readonly #server: Server;
  readonly #tls: TlsUpgrade | null;
  /** How far the wall clock is ahead of the forward one. */
  #wallAheadMs: number;
  #isDraining = false;

  constructor(options: TcpXmlOptions) {
    this.#options = options;
    const { wallMs, monoMs } = options.clock.now();
    this.#wallAheadMs = wallMs - monoMs;
    this.#wheel = new TimingWheel(WHEEL_TICK_MS, WHEEL_SLOTS, monoMs);
    this.#turns = new FairQueue({ clock: realTime(options.clock), afterTurn: setImmediate });
    this.#shapes = new FrameTemplates(options.encoding, options.names);
    this.#tls = options.tls === null ? null : new TlsUpgrade(options.tls, { handshakeMs: options.frameMs });
    this.#server = createServer(
      { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_AFTER_MS },
      (socket) => {
        this.#accept(socket);
      },
    );
  }

  get connectionCount(): number {
    return this.#lines.size;
  }

  /** Frames that had to be parsed, for no frame of their shape had come before. */
  get parsedFrames(): number {
    return this.#shapes.parsedCount;
  }

  /** Takes the port. @returns the port taken. @throws the system's error where it can't be had. */
  async listen(host: string, port: number): Promise<number> {
    const taken = await takePort(this.#server, { host, port, backlog: BACKLOG });
    // An error of accept (descriptors used up, a peer gone already) concerns that connection alone.
    this.#server.on('error', () => undefined);
    return taken.port;
  }

  tick(monoMs: number): void {
    this.#turns.looks++;
    this.#findStep();
    this.#wheel.advance(monoMs, BUDGET, (line) => line.tick(monoMs));
  }

  /** Takes no new connections any more; those that are open stay, and however they end, their sessions stay. */
  stopAccepting(): void {
    this.#isDraining = true;
    this.#server.close();
    for (const line of this.#lines) line.served?.drain?.();
  }

  /** Stops accepting and cuts every connection. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => {
        resolve();
      });
      for (const line of this.#lines) line.served?.cut();
    });
  }

  /** The wall clock was stepped, or a stall was left out of the forward one: tokens run out by the wall clock. */
  #findStep(): void {
    const { wallMs, monoMs } = this.#options.clock.now();
    const aheadMs = wallMs - monoMs;
    if (Math.abs(aheadMs - this.#wallAheadMs) < WHEEL_TICK_MS) return;
    this.#wallAheadMs = aheadMs;
    for (const line of this.#lines) line.served?.clockStepped?.();
  }

  #accept(accepted: Socket): void {
    // TLS takes over what it is given, with its own way of reading.
    const raw = this.#tls === null ? shareReads(accepted) : accepted;
    // A reset is an end like any other, and 'close' follows it.
    raw.on('error', () => undefined);
    const address = canonicalAddress(raw.remoteAddress ?? '');
    if (address === undefined) {
      raw.destroy(); // gone already
      return;
    }
    const line = new WheelSlot();
    this.#lines.add(line);
    let entered: string | undefined;
    const onDone = (): void => {
      if (!raw.closed || line.served?.isDone === false) return;
      line.served = null;
      this.#lines.delete(line);
    };
    raw.on('close', () => {
      this.#wheel.cancel(line);
      if (entered !== undefined) this.#options.admission.leave(entered);
      onDone();
    });
    const lookOn = (atMs: number): void => this.#wheel.schedule(line, atMs);
    const opening = new Acceptance(this.#options, raw, {
      peer: { address, port: raw.remotePort ?? 0 },
      tls: this.#tls,
      enter: (source) => {
        const isIn = this.#enter(source);
        if (isIn) entered = source;
        return isIn;
      },
      onOpened: (opened, first) => {
        const connection = new TcpConnection(this.#options, opened, {
          turns: this.#turns,
          shapes: this.#shapes,
          lookOn,
          onDone,
        });
        line.served = connection;
        if (this.#isDraining) connection.drain();
        if (first !== undefined) connection.take(first);
      },
    });
    line.served = opening;
    opening.start();
    if (line.served === opening) lookOn(opening.dueAt);
  }

  #enter(source: string): boolean {
    const { admission, onRefused } = this.#options;
    const refusal = admission.enter(source);
    if (refusal !== undefined) onRefused(refusal);
    return refusal === undefined;
  }
}

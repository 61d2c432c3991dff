/**
 * The TCP-XML adapter: listens for legacy clients and holds what all their connections share. If a connection fails,
 * only that connection ends. No peer can stop the listener from accepting. Everything here that waits for a time
 * depends on `tick`.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { BadFrameReason, RefusalReason } from '../../../shared/reasons.ts';
import type { SessionStatus } from '../../../shared/status.ts';
import type { Admission } from '../../admission.ts';
import type { Authenticator } from '../../auth/authenticator.ts';
import { canonicalAddress, type Cidrs } from '../../auth/cidrs.ts';
import type { Rate } from '../../lib/time/token-bucket.ts';
import type { Intake } from '../../intake.ts';
import type { Clock } from '../../lib/time/clock.ts';
import type { ExplainRefusal } from '../../lib/log/refusal-log.ts';
import { realTime } from '../../lib/time/stall-clock.ts';
import { takePort } from '../../lib/net/take-port.ts';
import type { TlsFiles } from '../../lib/net/tls-files.ts';
import { TimingWheel } from '../../lib/time/timing-wheel.ts';
import { TlsUpgrade } from '../../lib/net/tls-upgrade.ts';
import type { Encoding } from './frames/charset.ts';
import { TcpConnection } from './connection.ts';
import { WheelSlot } from './wheel-slot.ts';
import type { FieldNames } from './frames/names.ts';
import { Acceptance } from './acceptance.ts';
import { FrameTemplates } from './frames/frame-templates.ts';
import { shareReads } from './pacing/shared-reads.ts';
import { FairQueue } from '../../lib/collections/fair-queue.ts';

export interface TcpXmlOptions {
  readonly authenticator: Authenticator;
  /** The first frame of a user needs a token. */
  readonly asksForToken: boolean;
  readonly admission: Admission;
  /** Addresses that may connect. Null allows all. */
  readonly allowed: Cidrs | null;
  /** Peers whose PROXY header is trusted. */
  readonly trustedProxies: Cidrs;
  /** Certificate files. If present, the port accepts TLS; null disables TLS. */
  readonly tls: TlsFiles | null;
  /** Whether the port accepts plain connections in addition to TLS. */
  readonly tlsMode: 'allow' | 'require';
  readonly onRefused: (reason: RefusalReason) => void;
  readonly explainRefusal: ExplainRefusal;
  /** Maximum users of one connection. */
  readonly maxUsers: number;
  /** Frame rate of each user on a connection. */
  readonly messages: Rate;
  /** Maximum time until a connection completes its first frame, and until any frame that has begun is complete. */
  readonly frameMs: number;
  readonly intake: Intake;
  readonly clock: Clock;
  /** Encoding of a frame that does not declare one. */
  readonly encoding: Encoding;
  readonly names: FieldNames;
  readonly statusOf: (code: number) => SessionStatus;
  readonly timeoutMs: number;
  /** Whether to answer each frame. */
  readonly ack: boolean;
  /** Whether to probe silent connections. */
  readonly probe: boolean;
  readonly onBadFrame: (bad: BadFrame) => void;
}

export interface BadFrame {
  readonly reason: BadFrameReason;
  readonly why: string;
  /**
   * The offending value as received, never a token. Undefined if nothing can be shown. Computed only if it is logged.
   */
  readonly value: () => string | undefined;
  readonly peer: string;
}

const WHEEL_TICK_MS = 50;
const WHEEL_SLOTS = 1024;
/** Maximum connections that one turn of the loop visits. Each costs one small write at most. */
const BUDGET = 2000;
/** Kernel keep-alive delay. Keep-alive detects a peer that vanished; the leases detect it too. */
const KEEP_ALIVE_AFTER_MS = 60_000;
/**
 * More than Node's default of 511, because after a restart thousands of legacy clients reconnect in the same second.
 */
const BACKLOG = 4096;

export class TcpXml {
  readonly #options: TcpXmlOptions;
  /** One slot for each open socket. */
  readonly #lines = new Set<WheelSlot>();
  readonly #wheel: TimingWheel<WheelSlot>;
  readonly #turns: FairQueue;
  readonly #shapes: FrameTemplates;
  readonly #server: Server;
  readonly #tls: TlsUpgrade | null;
  /** How far the wall clock is ahead of the monotonic clock. */
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

  /** Number of frames that were parsed because no template fitted. */
  get parsedFrames(): number {
    return this.#shapes.parsedCount;
  }

  /** Listens on the port. @returns the port in use. @throws the system's error if the port is not available. */
  async listen(host: string, port: number): Promise<number> {
    const taken = await takePort(this.#server, { host, port, backlog: BACKLOG });
    // An error of accept (no descriptors left, or the peer already gone) concerns that connection only.
    this.#server.on('error', () => undefined);
    return taken.port;
  }

  tick(monoMs: number): void {
    this.#turns.looks++;
    this.#findStep();
    this.#wheel.advance(monoMs, BUDGET, (line) => line.tick(monoMs));
  }

  /** Stops accepting. Open connections stay. However they end from now on, their sessions stay. */
  stopAccepting(): void {
    this.#isDraining = true;
    this.#server.close();
    for (const line of this.#lines) line.served?.drain?.();
  }

  /** Stops accepting and destroys every connection. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => {
        resolve();
      });
      for (const line of this.#lines) line.served?.cut();
    });
  }

  /**
   * Detects that the wall clock was stepped, or that the monotonic clock left out a stall. Tokens expire by the wall
   * clock.
   */
  #findStep(): void {
    const { wallMs, monoMs } = this.#options.clock.now();
    const aheadMs = wallMs - monoMs;
    if (Math.abs(aheadMs - this.#wallAheadMs) < WHEEL_TICK_MS) return;
    this.#wallAheadMs = aheadMs;
    for (const line of this.#lines) line.served?.clockStepped?.();
  }

  #accept(accepted: Socket): void {
    // TLS reads the accepted socket in its own way, so reads are shared only without TLS.
    const raw = this.#tls === null ? shareReads(accepted) : accepted;
    // A reset is an ordinary end, and 'close' follows it.
    raw.on('error', () => undefined);
    const address = canonicalAddress(raw.remoteAddress ?? '');
    if (address === undefined) {
      raw.destroy(); // the peer has already gone
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

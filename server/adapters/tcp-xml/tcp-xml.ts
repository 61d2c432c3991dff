/**
 * The TCP-XML adapter: listens for legacy clients and holds what all their connections share. If a connection fails,
 * only that connection ends. No peer can stop the listener from accepting. Everything here that waits for a time
 * depends on `tick`.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { canonicalAddress } from '../../auth/cidrs.ts';
import { realTime } from '../../lib/time/stall-clock.ts';
import { takePort } from '../../lib/net/take-port.ts';
import { TimingWheel } from '../../lib/time/timing-wheel.ts';
import { TlsUpgrade } from '../../lib/net/tls-upgrade.ts';
import { TcpConnection } from './connection.ts';
import type { TcpXmlOptions } from './options.ts';
import { WheelSlot } from './wheel-slot.ts';
import { Acceptance } from './acceptance.ts';
import { FrameTemplates } from './frames/frame-templates.ts';
import { shareReads } from './pacing/shared-reads.ts';
import { FairQueue } from '../../lib/collections/fair-queue.ts';

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
  readonly #slots = new Set<WheelSlot>();
  readonly #wheel: TimingWheel<WheelSlot>;
  readonly #queue: FairQueue;
  readonly #templates: FrameTemplates;
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
    this.#queue = new FairQueue({ clock: realTime(options.clock), afterTurn: setImmediate });
    this.#templates = new FrameTemplates(options.encoding, options.names);
    this.#tls = options.tls === null ? null : new TlsUpgrade(options.tls, { handshakeMs: options.frameMs });
    this.#server = createServer(
      { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_AFTER_MS },
      (socket) => {
        this.#accept(socket);
      },
    );
  }

  get connectionCount(): number {
    return this.#slots.size;
  }

  /** Number of frames that were parsed because no template fitted. */
  get parsedFrames(): number {
    return this.#templates.parsedCount;
  }

  /**
   * Listens on the port, which the workers of one parent may share. @returns the port in use. @throws the system's error
   * if the port is not available.
   */
  async listen(host: string, port: number, isShared = false): Promise<number> {
    const taken = await takePort(this.#server, { host, port, backlog: BACKLOG, isShared });
    // An error of accept (no descriptors left, or the peer already gone) concerns that connection only.
    this.#server.on('error', () => undefined);
    return taken.port;
  }

  tick(monoMs: number): void {
    this.#queue.tickNo++;
    this.#findStep();
    this.#wheel.advance(monoMs, BUDGET, (slot) => slot.tick(monoMs));
  }

  /** Stops accepting. Open connections stay. However they end from now on, their sessions stay. */
  stopAccepting(): void {
    this.#isDraining = true;
    this.#server.close();
    for (const slot of this.#slots) slot.owner?.drain?.();
  }

  /** Stops accepting and destroys every connection. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => {
        resolve();
      });
      for (const slot of this.#slots) slot.owner?.cut();
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
    for (const slot of this.#slots) slot.owner?.clockStepped?.();
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
    const slot = new WheelSlot(this.#wheel);
    this.#slots.add(slot);
    let entered: string | undefined;
    const onDone = (): void => {
      if (!raw.closed || slot.owner?.isDone === false) return;
      slot.owner = null;
      this.#slots.delete(slot);
    };
    raw.on('close', () => {
      this.#wheel.cancel(slot);
      if (entered !== undefined) this.#options.admission.leave(entered);
      onDone();
    });
    const acceptance = new Acceptance(this.#options, raw, {
      peer: { address, port: raw.remotePort ?? 0 },
      tls: this.#tls,
      enter: (source) => {
        const isIn = this.#enter(source);
        if (isIn) entered = source;
        return isIn;
      },
      onOpened: (opened, first) => {
        const connection = new TcpConnection(this.#options, opened, {
          queue: this.#queue,
          templates: this.#templates,
          visitBy: (atMs) => slot.visitBy(atMs),
          onDone,
        });
        slot.owner = connection;
        if (this.#isDraining) connection.drain();
        connection.start(first);
      },
    });
    slot.owner = acceptance;
    acceptance.start();
    if (slot.owner === acceptance) slot.visitBy(acceptance.dueAt);
  }

  #enter(source: string): boolean {
    const { admission, onRefused } = this.#options;
    const refusal = admission.enter(source);
    if (refusal !== undefined) onRefused(refusal);
    return refusal === undefined;
  }
}

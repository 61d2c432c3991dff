/**
 * The acceptance of a connection, before its first frame: finds its source (the header of a trusted proxy may state
 * it), checks whether that address may connect, and detects TLS. Destroys connections that are not allowed. Reads no
 * frame. Limited in time, so it needs a tick at `dueAt`.
 */
import type { Socket } from 'node:net';
import { createProxyReader, type ProxySource } from '../../auth/proxy-protocol.ts';
import { beginsTls, type TlsUpgrade } from '../../lib/net/tls-upgrade.ts';
import type { SlotOwner } from './wheel-slot.ts';
import type { TcpXmlOptions } from './options.ts';

/** A connection whose next bytes are frames. */
export interface Opened {
  /** The socket that delivers frames: the accepted one, or TLS on top of it. */
  readonly socket: Socket;
  /** The client's address, behind any proxy. */
  readonly source: ProxySource;
  /** Monotonic start of the time for the first frame. */
  readonly openedAt: number;
}

interface AcceptOptions {
  /** The direct peer, its address in canonical form. */
  readonly peer: ProxySource;
  /** Null if the hub has no certificate. */
  readonly tls: TlsUpgrade | null;
  /** @returns false if the address is not admitted. The caller then destroys the connection. */
  readonly enter: (address: string) => boolean;
  /** `first`: bytes that already arrived and must be read before all others. */
  readonly onOpened: (opened: Opened, first: Buffer | undefined) => void;
}

export class Acceptance implements SlotOwner {
  readonly isDone = true;
  readonly #context: TcpXmlOptions;
  readonly #raw: Socket;
  readonly #options: AcceptOptions;
  readonly #openedAt: number;

  constructor(context: TcpXmlOptions, raw: Socket, options: AcceptOptions) {
    this.#context = context;
    this.#raw = raw;
    this.#options = options;
    this.#openedAt = context.clock.now().monoMs;
  }

  /** Monotonic time by which the connection must be accepted. */
  get dueAt(): number {
    return this.#openedAt + this.#context.frameMs;
  }

  /** Accepts the connection at once, or after the peer has sent something. */
  start(): void {
    const { peer } = this.#options;
    if (this.#context.trustedProxies.contains(peer.address)) this.#readHeader(peer);
    else this.#admit(peer, undefined);
  }

  tick(monoMs: number): number {
    if (monoMs < this.dueAt) return this.dueAt;
    this.#context.onRefused('slow_sender');
    this.#raw.destroy();
    return Infinity;
  }

  cut(): void {
    this.#raw.destroy();
  }

  #readHeader(peer: ProxySource): void {
    const reader = createProxyReader();
    const onData = (packet: Buffer): void => {
      const outcome = reader.push(packet);
      if (outcome.kind === 'more') return;
      this.#raw.off('data', onData);
      if (outcome.kind === 'done') {
        this.#admit(outcome.source ?? peer, outcome.rest.length > 0 ? outcome.rest : undefined);
        return;
      }
      this.#context.onRefused('proxy');
      this.#context.explainRefusal('proxy', 'a proxy in HUB_TRUST_PROXY sent an invalid PROXY header', {
        address: peer.address,
      });
      this.#raw.destroy();
    };
    this.#raw.on('data', onData);
  }

  #admit(source: ProxySource, first: Buffer | undefined): void {
    const { allowed, onRefused, explainRefusal } = this.#context;
    if (allowed !== null && !allowed.contains(source.address)) {
      onRefused('address');
      explainRefusal('address', 'connection rejected: add its address to HUB_TCP_ALLOW if it may connect', {
        address: source.address,
      });
      this.#raw.destroy();
    } else if (!this.#options.enter(source.address)) {
      this.#raw.destroy();
    } else if (this.#options.tls === null) {
      this.#open(this.#raw, source, first);
    } else if (first === undefined) {
      this.#raw.once('data', (packet) => this.#detectTls(source, packet));
    } else {
      this.#detectTls(source, first);
    }
  }

  #detectTls(source: ProxySource, first: Buffer): void {
    const { tls } = this.#options;
    if (tls !== null && beginsTls(first)) {
      tls.secure(this.#raw, first, (socket) => this.#open(socket, source, undefined));
    } else if (this.#context.tlsMode === 'require') {
      this.#context.onBadFrame({
        reason: 'malformed',
        why: 'HUB_TCP_TLS=require accepts only TLS connections, and this one started without TLS.',
        value: () => undefined,
        peer: `${source.address}:${source.port}`,
      });
      this.#raw.destroy();
    } else {
      this.#open(this.#raw, source, first);
    }
  }

  #open(socket: Socket, source: ProxySource, first: Buffer | undefined): void {
    this.#options.onOpened({ socket, source, openedAt: this.#openedAt }, first);
  }
}

/** A legacy client for tests: writes frames, or any bytes, over raw TCP, and keeps what comes back. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';

interface OpenOptions {
  /** Any address of loopback, to be somebody else. */
  readonly from?: string;
  /** Goes on sending after the hub has ended its side, and does not end by itself. */
  readonly allowHalfOpen?: boolean;
  /** Speaks TLS from the first byte. */
  readonly tls?: ConnectionOptions;
  /** What is sent before all else, TLS too. */
  readonly before?: string;
}

export class LegacyClient {
  readonly #socket: Socket;
  /** What TLS stands upon, or the socket itself. */
  readonly #raw: Socket;
  received = '';
  #wake: (() => void) | undefined;
  /** Resolves when the hub has closed the connection, or it was ended here. */
  readonly closed: Promise<void>;

  private constructor(socket: Socket, raw: Socket) {
    this.#socket = socket;
    this.#raw = raw;
    raw.on('error', () => undefined);
    socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1');
      this.#wake?.();
    });
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        resolve();
        this.#wake?.();
      });
    });
  }

  static async open(
    port: number,
    { from, allowHalfOpen = false, tls, before }: OpenOptions = {},
  ): Promise<LegacyClient> {
    const localAddress = from === undefined ? {} : { localAddress: from };
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen, ...localAddress });
    if (before !== undefined) socket.write(before);
    const client = new LegacyClient(tls === undefined ? socket : connectTls({ ...tls, socket }), socket);
    await new Promise<void>((resolve, reject) => {
      client.#socket.on(tls === undefined ? 'connect' : 'secureConnect', resolve);
      client.#socket.on('error', reject);
    });
    return client;
  }

  /** The socket itself, TLS or not. */
  get socket(): Socket | TLSSocket {
    return this.#socket;
  }

  /** One heartbeat. */
  beat(user: string, state?: number): void {
    this.write(frame(user, state));
  }

  write(bytes: string | Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Waits until what came back holds the text. */
  async waitFor(text: string): Promise<void> {
    while (!this.received.includes(text)) {
      if (this.#socket.closed) throw new Error(`closed before "${text}" came; got "${this.received}"`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** From now on it is as the legacy client was: it never reads. */
  stopReading(): void {
    this.#socket.pause();
  }

  readAgain(): void {
    this.#socket.resume();
  }

  /** A clean end of stream, without a goodbye. */
  end(): void {
    this.#socket.end();
  }

  /** The process died: a reset. */
  reset(): void {
    this.#raw.resetAndDestroy();
  }
}

export function frame(user: string, state?: number, token?: string): string {
  const stated = state === undefined ? '' : `<user_state>${state}</user_state>`;
  const vouched = token === undefined ? '' : `<token>${token}</token>`;
  return `<protocol><user_id>${user}</user_id>${stated}${vouched}</protocol>`;
}

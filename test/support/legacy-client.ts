/** A legacy client for tests: writes frames, or any bytes, over raw TCP, and keeps what comes back. */
import { connect, type Socket } from 'node:net';

export class LegacyClient {
  readonly #socket: Socket;
  received = '';
  #wake: (() => void) | undefined;
  /** Resolves when the hub has closed the connection, or it was ended here. */
  readonly closed: Promise<void>;

  private constructor(socket: Socket) {
    this.#socket = socket;
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

  static async open(port: number): Promise<LegacyClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const client = new LegacyClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.on('connect', resolve);
      socket.on('error', reject);
    });
    return client;
  }

  /** One heartbeat. */
  beat(user: string, state?: number): void {
    this.write(frame(user, state));
  }

  write(bytes: string | Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Waits until what came back holds the text. */
  async heard(text: string): Promise<void> {
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
    this.#socket.resetAndDestroy();
  }
}

export function frame(user: string, state?: number): string {
  const stated = state === undefined ? '' : `<user_state>${state}</user_state>`;
  return `<protocol><user_id>${user}</user_id>${stated}</protocol>`;
}

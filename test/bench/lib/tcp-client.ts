/**
 * One legacy client on a raw socket: writes frames that were prepared, and passes on the hub's answers, if any
 * (`HUB_TCP_ACK`). Sends no heartbeats by itself.
 */
import { connect, type Socket } from 'node:net';

export interface TcpClientOptions {
  readonly port: number;
  readonly localAddress?: string | undefined;
  readonly firstFrame: Buffer;
  readonly onConnect?: () => void;
  readonly onAnswer?: (bytes: Buffer) => void;
  readonly onEnd?: () => void;
}

export class TcpClient {
  readonly #socket: Socket;
  #isLetGo = false;

  constructor({ port, localAddress, firstFrame, onConnect, onAnswer, onEnd }: TcpClientOptions) {
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    this.#socket.write(firstFrame);
    if (onConnect !== undefined) this.#socket.on('connect', onConnect);
    this.#socket.on('data', (bytes: Buffer) => {
      if (!this.#isLetGo) onAnswer?.(bytes);
    });
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      if (!this.#isLetGo) onEnd?.();
    });
  }

  send(frame: Buffer): void {
    if (this.#socket.writable) this.#socket.write(frame);
  }

  /** Whether something that it sent has yet to be taken by the kernel. */
  get isBehind(): boolean {
    return this.#socket.writableLength > 0;
  }

  end(how: 'reset' | 'fin'): void {
    this.#isLetGo = true;
    if (how === 'reset') {
      this.#socket.resetAndDestroy();
      return;
    }
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), 1000).unref();
  }
}

/** A legacy heartbeat. `state`: 1 online, 2 away, 3 busy, -1 leaving. */
export function xmlFrame(user: string, state = 1, token?: string): Buffer {
  const extra = token === undefined ? '' : `<token>${token}</token>`;
  return Buffer.from(`<protocol><user_id>${user}</user_id><user_state>${state}</user_state>${extra}</protocol>\n`);
}

/**
 * The WebSocket class that a command gives to the SDK, made of the package `ws`: Node 20 has none. Passes on only
 * messages of the contract, and shows what is sent and received. Connects once; the SDK reconnects.
 */
import { WebSocket, type RawData } from 'ws';
import { hubMessage, type HubMessage } from '../../../shared/messages/hub-messages.ts';
import { parseJson } from '../../../shared/messages/json.ts';
import type { WebSocketConstructor, WebSocketLike } from '../../sdk/index.ts';

const HANDSHAKE_WITHIN_MS = 10_000;

export interface SocketEvents {
  readonly onOpening: () => void;
  readonly onSent: (json: string) => void;
  /** @returns the message that the SDK receives. */
  readonly onMessage: (message: HubMessage) => HubMessage;
  readonly onError: (error: Error) => void;
}

export function webSocketClass({ onOpening, onSent, onMessage, onError }: SocketEvents): WebSocketConstructor {
  return class implements WebSocketLike {
    onopen: WebSocketLike['onopen'] = null;
    onmessage: WebSocketLike['onmessage'] = null;
    onclose: WebSocketLike['onclose'] = null;
    onerror: WebSocketLike['onerror'] = null;
    readonly #socket: WebSocket;

    constructor(url: string) {
      onOpening();
      const socket = new WebSocket(url, { handshakeTimeout: HANDSHAKE_WITHIN_MS, perMessageDeflate: false });
      this.#socket = socket;
      socket.on('open', () => this.onopen?.({} as never));
      socket.on('message', (data: RawData, isBinary) => {
        const read = isBinary ? undefined : hubMessage.safeParse(parseJson((data as Buffer).toString('utf8')));
        // The contract may grow: a message that is not known is ignored.
        if (read?.success !== true || this.onmessage === null) return;
        this.onmessage({ data: JSON.stringify(onMessage(read.data)) } as never);
      });
      socket.on('error', (error) => {
        // After the SDK has dropped this connection, its errors say nothing about the current one.
        if (this.onclose !== null) onError(error);
      });
      socket.on('close', (code, reason) => this.onclose?.({ code, reason: reason.toString() } as never));
    }

    get readyState(): number {
      return this.#socket.readyState;
    }

    send(json: string): void {
      onSent(json);
      this.#socket.send(json);
    }

    close(code?: number): void {
      this.#socket.close(code);
    }
  };
}

/**
 * The engine port over ws and node:http. Must not let an error of one connection escape: a peer's fault ends its own
 * socket and nothing else. Chosen by load-engine; held to the port by the contract suite.
 *
 * Node's own timeouts stand: 60 s for a request's head, 300 s for all of it, 5 s for an idle keep-alive connection.
 */
import { createServer, type IncomingMessage } from 'node:http';
import type { Socket as Wire } from 'node:net';
import type { Duplex } from 'node:stream';
import { type RawData, type ServerOptions, WebSocket, WebSocketServer } from 'ws';
import { MAX_WS_MESSAGE_BYTES, MAX_WS_PAYLOAD_BYTES } from '../../shared/limits.ts';
import { takePort } from '../lib/take-port.ts';
import { fittingReason, MAX_BACKPRESSURE_BYTES, PARSER_HEADER_BYTES } from './http-rules.ts';
import type { Engine, Listening, SendResult, Service, Socket, SocketEvents } from './port.ts';
import { answerMalformed, answerRequest, readUpgrade } from './ws-http.ts';

const webSocketOptions: ServerOptions & { closeTimeout: number } = {
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: MAX_WS_PAYLOAD_BYTES,
  // From our close frame to the cut, where the peer does not answer; 30 s by default.
  closeTimeout: 5_000,
};

class WsSocket implements Socket {
  readonly remoteAddress: string;
  readonly #ws: WebSocket;
  readonly #wire: Duplex;
  /** None until `opened` has answered, or where it threw. */
  #events: SocketEvents | undefined;
  #isQueued = false;
  #isLeaving = false;

  constructor(ws: WebSocket, wire: Duplex, remoteAddress: string) {
    this.#ws = ws;
    this.#wire = wire;
    this.remoteAddress = remoteAddress;
  }

  send(text: string): SendResult {
    const ws = this.#ws;
    if (ws.readyState !== WebSocket.OPEN || ws.bufferedAmount > MAX_BACKPRESSURE_BYTES) return 'dropped';
    ws.send(text);
    if (!this.#wire.writableNeedDrain) return 'sent';
    this.#isQueued = true;
    return 'queued';
  }

  ping(): void {
    if (this.#ws.readyState === WebSocket.OPEN) this.#ws.ping();
  }

  close(code: number, reason: string): void {
    this.#isLeaving = true;
    this.#ws.close(code, fittingReason(reason));
  }

  terminate(): void {
    this.#isLeaving = true;
    this.#ws.terminate();
  }

  onOpen(service: Service): void {
    this.#ws.on('message', (bytes, isBinary) => {
      this.#onMessage(bytes, isBinary);
    });
    this.#ws.on('pong', () => {
      if (!this.#isLeaving) this.#events?.pong();
    });
    this.#wire.on('drain', () => {
      this.#onDrain();
    });
    // Not ws's own `close`: it never comes once a message handler has thrown. By now ws has read what was left.
    this.#wire.once('close', () => {
      this.#isLeaving = true;
      this.#events?.closed();
    });
    // ws ends the socket itself, with the code that fits.
    this.#ws.on('error', () => undefined);
    this.#events = service.opened(this);
  }

  /** Still comes after our own close, until the peer has answered it. Always one Buffer: `binaryType` is left alone. */
  #onMessage(bytes: RawData, isBinary: boolean): void {
    if (this.#isLeaving) return;
    const message = bytes as Buffer;
    if (message.length > MAX_WS_MESSAGE_BYTES) this.#events?.oversize();
    else if (isBinary) this.#events?.binary();
    else this.#events?.message(message.toString());
  }

  #onDrain(): void {
    if (!this.#isQueued) return;
    this.#isQueued = false;
    if (!this.#isLeaving) this.#events?.drained();
  }
}

async function listen(host: string, port: number, service: Service): Promise<Listening> {
  // A request without a Host gets our 400 instead of Node's; no header may be dropped unseen, so their number is free.
  const server = createServer({ maxHeaderSize: PARSER_HEADER_BYTES, requireHostHeader: false });
  server.maxHeadersCount = 0;
  const webSockets = new WebSocketServer(webSocketOptions);
  const wires = new Set<Wire>();
  let onAllGone: (() => void) | undefined;

  server.on('connection', (wire) => {
    wires.add(wire);
    wire.once('close', () => {
      wires.delete(wire);
      if (wires.size === 0) onAllGone?.();
    });
  });
  server.on('request', (request, response) => {
    answerRequest(service, request, response);
  });
  server.on('clientError', answerMalformed(service));
  server.on('upgrade', (request: IncomingMessage, wire: Duplex, firstBytes: Buffer) => {
    const remoteAddress = readUpgrade(service, request, wire);
    if (remoteAddress === undefined) return;
    webSockets.handleUpgrade(request, wire, firstBytes, (ws) => {
      new WsSocket(ws, wire, remoteAddress).onOpen(service);
    });
  });

  const taken = await takePort(server, { host, port });
  return {
    port: taken.port,
    stopAccepting: () => {
      server.close();
    },
    close: async () => {
      const portFree = new Promise((resolve) => server.close(resolve));
      const allGone = new Promise<void>((resolve) => (onAllGone = resolve));
      if (wires.size === 0) onAllGone?.();
      for (const wire of wires) wire.destroy();
      // Node tells that the server is closed before its connections tell of their end.
      await Promise.all([portFree, allGone]);
    },
  };
}

export const wsEngine: Engine = { name: 'ws', listen };

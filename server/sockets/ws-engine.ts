/**
 * The engine port over ws, node:http and node:https. Must not let an error of one connection escape: a peer's fault ends its own
 * socket and nothing else. Chosen by load-engine; held to the port by the contract suite.
 *
 * A client has SLOW_CLIENT_MS for its TLS handshake, again for a whole request, body included, again between two requests,
 * and as long without reading any of an answer; Node looks once a second. An answer of the hub's own is waited for.
 */
import { constants } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket as Wire } from 'node:net';
import type { Duplex } from 'node:stream';
import { type RawData, type ServerOptions, WebSocket, WebSocketServer } from 'ws';
import { MAX_WS_MESSAGE_BYTES, MAX_WS_PAYLOAD_BYTES } from '../../shared/limits.ts';
import { takePort } from '../lib/take-port.ts';
import type { TlsFiles } from '../lib/tls-files.ts';
import {
  fittingReason,
  MAX_BACKPRESSURE_BYTES,
  MAX_WAITING_PONG_BYTES,
  PARSER_HEADER_BYTES,
  SLOW_CLIENT_MS,
} from './http-rules.ts';
import type { Engine, Listening, ListenOptions, SendResult, Service, Socket, SocketEvents } from './port.ts';
import { answerMalformed, answerRequest, readUpgrade } from './ws-http.ts';

const webSocketOptions: ServerOptions & { closeTimeout: number } = {
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: MAX_WS_PAYLOAD_BYTES,
  // From our close frame to the cut, where the peer does not answer; 30 s by default.
  closeTimeout: 5_000,
};

const httpOptions = {
  maxHeaderSize: PARSER_HEADER_BYTES,
  // A request without a Host gets our 400 instead of Node's.
  requireHostHeader: false,
  headersTimeout: SLOW_CLIENT_MS,
  requestTimeout: SLOW_CLIENT_MS,
  keepAliveTimeout: SLOW_CLIENT_MS,
  connectionsCheckingInterval: 1_000,
};

const AS_TEXT = { binary: false };

class WsSocket implements Socket {
  readonly remoteAddress: string;
  readonly #ws: WebSocket;
  readonly #wire: Duplex;
  /** None until `opened` has answered, or where it threw. */
  #events: SocketEvents | undefined;
  #isQueued = false;
  /** No more than this of what waits is the hub's own, and what waited when it began to. */
  #queuedBytes = 0;
  #isLeaving = false;

  constructor(ws: WebSocket, wire: Duplex, remoteAddress: string) {
    this.#ws = ws;
    this.#wire = wire;
    this.remoteAddress = remoteAddress;
  }

  send(message: string | Uint8Array): SendResult {
    const ws = this.#ws;
    if (ws.readyState !== WebSocket.OPEN || ws.bufferedAmount > MAX_BACKPRESSURE_BYTES) return 'dropped';
    ws.send(message, AS_TEXT);
    if (!this.#wire.writableNeedDrain) return 'sent';
    this.#queuedBytes = this.#isQueued ? this.#queuedBytes + Buffer.byteLength(message) : this.#wire.writableLength;
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
    // ws has answered it by now.
    this.#ws.on('ping', () => {
      if (this.#wire.writableLength > this.#queuedBytes + MAX_WAITING_PONG_BYTES) this.#ws.terminate();
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
    this.#queuedBytes = 0;
    if (!this.#isLeaving) this.#events?.drained();
  }
}

/** `stop` ends the taking over of new certificates. */
function createEitherServer(tls: TlsFiles | undefined): { server: Server; stop: () => void } {
  if (tls === undefined) return { server: createServer(httpOptions), stop: () => undefined };
  const secure = ({ cert, key }: TlsFiles['pair']) => ({
    cert,
    key,
    minVersion: 'TLSv1.2' as const,
    // One handshake a connection: a new one costs the hub a hundred times what it costs the client.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  });
  const server = createTlsServer({ ...httpOptions, ...secure(tls.pair), handshakeTimeout: SLOW_CLIENT_MS });
  return { server, stop: tls.onChange((pair) => server.setSecureContext(secure(pair))) };
}

async function listen(host: string, port: number, service: Service, options: ListenOptions = {}): Promise<Listening> {
  const { server, stop } = createEitherServer(options.tls);
  // No header may be dropped unseen.
  server.maxHeadersCount = 0;
  const webSockets = new WebSocketServer(webSocketOptions);
  const wires = new Set<Wire>();
  let onAllGone: (() => void) | undefined;

  const keep = (wire: Wire): void => {
    wires.add(wire);
    wire.once('close', () => {
      wires.delete(wire);
      if (wires.size === 0) onAllGone?.();
    });
  };
  server.on('connection', keep);
  server.on('secureConnection', keep);
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
      stop();
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

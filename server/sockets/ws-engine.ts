/**
 * The engine port over ws and node:http. Must not let an error of one connection escape: a peer's fault ends its own
 * socket and nothing else. Chosen by load-engine; held to the port by the contract suite.
 *
 * A client has SLOW_CLIENT_MS for its TLS handshake, again for a whole request, body included, and as long without reading any
 * of an answer; Node looks once a second. Between two requests it has KEEP_ALIVE_MS. An answer of the hub's own is waited for.
 */
import { createServer, type IncomingMessage } from 'node:http';
import type { Socket as Wire } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ServerOptions, WebSocket, WebSocketServer } from 'ws';
import { takePort } from '../lib/take-port.ts';
import { TlsUpgrade } from '../lib/tls-upgrade.ts';
import type { TlsFiles } from '../lib/tls-files.ts';
import { AcceptedWires } from './accepted-wires.ts';
import { type FrameEvents, FrameReader } from './frame-reader.ts';
import { HttpStream } from './http-stream.ts';
import {
  fittingReason,
  KEEP_ALIVE_MS,
  MAX_BACKPRESSURE_BYTES,
  MAX_WAITING_PONG_BYTES,
  PARSER_HEADER_BYTES,
  SLOW_CLIENT_MS,
} from './http-rules.ts';
import type { Engine, Listening, ListenOptions, NoRoom, SendResult, Service, Socket, SocketEvents } from './port.ts';
import { RequestTurns } from './request-turns.ts';
import { answerMalformed, answerRequest, headWithoutUpgrade, readUpgrade, streamOf, type WsPort } from './ws-http.ts';

const webSocketOptions: ServerOptions & { closeTimeout: number } = {
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  // From our close frame to the cut, where the peer does not answer; 30 s by default.
  closeTimeout: 5_000,
};

const httpOptions = {
  maxHeaderSize: PARSER_HEADER_BYTES,
  // A request without a Host gets our 400 instead of Node's.
  requireHostHeader: false,
  headersTimeout: SLOW_CLIENT_MS,
  requestTimeout: SLOW_CLIENT_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
  connectionsCheckingInterval: 1_000,
};

/** Short turns: Node accepts one connection in each, so that a hundred that come at once wait for a hundred turns. */
const TURN = { turnMs: 2, leastTasks: 4 };

const AS_TEXT = { binary: false };
const NO_BYTES = Buffer.alloc(0);

/** What a peer may still send after our close frame: one that goes on sending reads nothing of it. */
const MAX_DISCARDED_BYTES = 256 * 1024;

/** `ws` does the handshake and writes; what the client sends is read by our own reader, which can be stopped. */
class WsSocket implements Socket, FrameEvents {
  readonly remoteAddress: string;
  readonly noRoom: NoRoom | undefined;
  readonly #ws: WebSocket;
  readonly #wire: Duplex;
  readonly #reader = new FrameReader(this);
  /** None until `opened` has answered, or where it threw. */
  #events: SocketEvents | undefined;
  #isPaused = false;
  /** What came before a pause and was not read. */
  #rest: Buffer | undefined;
  #isQueued = false;
  /** No more than this of what waits is the hub's own, and what waited when it began to. */
  #queuedBytes = 0;
  #isLeaving = false;
  #discardedBytes = 0;

  constructor(ws: WebSocket, wire: Duplex, client: Pick<Socket, 'remoteAddress' | 'noRoom'>) {
    this.#ws = ws;
    this.#wire = wire;
    this.remoteAddress = client.remoteAddress;
    this.noRoom = client.noRoom;
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

  pause(): void {
    if (this.#isPaused || this.#isLeaving) return;
    this.#isPaused = true;
    this.#reader.stop();
    this.#wire.pause();
  }

  resume(): void {
    if (!this.#isPaused || this.#isLeaving) return;
    this.#isPaused = false;
    if (this.#rest === undefined) this.#wire.resume();
    else setImmediate(() => this.#readRest());
  }

  close(code: number, reason: string): void {
    if (this.#isLeaving) return;
    this.#ws.close(code, fittingReason(reason));
    this.#leave();
  }

  terminate(): void {
    this.#isLeaving = true;
    this.#reader.end();
    this.#ws.terminate();
  }

  onOpen(service: Service): void {
    // Those of ws, which would read everything that has come.
    this.#wire.removeAllListeners('data');
    this.#wire.on('data', (chunk: Buffer) => {
      if (this.#isLeaving) this.#discard(chunk);
      else this.#read(chunk);
    });
    this.#wire.resume();
    this.#wire.on('drain', () => {
      this.#onDrain();
    });
    this.#wire.once('close', () => {
      this.#isLeaving = true;
      this.#rest = undefined;
      this.#events?.closed();
    });
    // ws cuts the connection itself.
    this.#ws.on('error', () => undefined);
    this.#events = service.opened(this);
  }

  onText(message: string): void {
    this.#events?.message(message);
  }

  onBinary(): void {
    this.#events?.binary();
  }

  onOversize(): void {
    this.#events?.oversize();
  }

  onFragment(): void {
    this.#events?.frame();
  }

  onPing(payload: Buffer): void {
    this.#ws.pong(payload);
    if (this.#wire.writableLength > this.#queuedBytes + MAX_WAITING_PONG_BYTES) this.terminate();
    else this.#events?.frame();
  }

  onPong(): void {
    this.#events?.pong();
  }

  onEnding(code: number | undefined): void {
    this.#ws.close(code);
    this.#leave();
  }

  onBroken(code: number): void {
    this.onEnding(code);
  }

  #read(chunk: Buffer): void {
    let rest: Buffer | undefined = chunk;
    while (rest !== undefined && !this.#isPaused && !this.#isLeaving) rest = this.#reader.read(rest);
    if (!this.#isLeaving) this.#rest = rest;
  }

  #readRest(): void {
    const rest = this.#rest;
    if (this.#isPaused || this.#isLeaving || rest === undefined) return;
    this.#rest = undefined;
    this.#read(rest);
    this.#resumeWire();
  }

  #resumeWire(): void {
    if (!this.#isPaused) this.#wire.resume();
  }

  /** The close frame is written. Nothing is read any more, but the end of the connection is awaited. */
  #leave(): void {
    this.#isLeaving = true;
    this.#rest = undefined;
    this.#reader.end();
    this.#wire.resume();
    this.#wire.end();
  }

  #discard(chunk: Buffer): void {
    this.#discardedBytes += chunk.length;
    if (this.#discardedBytes > MAX_DISCARDED_BYTES) this.#ws.terminate();
  }

  #onDrain(): void {
    if (!this.#isQueued) return;
    this.#isQueued = false;
    this.#queuedBytes = 0;
    if (!this.#isLeaving) this.#events?.drained();
  }
}

/** A door for HTTP, or none. */
function doorFor(tls: TlsFiles | undefined): TlsUpgrade | undefined {
  return tls && new TlsUpgrade(tls, { handshakeMs: SLOW_CLIENT_MS, protocols: ['http/1.1'] });
}

/** Has Node serve HTTP on a connection. `first` is read before all that is still to come. */
type Serve = (wire: Wire, first?: Buffer) => void;

/** What to do when a request asks for an upgrade; Node has let go of its connection then. */
function upgradeWith(shared: WsPort, serve: Serve) {
  const webSockets = new WebSocketServer(webSocketOptions);
  return (request: IncomingMessage, _wire: Duplex, firstBytes: Buffer): void => {
    const stream = streamOf(request.socket);
    stream.stopReading();
    stream.on('error', () => undefined);
    // Answers to requests before it must not get among the frames.
    stream.afterAnswers(() => {
      if (!stream.writable || stream.isLeaving || stream.isLastAsked) return;
      const { wire } = stream;
      const plain = headWithoutUpgrade(request);
      if (plain !== undefined) {
        serve(wire, Buffer.concat([plain, firstBytes, stream.release()]));
        return;
      }
      const client = readUpgrade(shared, request, stream);
      if (client === undefined) return;
      // ws wants this offer alone, though there may be others beside it.
      request.headers.upgrade = 'websocket';
      webSockets.handleUpgrade(request, wire, Buffer.concat([firstBytes, stream.release()]), (ws) => {
        new WsSocket(ws, wire, client).onOpen(shared.service);
      });
    });
  };
}

async function listen(host: string, port: number, service: Service, options: ListenOptions = {}): Promise<Listening> {
  const server = createServer(httpOptions);
  // No header may be dropped unseen.
  server.maxHeadersCount = 0;
  const door = doorFor(options.tls);
  const wires = new Set<Wire>();
  const turns = new RequestTurns({ ...TURN, now: () => performance.now(), afterTurn: setImmediate });
  const shared: WsPort = { service, accepted: new AcceptedWires(service), turns };
  let onAllGone: (() => void) | undefined;

  const keep = (wire: Wire): void => {
    wires.add(wire);
    wire.once('close', () => {
      wires.delete(wire);
      if (wires.size === 0) onAllGone?.();
    });
  };
  // Node's own handler, which comes after ours and, with TLS, after the handshake.
  const [serveHttp] = server.listeners('connection') as ((stream: Duplex) => void)[];
  server.removeAllListeners('connection');
  const serve: Serve = (wire, first) => {
    serveHttp?.call(server, new HttpStream(wire, turns, first));
  };
  server.on('connection', (wire: Wire) => {
    turns.hurry();
    keep(wire);
    if (!shared.accepted.accept(wire)) return;
    if (door === undefined) {
      serve(wire);
      return;
    }
    secure(door, wire, (secured) => {
      keep(secured);
      shared.accepted.carryOver(wire, secured);
      serve(secured);
    });
  });
  server.on('request', (request, response) => {
    answerRequest(shared, request, response);
  });
  server.on('clientError', answerMalformed(service));
  server.on('upgrade', upgradeWith(shared, serve));

  const taken = await takePort(server, { host, port });
  return {
    port: taken.port,
    stopAccepting: () => {
      server.close();
    },
    close: async () => {
      door?.stop();
      const portFree = new Promise((resolve) => server.close(resolve));
      const allGone = new Promise<void>((resolve) => (onAllGone = resolve));
      if (wires.size === 0) onAllGone?.();
      for (const wire of wires) wire.destroy();
      // Node tells that the server is closed before its connections tell of their end.
      await Promise.all([portFree, allGone]);
    },
  };
}

/** What sends no hello in time, or is no TLS, is cut. */
function secure(door: TlsUpgrade, wire: Wire, onSecure: (secured: Wire) => void): void {
  const cut = setTimeout(() => wire.destroy(), SLOW_CLIENT_MS);
  wire.once('close', () => clearTimeout(cut));
  wire.on('error', () => undefined);
  door.secure(wire, NO_BYTES, (secured) => {
    clearTimeout(cut);
    onSecure(secured);
  });
}

export const wsEngine: Engine = { name: 'ws', listen };

/**
 * The engine port over ws and node:http. Must not let an error of one connection escape: a peer's fault ends its own
 * socket and nothing else. The contract suite checks it against the port.
 *
 * A client has SLOW_CLIENT_MS for its TLS handshake, the same time for a whole request including its body, and the same
 * time without reading any of an answer. Node checks once a second. Between two requests a client has KEEP_ALIVE_MS. No
 * timeout runs while the hub prepares an answer.
 */
import { createServer, type IncomingMessage } from 'node:http';
import type { Socket as Wire } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ServerOptions, WebSocket, WebSocketServer } from 'ws';
import { takePort } from '../../lib/net/take-port.ts';
import { TlsUpgrade } from '../../lib/net/tls-upgrade.ts';
import type { TlsFiles } from '../../lib/net/tls-files.ts';
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
} from '../http-rules.ts';
import type { Engine, Listening, ListenOptions, NoRoom, SendResult, Service, Socket, SocketEvents } from '../port.ts';
import { RequestTurns } from './request-turns.ts';
import { answerMalformed, answerRequest, headWithoutUpgrade, readUpgrade, streamOf, type WsPort } from './ws-http.ts';

const webSocketOptions: ServerOptions & { closeTimeout: number } = {
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  // Time from our close frame to the cut if the peer does not answer. The default is 30 s.
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

/** Short turns, because Node accepts one connection in each: a hundred that arrive at once wait for a hundred turns. */
const TURN = { turnMs: 2, leastTasks: 4 };

const AS_TEXT = { binary: false };
const NO_BYTES = Buffer.alloc(0);

/**
 * Maximum bytes that a peer may still send after our close frame. A peer that goes on sending does not read the frame.
 */
const MAX_DISCARDED_BYTES = 256 * 1024;

/** One WebSocket. `ws` does the handshake and writes. Our own reader reads the frames, because it can be stopped. */
class WsSocket implements Socket, FrameEvents {
  readonly remoteAddress: string;
  readonly noRoom: NoRoom | undefined;
  readonly #ws: WebSocket;
  readonly #wire: Duplex;
  readonly #reader = new FrameReader(this);
  /** Undefined until `opened` has returned, or if it threw. */
  #events: SocketEvents | undefined;
  #isPaused = false;
  /** Bytes that arrived before a pause and have not been read. */
  #rest: Buffer | undefined;
  #isQueued = false;
  /** Upper bound of the waiting bytes that are the hub's own, or that waited before the first `queued`. */
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
    // Removes the listeners of ws, which would read everything that arrives.
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

  /** Ends reading after the close frame is written. Only the end of the connection is awaited. */
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

/** Creates the TLS upgrade if TLS is configured. */
function tlsUpgradeFor(tls: TlsFiles | undefined): TlsUpgrade | undefined {
  return tls && new TlsUpgrade(tls, { handshakeMs: SLOW_CLIENT_MS, protocols: ['http/1.1'] });
}

/** Passes a connection to Node's HTTP server. `first` is read before all further bytes. */
type Serve = (wire: Wire, first?: Buffer) => void;

/** Handles requests that ask for an upgrade. Node has released their connection. */
function upgradeWith(shared: WsPort, serve: Serve) {
  const webSockets = new WebSocketServer(webSocketOptions);
  return (request: IncomingMessage, _wire: Duplex, firstBytes: Buffer): void => {
    const stream = streamOf(request.socket);
    stream.stopReading();
    stream.on('error', () => undefined);
    // Answers to earlier requests must not mix with the frames.
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
      // ws accepts this offer only if it is the only one.
      request.headers.upgrade = 'websocket';
      webSockets.handleUpgrade(request, wire, Buffer.concat([firstBytes, stream.release()]), (ws) => {
        new WsSocket(ws, wire, client).onOpen(shared.service);
      });
    });
  };
}

async function listen(host: string, port: number, service: Service, options: ListenOptions = {}): Promise<Listening> {
  const server = createServer(httpOptions);
  // Keeps all headers, because none may be dropped unseen.
  server.maxHeadersCount = 0;
  const tlsUpgrade = tlsUpgradeFor(options.tls);
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
  // Node's own handler. It must run after ours and, with TLS, after the handshake.
  const [serveHttp] = server.listeners('connection') as ((stream: Duplex) => void)[];
  server.removeAllListeners('connection');
  const serve: Serve = (wire, first) => {
    serveHttp?.call(server, new HttpStream(wire, turns, first));
  };
  server.on('connection', (wire: Wire) => {
    turns.hurry();
    keep(wire);
    if (!shared.accepted.accept(wire)) return;
    if (tlsUpgrade === undefined) {
      serve(wire);
      return;
    }
    secure(tlsUpgrade, wire, (secured) => {
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
      tlsUpgrade?.stop();
      const portFree = new Promise((resolve) => server.close(resolve));
      const allGone = new Promise<void>((resolve) => (onAllGone = resolve));
      if (wires.size === 0) onAllGone?.();
      for (const wire of wires) wire.destroy();
      // Node reports the server as closed before it reports the end of its connections.
      await Promise.all([portFree, allGone]);
    },
  };
}

/** Performs the TLS handshake. Cuts a connection that is not TLS or sends no hello in time. */
function secure(tlsUpgrade: TlsUpgrade, wire: Wire, onSecure: (secured: Wire) => void): void {
  const cut = setTimeout(() => wire.destroy(), SLOW_CLIENT_MS);
  wire.once('close', () => clearTimeout(cut));
  wire.on('error', () => undefined);
  tlsUpgrade.secure(wire, NO_BYTES, (secured) => {
    clearTimeout(cut);
    onSecure(secured);
  });
}

export const wsEngine: Engine = { name: 'ws', listen };

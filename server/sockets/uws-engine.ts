/**
 * The engine port over uWebSockets.js. Must not let a dead native object be touched: requests die with their handler,
 * responses with their abort, sockets with their close, and a call after that throws.
 * Chosen by load-engine; held to the port by the contract suite.
 *
 * Its own timeouts stand, 10 s each, seen as 8 to 12: for the TLS handshake, for a request's head, for a body unless 160 kB
 * of it come meanwhile, for an idle keep-alive connection, for an answer of which nothing is read. A byte a second does
 * not lengthen them. An answer of the hub's own is waited for. Idle connections can't be kept longer: nothing of its API sets
 * the time, and what resets it (pausing a response whose request is over) is memory that it has freed once the connection has
 * ended, of which nobody is told. So a proxy's connection gets one answer, and other clients are told how long theirs lasts.
 * Over TLS, what it reads in one go with the client's end of the connection is lost: a client that says something and ends
 * the connection at once, without the WebSocket's own close, may not be heard.
 * It reads chunked bodies as no other does, and closes within its own parser: an answer to chunks or to who asks for the end
 * is, like a refusal, the connection's last, and comes in a later turn (see uws-http).
 * What it answers in its own words, we can't change: a malformed request (400, or 505 where it can't read the
 * version, HTTP/1.0 included), and a head over PARSER_HEADER_BYTES or of more than 98 headers (431).
 */
import { createServer } from 'node:net';
import { MAX_WS_MESSAGE_BYTES, MAX_WS_PAYLOAD_BYTES } from '../../shared/limits.ts';
import { takePort } from '../lib/take-port.ts';
import type { TlsFiles, TlsPair } from '../lib/tls-files.ts';
import { fittingReason, MAX_BACKPRESSURE_BYTES, MAX_WAITING_PONG_BYTES } from './http-rules.ts';
import type { Engine, Listening, NoRoom, SendResult, Service, Socket, SocketEvents } from './port.ts';
import { RequestTurns } from './request-turns.ts';
import { UwsConnections } from './uws-connections.ts';
import { answerRequest, answerUpgrade, peerOf, type UwsPort } from './uws-http.ts';
import type { Uws, UwsApp, UwsListenSocket, UwsWebSocket } from './uws-types.ts';

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** A request that has to wait cuts its connection if another one is pipelined behind it, so usual pipelining must not wait. */
const TURN = { turnMs: 10, leastTasks: 64 };

/** What rides on each native socket. */
interface Attached {
  readonly socket: UwsSocket;
}

class UwsSocket implements Socket {
  readonly remoteAddress: string;
  readonly noRoom: NoRoom | undefined;
  readonly #service: Service;
  #ws: UwsWebSocket<Attached> | undefined;
  /** None until `opened` has answered, or where it threw. */
  #events: SocketEvents | undefined;
  #isQueued = false;
  /** No more than this of what waits is the hub's own, and what waited when it began to. */
  #queuedBytes = 0;
  #isLeaving = false;

  constructor(service: Service, remoteAddress: string, noRoom: NoRoom | undefined) {
    this.remoteAddress = remoteAddress;
    this.noRoom = noRoom;
    this.#service = service;
  }

  send(message: string | Uint8Array): SendResult {
    if (this.#ws === undefined) return 'dropped';
    const result = this.#ws.send(message, false, false);
    if (result === 2) return 'dropped';
    // It may answer 1 again before its drain, where the kernel has just found room for all that waited.
    if (result === 0) {
      this.#queuedBytes = this.#isQueued
        ? this.#queuedBytes + Buffer.byteLength(message)
        : this.#ws.getBufferedAmount();
      this.#isQueued = true;
    }
    return this.#isQueued ? 'queued' : 'sent';
  }

  ping(): void {
    this.#ws?.ping();
  }

  /** A WebSocket of uWebSockets.js cannot be paused. */
  pause(): void {
    return;
  }

  resume(): void {
    return;
  }

  /** uWebSockets.js forgets the socket here and cuts it itself, some 4 s later if the peer doesn't: see its WebSocket.h. */
  close(code: number, reason: string): void {
    this.#isLeaving = true;
    this.#ws?.end(code, fittingReason(reason));
  }

  terminate(): void {
    this.#isLeaving = true;
    this.#ws?.close();
  }

  onOpen(ws: UwsWebSocket<Attached>): void {
    this.#ws = ws;
    this.#events = this.#service.opened(this);
  }

  onMessage(bytes: ArrayBuffer, isBinary: boolean): void {
    if (bytes.byteLength > MAX_WS_MESSAGE_BYTES) this.#events?.oversize();
    else if (isBinary) this.#events?.binary();
    else this.#events?.message(utf8.decode(bytes));
  }

  /** It has been answered by now. */
  onPing(ws: UwsWebSocket<Attached>): void {
    if (ws.getBufferedAmount() > this.#queuedBytes + MAX_WAITING_PONG_BYTES) this.terminate();
    else this.#events?.frame();
  }

  onPong(): void {
    this.#events?.pong();
  }

  /**
   * Comes for a part, too, and for what we never told to be queued, such as pongs. What is sent from within it and finds no
   * room is never written, and no other drain comes (microtasks run within it): so it is told in a turn of its own.
   */
  onDrain(ws: UwsWebSocket<Attached>): void {
    if (!this.#isQueued || ws.getBufferedAmount() > 0) return;
    setImmediate(() => {
      if (!this.#isQueued || this.#ws === undefined || this.#ws.getBufferedAmount() > 0) return;
      this.#isQueued = false;
      this.#queuedBytes = 0;
      this.#events?.drained();
    });
  }

  onClose(): void {
    this.#ws = undefined;
    if (this.noRoom === undefined) this.#service.connections.leave(this.remoteAddress);
    if (!this.#isLeaving) {
      this.#events?.closed();
      return;
    }
    // We are inside our own `close` or `terminate`, perhaps inside `opened`: the caller ends first.
    queueMicrotask(() => {
      this.#events?.closed();
    });
  }
}

function appFor(uws: Uws, port: UwsPort, pair: TlsPair | undefined): UwsApp<Attached> {
  const { service, connections } = port;
  const app = pair === undefined ? uws.App<Attached>() : tlsAppFor(uws, pair);
  app.ws('/*', {
    maxPayloadLength: MAX_WS_PAYLOAD_BYTES,
    maxBackpressure: MAX_BACKPRESSURE_BYTES,
    // Pings and leases are the hub's: its idle timeout knows whole seconds from 8 on only.
    idleTimeout: 0,
    sendPingsAutomatically: false,
    compression: uws.DISABLED,
    upgrade: (response, request, context) => {
      answerUpgrade(port, response, request, context, (address, noRoom) => ({
        socket: new UwsSocket(service, address, noRoom),
      }));
    },
    open: (ws) => {
      ws.socket.onOpen(ws);
    },
    message: (ws, bytes, isBinary) => {
      ws.socket.onMessage(bytes, isBinary);
    },
    ping: (ws) => {
      ws.socket.onPing(ws);
    },
    pong: (ws) => {
      ws.socket.onPong();
    },
    drain: (ws) => {
      ws.socket.onDrain(ws);
    },
    close: (ws) => {
      ws.socket.onClose();
    },
  });
  app.any('/*', (response, request) => {
    answerRequest(port, response, request);
  });
  app.filter((response, count) => {
    if (count === -1) connections.closed();
    else if (!connections.opened(peerOf(response))) response.close();
  });
  return app;
}

function tlsAppFor(uws: Uws, { certPath, keyPath }: TlsPair): UwsApp<Attached> {
  try {
    return uws.SSLApp({ cert_file_name: certPath, key_file_name: keyPath });
  } catch {
    throw new Error(`uWebSockets.js can't use the certificate ${certPath} with the key ${keyPath}`);
  }
}

/**
 * An app keeps the certificate it began with. The first one goes on listening, so that no connection is refused meanwhile,
 * and passes what it accepts to the newest; the others keep the connections they have.
 */
class AppsByPair {
  readonly #makeNext: (pair: TlsPair) => UwsApp<Attached>;
  readonly #all: [UwsApp<Attached>, ...UwsApp<Attached>[]];

  constructor(first: UwsApp<Attached>, makeNext: (pair: TlsPair) => UwsApp<Attached>) {
    this.#all = [first];
    this.#makeNext = makeNext;
  }

  takeOver(pair: TlsPair): void {
    const next = this.#makeNext(pair);
    const [first, ...later] = this.#all;
    first.addChildAppDescriptor(next.getDescriptor());
    const before = later.at(-1);
    if (before !== undefined) first.removeChildAppDescriptor(before.getDescriptor());
    this.#all.push(next);
  }

  async close(): Promise<void> {
    for (const app of this.#all) app.close();
    if (this.#all.length === 1) return;
    // What the first one accepted last reaches the newest in the loop's next turn.
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    for (const app of this.#all.slice(1)) app.close();
  }
}

/**
 * Node's `net` takes the port first and gives it back: it says why a port can't be had, resolves names, and turns 0 into
 * a number. uWebSockets.js then takes that number: for 0 it leaves SO_REUSEADDR out, and the port stays blocked after us.
 */
async function listen(uws: Uws, host: string, port: number, service: Service, tls?: TlsFiles): Promise<Listening> {
  const probe = createServer();
  const taken = await takePort(probe, { host, port });
  await new Promise((resolve) => probe.close(resolve));
  const now = (): number => performance.now();
  const shared = {
    service,
    connections: new UwsConnections(service, now),
    turns: new RequestTurns({ ...TURN, now, afterTurn: setImmediate }),
  };
  const app = appFor(uws, shared, tls?.pair);
  const listening = await new Promise<UwsListenSocket | false>((resolve) => {
    // Without the exclusive option two hubs would share the port, each with half of the clients.
    app.listen(taken.address, taken.port, uws.LIBUS_LISTEN_EXCLUSIVE_PORT, resolve);
  });
  if (listening === false) throw portHeld(host, taken.port);
  const apps = new AppsByPair(app, (pair) => appFor(uws, shared, pair));
  const stopTakingOver = tls?.onChange((pair) => apps.takeOver(pair));
  let isAccepting = true;
  return {
    port: taken.port,
    stopAccepting: () => {
      // A second time would close what is freed already.
      if (isAccepting) uws.us_listen_socket_close(listening);
      isAccepting = false;
    },
    close: () => {
      stopTakingOver?.();
      return apps.close();
    },
  };
}

/** Somebody took it since the probe gave it back: uWebSockets.js says no reason, and there is hardly another. */
function portHeld(host: string, port: number): Error {
  return Object.assign(new Error(`${host}:${port} is held by another process`), { code: 'EADDRINUSE' });
}

export function createUwsEngine(uws: Uws): Engine {
  return { name: 'uws', listen: (host, port, service, options) => listen(uws, host, port, service, options?.tls) };
}

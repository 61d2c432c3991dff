/**
 * The engine port over uWebSockets.js. Must never touch a dead native object: a request dies with its handler, a
 * response with its abort, a socket with its close, and a call after that throws. The contract suite checks it against
 * the port.
 *
 * Its own timeouts apply: 10 s each, observed as 8 to 12. They limit the TLS handshake, the head of a request, a body
 * unless 160 kB of it arrive meanwhile, an idle keep-alive connection, and an answer of which nothing is read. Sending
 * a byte a second does not extend them. They do not run while the hub prepares an answer.
 *
 * Idle connections cannot be kept longer. No API sets the timeout. Pausing a response whose request is over would reset
 * it, but uses memory that is freed once the connection has ended, and the end is not reported. For this reason a
 * proxy's connection gets one answer, and other clients receive the time that theirs will last.
 *
 * Over TLS, bytes that it reads together with the client's end of the connection are lost. A client that sends a
 * message and ends the connection at once, without a WebSocket close, may not be heard.
 *
 * It reads chunked bodies unlike any other server, and closes connections within its own parser. An answer to chunks,
 * an answer to a client that asks to close, and a refusal are each the last of the connection and are sent in a later
 * turn (see uws-exchange).
 *
 * We cannot change its own answers: 400 to a malformed request, 505 if it cannot read the version (HTTP/1.0 included),
 * and 431 to a head over PARSER_HEADER_BYTES or with more than 98 headers.
 */
import { MAX_WS_MESSAGE_BYTES, MAX_WS_PAYLOAD_BYTES } from '../../../shared/limits.ts';
import type { TlsPair } from '../../lib/net/tls-files.ts';
import { fittingReason, MAX_BACKPRESSURE_BYTES, MAX_WAITING_PONG_BYTES } from '../http-rules.ts';
import type {
  Engine,
  Listening,
  ListenOptions,
  ConnectionLimit,
  SendResult,
  Service,
  Socket,
  SocketEvents,
} from '../port.ts';
import { UnreadAnswers } from '../unread-answers.ts';
import { RequestTurns } from '../ws/request-turns.ts';
import { findPlace } from './find-place.ts';
import { UwsConnections } from './uws-connections.ts';
import type { UwsPort } from './uws-exchange.ts';
import { answerRequest, answerUpgrade, peerOf } from './uws-http.ts';
import type { Uws, UwsApp, UwsListenSocket, UwsWebSocket } from './uws-types.ts';

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** A waiting request loses its connection if another is pipelined behind it, so ordinary pipelining must not wait. */
const TURN = { turnMs: 10, leastTasks: 64 };

/** The option of `listen` for SO_REUSEPORT. */
const SHARED_PORT = 0;

/** The data attached to each native socket. */
interface Attached {
  readonly socket: UwsSocket;
}

class UwsSocket implements Socket {
  readonly remoteAddress: string;
  readonly exceededLimit: ConnectionLimit | undefined;
  readonly #service: Service;
  #ws: UwsWebSocket<Attached> | undefined;
  /** Undefined until `opened` has returned, or if it threw. */
  #events: SocketEvents | undefined;
  #isQueued = false;
  /** Upper bound of the waiting bytes that are the hub's own, or that waited before the first `queued`. */
  #queuedBytes = 0;
  #isLeaving = false;

  constructor(service: Service, remoteAddress: string, exceededLimit: ConnectionLimit | undefined) {
    this.remoteAddress = remoteAddress;
    this.exceededLimit = exceededLimit;
    this.#service = service;
  }

  send(message: string | Uint8Array): SendResult {
    if (this.#ws === undefined) return 'dropped';
    const result = this.#ws.send(message, false, false);
    if (result === 2) return 'dropped';
    // A send may return 1 again before its drain, if the kernel has just accepted everything that waited.
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

  /** uWebSockets.js cannot pause a WebSocket. */
  pause(): void {
    return;
  }

  resume(): void {
    return;
  }

  /** uWebSockets.js forgets the socket here and cuts it about 4 s later if the peer does not (see its WebSocket.h). */
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

  /** Runs after the ping has been answered. */
  onPing(ws: UwsWebSocket<Attached>): void {
    if (ws.getBufferedAmount() > this.#queuedBytes + MAX_WAITING_PONG_BYTES) this.terminate();
    else this.#events?.frame();
  }

  onPong(): void {
    this.#events?.pong();
  }

  /**
   * Runs after partial drains too, and after drains of data that was never reported as queued, such as pongs. If a
   * message sent from within the handler does not fit the kernel's buffer, it is never written and no other drain
   * follows (microtasks run within the handler). So the drain is reported in a separate turn.
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
    if (this.exceededLimit === undefined) this.#service.connections.leave(this.remoteAddress);
    if (!this.#isLeaving) {
      this.#events?.closed();
      return;
    }
    // Runs within our own `close` or `terminate`, perhaps within `opened`: the caller must finish first.
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
    // The hub handles pings and leases itself: this idle timeout allows only whole seconds from 8 on.
    idleTimeout: 0,
    sendPingsAutomatically: false,
    compression: uws.DISABLED,
    upgrade: (response, request, context) => {
      answerUpgrade(port, response, request, context, (address, exceededLimit) => ({
        socket: new UwsSocket(service, address, exceededLimit),
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
 * Apps by certificate, because an app keeps the certificate that it started with. The first app goes on listening, so
 * that no connection is refused during a change, and passes accepted connections to the newest app. The others keep
 * their connections.
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
    // The last connections that the first app accepted reach the newest one in the loop's next turn.
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    for (const app of this.#all.slice(1)) app.close();
  }
}

async function listen(
  uws: Uws,
  host: string,
  port: number,
  service: Service,
  { tls, sharing }: ListenOptions = {},
): Promise<Listening> {
  const taken = await findPlace(host, port, sharing);
  const now = (): number => performance.now();
  const shared = {
    service,
    connections: new UwsConnections(service, now),
    turns: new RequestTurns({ ...TURN, now, afterTurn: setImmediate }),
    unread: new UnreadAnswers({ now }),
  };
  const app = appFor(uws, shared, tls?.pair);
  const listening = await new Promise<UwsListenSocket | false>((resolve) => {
    // Without the exclusive option two hubs would share the port, each with half of the clients. Workers do just that.
    const option = sharing === undefined ? uws.LIBUS_LISTEN_EXCLUSIVE_PORT : SHARED_PORT;
    app.listen(taken.address, taken.port, option, resolve);
  });
  if (listening === false) throw portHeld(host, taken.port);
  const apps = new AppsByPair(app, (pair) => appFor(uws, shared, pair));
  const stopTakingOver = tls?.onChange((pair) => apps.takeOver(pair));
  return {
    port: taken.port,
    close: () => {
      stopTakingOver?.();
      return apps.close();
    },
  };
}

/**
 * The error for a port that was taken after the probe released it. uWebSockets.js gives no reason, and hardly any other
 * exists.
 */
function portHeld(host: string, port: number): Error {
  return Object.assign(new Error(`${host}:${port} is held by another process`), { code: 'EADDRINUSE' });
}

export function createUwsEngine(uws: Uws): Engine {
  return { name: 'uws', listen: (host, port, service, options) => listen(uws, host, port, service, options) };
}

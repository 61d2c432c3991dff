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
import { type ServerOptions, WebSocketServer } from 'ws';
import { takePort } from '../../lib/net/take-port.ts';
import { TlsUpgrade } from '../../lib/net/tls-upgrade.ts';
import type { TlsFiles } from '../../lib/net/tls-files.ts';
import { AcceptedWires } from './accepted-wires.ts';
import { HttpStream } from './http-stream.ts';
import { KEEP_ALIVE_MS, PARSER_HEADER_BYTES, SLOW_CLIENT_MS } from '../http-rules.ts';
import type { Engine, Listening, ListenOptions, Service } from '../port.ts';
import { UnreadAnswers } from '../unread-answers.ts';
import { RequestTurns } from './request-turns.ts';
import { answerMalformed, answerRequest, headWithoutUpgrade, readUpgrade, streamOf, type WsPort } from './ws-http.ts';
import { WsSocket } from './ws-socket.ts';

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

const NO_BYTES = Buffer.alloc(0);

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
  const shared: WsPort = { service, accepted: new AcceptedWires(service), turns, unread: new UnreadAnswers() };
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

  const taken = await takePort(server, { host, port, isShared: options.sharing !== undefined });
  return {
    port: taken.port,
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

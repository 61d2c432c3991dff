/**
 * HTTP and the upgrade over node:http: reads a request and its body, writes its reply, turns malformed ones down.
 * Must not know what a path means. Called by ws-engine alone.
 */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { Socket as Wire } from 'node:net';
import type { Duplex } from 'node:stream';
import { MAX_HTTP_BODY_BYTES } from '../../shared/limits.ts';
import type { AcceptedWires } from './accepted-wires.ts';
import { type BodyState, HttpBody } from './http-body.ts';
import {
  addressText,
  askedFor,
  asksToClose,
  clientOf,
  hasBody,
  HeaderCollector,
  mayHaveBody,
  type RequestHead,
  SLOW_CLIENT_MS,
} from './http-rules.ts';
import type { HttpReply, HttpRequest, NoRoom, Service } from './port.ts';
import type { RequestTurns } from './request-turns.ts';

/** Connections on which a response may be under way, so that nothing else may be written on them. */
const answered = new WeakSet<Duplex>();
/** What of a connection's answers has not been written yet. */
const waiting = new WeakMap<Duplex, { answers: number; bytes: number }>();
const answerBytes = new WeakMap<ServerResponse, number>();
/** One who asks and asks, and reads no answer, would have them all kept: Node reads up to 64 KiB of requests at a time. */
const MAX_WAITING_ANSWERS = 100;
/** No further request is answered while this much waits: the largest answer, and not one more. */
const MAX_WAITING_ANSWER_BYTES = 1024 * 1024;
/** Connections whose client said that nothing follows: what follows all the same is not served. */
const lastAsked = new WeakSet<Duplex>();
/** Connections whose last answer is decided: nothing more that comes on them is answered, or has an effect. */
const leaving = new WeakSet<Duplex>();
/** For the client to read its last answer and go: cut while it still sends, it might never see it. */
const LINGER_MS = 1_000;

/** What all requests of a port share. */
export interface WsPort {
  readonly service: Service;
  readonly accepted: AcceptedWires;
  readonly turns: RequestTurns;
}

export function answerRequest(port: WsPort, request: IncomingMessage, response: ServerResponse): void {
  const { service } = port;
  const wire = request.socket;
  // Node goes on telling of requests that came behind the last one.
  if (leaving.has(wire) || lastAsked.has(wire)) return;
  if (!mayAsk(wire, response)) {
    wire.destroy();
    return;
  }
  const { head, asked } = readHead(service, request);
  if (asked === 400 || asked === 431) {
    leaving.add(wire);
    reply(response, service.refuse(asked), true);
    return;
  }
  const noRoom = port.accepted.noRoomFor(wire, head.remoteAddress);
  if (noRoom !== undefined) {
    leaving.add(wire);
    answered.add(wire);
    answer(service, { ...head, body: '', noRoom }, response);
    return;
  }
  if (asksToClose(head) || !response.shouldKeepAlive) lastAsked.add(wire);
  if (Number(head.headers.get('content-length') ?? 0) > MAX_HTTP_BODY_BYTES) {
    reply(response, service.refuse(413), false);
    return;
  }
  readBody(request, (body) => {
    if (body === undefined) {
      reply(response, service.refuse(413), false);
      return;
    }
    answered.add(wire);
    port.turns.run(wire, () => {
      if (!wire.destroyed) answer(service, { ...head, body, noRoom }, response);
    });
  });
}

function answer(service: Service, request: HttpRequest, response: ServerResponse): void {
  const isLast = request.noRoom !== undefined;
  const answer = service.http(request);
  if (!(answer instanceof Promise)) {
    reply(response, answer, isLast);
    return;
  }
  void answer.then((late) => {
    reply(response, late, isLast);
  });
}

function mayAsk(wire: Duplex, response: ServerResponse): boolean {
  const before = waiting.get(wire) ?? { answers: 0, bytes: 0 };
  if (wire.destroyed || before.answers >= MAX_WAITING_ANSWERS || before.bytes >= MAX_WAITING_ANSWER_BYTES) return false;
  before.answers++;
  waiting.set(wire, before);
  response.once('close', () => {
    before.answers--;
    before.bytes -= answerBytes.get(response) ?? 0;
  });
  return true;
}

/** Tells undefined once where the body is over the limit; what follows is read and thrown away. */
function readBody(request: IncomingMessage, done: (body: string | undefined) => void): void {
  const body = new HttpBody();
  let state: BodyState = 'ok';
  request.on('data', (chunk: Buffer) => {
    if (state === 'flood') return;
    const before = state;
    state = body.add(chunk);
    if (state === 'flood') request.socket.destroy();
    else if (state === 'too_large' && before === 'ok') done(undefined);
  });
  request.on('end', () => {
    if (state === 'ok') done(body.text());
  });
  // An aborted request ends here, unanswered.
  request.on('error', () => undefined);
}

function reply(response: ServerResponse, { status, headers, body }: HttpReply, closeConnection: boolean): void {
  if (response.destroyed) return;
  response.on('error', () => undefined);
  countBytes(response, Buffer.byteLength(body));
  // One that reads nothing of it would keep it in memory for ever. Node looks twice before it takes a write for stuck.
  response.setTimeout(SLOW_CLIENT_MS / 2);
  // Before Node's own listener, which sets the time for what comes next.
  response.prependOnceListener('finish', () => response.socket?.setTimeout(0));
  response.writeHead(status, {
    ...headers,
    ...(mayHaveBody(status) && { 'content-length': Buffer.byteLength(body) }),
    ...(closeConnection && { connection: 'close' }),
  });
  response.end(body);
}

function countBytes(response: ServerResponse, bytes: number): void {
  const ofWire = response.socket === null ? undefined : waiting.get(response.socket);
  if (ofWire === undefined) return;
  ofWire.bytes += bytes;
  answerBytes.set(response, bytes);
}

/** The peer's address where the upgrade is let in; otherwise it has been answered here, or will be. */
export function readUpgrade(
  { service, accepted }: WsPort,
  request: IncomingMessage,
  wire: Duplex,
): { readonly remoteAddress: string; readonly noRoom: NoRoom | undefined } | undefined {
  const { head, asked } = readHead(service, request);
  const { remoteAddress } = head;
  const noRoom = accepted.noRoomFor(request.socket, remoteAddress);
  if (asked === 'websocket') {
    const refusal = service.admit({ ...head, body: '', noRoom });
    if (refusal === undefined) {
      if (noRoom !== undefined) service.onNoRoom(noRoom);
      return { remoteAddress, noRoom };
    }
    endWith(wire, head.method, refusal);
  } else if (asked === 'http' && !hasBody(head.headers)) {
    // An upgrade to something else (curl asks for h2c), which HTTP lets us ignore; Node has let go of the connection.
    wire.on('error', () => undefined);
    void Promise.resolve(service.http({ ...head, body: '', noRoom })).then((answer) => {
      endWith(wire, head.method, answer);
    });
  } else {
    endWith(wire, head.method, service.refuse(asked === 431 ? 431 : 400));
  }
  return undefined;
}

/** For what Node's parser could not read. What is no TLS, was silent too long, or is gone, is cut without a word. */
export function answerMalformed(service: Service) {
  return (error: NodeJS.ErrnoException, wire: Duplex): void => {
    if (leaving.has(wire)) return;
    if (error.code?.startsWith('HPE_') !== true || answered.has(wire) || !wire.writable) {
      wire.destroy();
      return;
    }
    endWith(wire, 'GET', service.refuse(error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400));
  };
}

/** Answers on a connection that Node's HTTP server has let go of, and ends it. */
function endWith(wire: Duplex, method: string, { status, headers, body }: HttpReply): void {
  const lines = [`HTTP/1.1 ${String(status)} ${STATUS_CODES[status] ?? ''}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  if (mayHaveBody(status)) lines.push(`content-length: ${String(Buffer.byteLength(body))}`);
  lines.push('connection: close', '', '');
  wire.on('error', () => undefined);
  leaving.add(wire);
  wire.once('finish', () => {
    wire.resume();
    const cut = setTimeout(() => wire.destroy(), LINGER_MS);
    wire.once('close', () => clearTimeout(cut));
  });
  if (wire instanceof Wire) wire.setTimeout(SLOW_CLIENT_MS, () => wire.destroy());
  wire.write(lines.join('\r\n'), 'latin1');
  wire.end(method === 'HEAD' || !mayHaveBody(status) ? '' : body);
}

function readHead(service: Service, request: IncomingMessage) {
  const collector = new HeaderCollector();
  const raw = request.rawHeaders;
  for (let i = 0; i + 1 < raw.length; i += 2) collector.add((raw[i] ?? '').toLowerCase(), raw[i + 1] ?? '');
  const url = request.url ?? '';
  const queryAt = url.indexOf('?');
  const head: RequestHead = {
    method: request.method ?? '',
    path: queryAt === -1 ? url : url.slice(0, queryAt),
    query: queryAt === -1 ? '' : url.slice(queryAt + 1),
    headers: collector.headers,
    remoteAddress: clientOf(service, addressText(request.socket.remoteAddress ?? ''), collector.headers),
  };
  const lacksHost = request.httpVersion === '1.1' && !collector.headers.has('host');
  return { head, asked: lacksHost ? (400 as const) : askedFor(head, collector.bytes) };
}

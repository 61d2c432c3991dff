/**
 * HTTP and the upgrade over node:http: reads a request and its body, writes its reply, and rejects malformed ones. Must
 * not know what a path means.
 */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { MAX_HTTP_BODY_BYTES } from '../../../shared/limits.ts';
import type { AcceptedWires } from './accepted-wires.ts';
import { type BodyState, HttpBody } from '../http-body.ts';
import {
  addressText,
  askedFor,
  asksToClose,
  clientOf,
  declaredLength,
  HeaderCollector,
  mayHaveBody,
  offersWebSocket,
  type RequestHead,
  SLOW_CLIENT_MS,
  targetOf,
} from '../http-rules.ts';
import { writeInParts } from '../body-writer.ts';
import type { BodyRest, HttpReply, HttpRequest, ConnectionLimit, Service } from '../port.ts';
import { HttpStream } from './http-stream.ts';
import type { RequestTurns } from './request-turns.ts';
import { SMALL_ANSWER_BYTES, type UnreadAnswers } from '../unread-answers.ts';

/**
 * Time for the client to read its last answer and close. If it is cut while it still sends, it may never see the
 * answer.
 */
const LINGER_MS = 1_000;

/** Shared by all requests of a port. */
export interface WsPort {
  readonly service: Service;
  readonly accepted: AcceptedWires;
  readonly turns: RequestTurns;
  readonly unread: UnreadAnswers;
}

export function answerRequest(port: WsPort, request: IncomingMessage, response: ServerResponse): void {
  const { service } = port;
  const stream = streamOf(request.socket);
  // Node still reports requests behind the last one.
  if (stream.isLeaving || stream.isLastAsked) return;
  if (stream.destroyed || !stream.begin(request, response)) {
    stream.destroy();
    return;
  }
  const reply = (answer: HttpReply, isLast = false): void => {
    if (answer.rest !== undefined) {
      writeStreamed(port, response, answer, answer.rest, head);
      return;
    }
    const bytes = Buffer.byteLength(answer.body);
    stream.countAnswer(request, bytes);
    writeReply(response, answer, isLast);
    if (bytes > SMALL_ANSWER_BYTES) countUnread(port, response, bytes, head.remoteAddress);
  };
  const answer = (asking: HttpRequest): void => {
    const isLast = asking.exceededLimit !== undefined;
    const answer = service.http(asking);
    if (answer instanceof Promise) void answer.then((late) => reply(late, isLast));
    else reply(answer, isLast);
  };
  const { head, asked } = readHead(service, request);
  if (typeof asked === 'number') {
    stream.isLeaving = true;
    reply(service.refuse(asked), true);
    return;
  }
  const exceededLimit = port.accepted.exceededLimitFor(stream.wire, head.remoteAddress);
  if (exceededLimit !== undefined) {
    stream.isLeaving = true;
    stream.hasResponse = true;
    answer({ ...head, body: '', exceededLimit });
    return;
  }
  if (asksToClose(head) || !response.shouldKeepAlive) stream.isLastAsked = true;
  readBody(request, declaredLength(head), (body) => {
    if (body === undefined) {
      reply(service.refuse(413));
      return;
    }
    stream.hasResponse = true;
    port.turns.run(stream, () => {
      if (!stream.destroyed) answer({ ...head, body, exceededLimit });
    });
  });
}

/**
 * Calls `done` with undefined once if the body is over the limit, at once if the declared length is. Further bytes are
 * read and discarded, up to a limit.
 */
function readBody(request: IncomingMessage, declaredBytes: number, done: (body: string | undefined) => void): void {
  const body = new HttpBody(declaredBytes);
  let state: BodyState = 'ok';
  if (declaredBytes > MAX_HTTP_BODY_BYTES) {
    state = 'too_large';
    done(undefined);
  }
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

function writeReply(response: ServerResponse, { status, headers, body }: HttpReply, closeConnection: boolean): void {
  if (response.destroyed) return;
  response.on('error', () => undefined);
  // A client that reads nothing of the answer would keep it in memory forever. Node checks twice before it treats a
  // write as stuck.
  response.setTimeout(SLOW_CLIENT_MS / 2);
  // Runs before Node's own listener, which sets the timeout for the next request.
  response.prependOnceListener('finish', () => response.socket?.setTimeout(0));
  response.writeHead(status, {
    ...headers,
    ...(mayHaveBody(status) && { 'content-length': Buffer.byteLength(body) }),
    ...(closeConnection && { connection: 'close' }),
  });
  response.end(body);
}

/** Writes an answer whose length is not known, in chunks. */
function writeStreamed(
  { service, unread }: WsPort,
  response: ServerResponse,
  { status, headers, body }: HttpReply,
  rest: BodyRest,
  { method, remoteAddress }: RequestHead,
): void {
  if (response.destroyed || method === 'HEAD') {
    if (!response.destroyed) response.writeHead(status, { ...headers, connection: 'close' }).end();
    rest.close();
    return;
  }
  response.on('error', () => undefined);
  // As for other answers. Each part that is written begins the time again.
  response.setTimeout(SLOW_CLIENT_MS / 2);
  response.writeHead(status, { ...headers, connection: 'close' });
  const cut = (): void => void response.destroy();
  const whenRead = (bytes: number): Promise<void> =>
    new Promise((resolve) => {
      const end = unread.hold(service.connections.groupOf(remoteAddress), bytes, cut);
      const done = (): void => {
        response.off('drain', done).off('close', done);
        end();
        resolve();
      };
      response.on('drain', done).on('close', done);
    });
  void writeInParts(String(body), rest, {
    isOpen: () => !response.destroyed,
    write: (part) => (response.write(part) ? undefined : whenRead(Buffer.byteLength(part))),
    end: () => response.end(),
    cut,
  });
}

/** Counts an answer that waits for its client, until it is written or its connection has ended. */
function countUnread({ service, unread }: WsPort, response: ServerResponse, bytes: number, address: string): void {
  // Node reports also an answer that the kernel has accepted as a whole only in a later turn.
  setImmediate(() => {
    if (response.writableFinished || response.destroyed) return;
    const end = unread.hold(service.connections.groupOf(address), bytes, () => response.destroy());
    response.once('close', end);
  });
}

/** The client of an accepted upgrade; undefined if the upgrade was refused and answered. */
export function readUpgrade(
  port: WsPort,
  request: IncomingMessage,
  stream: HttpStream,
): { readonly remoteAddress: string; readonly exceededLimit: ConnectionLimit | undefined } | undefined {
  const { service } = port;
  const { head, asked } = readHead(service, request);
  const { remoteAddress } = head;
  const exceededLimit = port.accepted.exceededLimitFor(stream.wire, remoteAddress);
  const refusal =
    asked === 'websocket'
      ? service.admit({ ...head, body: '', exceededLimit })
      : service.refuse(asked === 'http' ? 400 : asked);
  if (refusal === undefined) {
    if (exceededLimit !== undefined) service.onLimitExceeded(exceededLimit);
    return { remoteAddress, exceededLimit };
  }
  endWith(stream, head.method, refusal);
  return undefined;
}

/**
 * The head of a request without its upgrade, if that is not to WebSocket (curl and Java ask for h2c). HTTP allows
 * ignoring an upgrade, and requires it in HTTP/1.0 (RFC 9110, section 7.8). Undefined if the request asks for a
 * WebSocket.
 */
export function headWithoutUpgrade(request: IncomingMessage): Buffer | undefined {
  const { method, url, httpVersion, headers, rawHeaders } = request;
  if (httpVersion !== '1.0' && offersWebSocket(headers.connection, headers.upgrade)) return undefined;
  const lines = [`${method ?? ''} ${url ?? ''} HTTP/${httpVersion}`];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name, value] = [rawHeaders[i] ?? '', rawHeaders[i + 1] ?? ''];
    const lowerCaseName = name.toLowerCase();
    if (lowerCaseName === 'connection') lines.push(`${name}: ${withoutUpgrade(value)}`);
    else if (lowerCaseName !== 'upgrade' && lowerCaseName !== 'http2-settings') lines.push(`${name}: ${value}`);
  }
  return Buffer.from([...lines, '', ''].join('\r\n'), 'latin1');
}

function withoutUpgrade(connectionHeader: string): string {
  const tokens = connectionHeader.split(',').map((token) => token.trim());
  return tokens.filter((token) => !/^(upgrade|http2-settings)$/i.test(token)).join(', ');
}

/**
 * Answers what Node's parser could not read. Cuts the connection without an answer if it is not TLS, timed out, or is
 * gone.
 */
export function answerMalformed(service: Service) {
  return (error: NodeJS.ErrnoException, wire: Duplex): void => {
    const stream = streamOf(wire);
    if (stream.isLeaving) return;
    if (error.code?.startsWith('HPE_') !== true || stream.hasResponse || !stream.writable) {
      stream.destroy();
      return;
    }
    endWith(stream, 'GET', service.refuse(error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400));
  };
}

/** Answers on a connection that Node's HTTP server has released, and ends it. */
function endWith(stream: HttpStream, method: string, { status, headers, body }: HttpReply): void {
  const lines = [`HTTP/1.1 ${String(status)} ${STATUS_CODES[status] ?? ''}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  if (mayHaveBody(status)) lines.push(`content-length: ${String(Buffer.byteLength(body))}`);
  lines.push('connection: close', '', '');
  stream.isLeaving = true;
  stream.on('error', () => undefined);
  stream.once('finish', () => {
    stream.resume();
    const cut = setTimeout(() => stream.destroy(), LINGER_MS);
    stream.once('close', () => clearTimeout(cut));
  });
  stream.setTimeout(SLOW_CLIENT_MS).once('timeout', () => stream.destroy());
  stream.write(lines.join('\r\n'), 'latin1');
  stream.end(method === 'HEAD' || !mayHaveBody(status) ? '' : body);
}

function readHead(service: Service, request: IncomingMessage) {
  const collector = new HeaderCollector();
  const raw = request.rawHeaders;
  for (let i = 0; i + 1 < raw.length; i += 2) collector.add((raw[i] ?? '').toLowerCase(), raw[i + 1] ?? '');
  const { authority, path, query } = targetOf(request.url ?? '');
  if (authority !== undefined) collector.headers.set('host', authority);
  const head: RequestHead = {
    method: request.method ?? '',
    path,
    query,
    headers: collector.headers,
    remoteAddress: clientOf(service, addressText(streamOf(request.socket).wire.remoteAddress ?? ''), collector.headers),
  };
  const lacksHost = request.httpVersion === '1.1' && !collector.headers.has('host');
  return { head, asked: lacksHost ? (400 as const) : askedFor(head, collector.bytes) };
}

/** Every connection that Node's HTTP server gets here is an HttpStream. */
export function streamOf(connection: Duplex): HttpStream {
  if (connection instanceof HttpStream) return connection;
  throw new TypeError('a connection that the engine did not give to Node');
}

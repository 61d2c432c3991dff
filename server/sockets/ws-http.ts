/**
 * HTTP and the upgrade over node:http: reads a request and its body, writes its reply, turns malformed ones down.
 * Must not know what a path means. Called by ws-engine alone.
 */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { MAX_HTTP_BODY_BYTES } from '../../shared/limits.ts';
import { addressText, askedFor, HeaderCollector, mayHaveBody, type RequestHead } from './http-rules.ts';
import type { HttpReply, Service } from './port.ts';

/** Connections on which a response may be under way, so that nothing else may be written on them. */
const answered = new WeakSet<Duplex>();

export function answerRequest(service: Service, request: IncomingMessage, response: ServerResponse): void {
  const { head, asked } = readHead(request);
  if (asked === 400 || asked === 431) {
    reply(response, service.refuse(asked), true);
    return;
  }
  if (Number(head.headers.get('content-length') ?? 0) > MAX_HTTP_BODY_BYTES) {
    reply(response, service.refuse(413), false);
    return;
  }
  readBody(request, (body) => {
    if (body === undefined) {
      reply(response, service.refuse(413), false);
      return;
    }
    answered.add(request.socket);
    const answer = service.http({ ...head, body });
    if (!(answer instanceof Promise)) {
      reply(response, answer, false);
      return;
    }
    void answer.then((late) => {
      reply(response, late, false);
    });
  });
}

/** Tells undefined once where the body is over the limit; what follows is read and thrown away. */
function readBody(request: IncomingMessage, done: (body: string | undefined) => void): void {
  let chunks: Buffer[] = [];
  let bodyBytes = 0;
  request.on('data', (chunk: Buffer) => {
    if (bodyBytes > MAX_HTTP_BODY_BYTES) return;
    bodyBytes += chunk.length;
    if (bodyBytes <= MAX_HTTP_BODY_BYTES) {
      chunks.push(chunk);
      return;
    }
    chunks = [];
    done(undefined);
  });
  request.on('end', () => {
    if (bodyBytes <= MAX_HTTP_BODY_BYTES) done(Buffer.concat(chunks).toString());
  });
  // An aborted request ends here, unanswered.
  request.on('error', () => undefined);
}

function reply(response: ServerResponse, { status, headers, body }: HttpReply, closeConnection: boolean): void {
  if (response.destroyed) return;
  response.on('error', () => undefined);
  response.writeHead(status, {
    ...headers,
    ...(mayHaveBody(status) && { 'content-length': Buffer.byteLength(body) }),
    ...(closeConnection && { connection: 'close' }),
  });
  response.end(body);
}

/** The peer's address where the upgrade is let in; otherwise it has been answered here, or will be. */
export function readUpgrade(service: Service, request: IncomingMessage, wire: Duplex): string | undefined {
  const { head, asked } = readHead(request);
  if (asked === 'websocket') {
    const refusal = service.admit({ ...head, body: '' });
    if (refusal === undefined) return head.remoteAddress;
    endWith(wire, head.method, refusal);
  } else if (asked === 'http' && !hasBody(head)) {
    // An upgrade to something else (curl asks for h2c), which HTTP lets us ignore; Node has let go of the connection.
    wire.on('error', () => undefined);
    void Promise.resolve(service.http({ ...head, body: '' })).then((answer) => {
      endWith(wire, head.method, answer);
    });
  } else {
    endWith(wire, head.method, service.refuse(asked === 431 ? 431 : 400));
  }
  return undefined;
}

function hasBody({ headers }: RequestHead): boolean {
  return headers.has('transfer-encoding') || (headers.get('content-length') ?? '0') !== '0';
}

/** For what Node's parser could not read. A connection that was silent too long, or is gone, is cut without a word. */
export function answerMalformed(service: Service) {
  return (error: NodeJS.ErrnoException, wire: Duplex): void => {
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
  wire.once('finish', () => wire.destroy());
  wire.write(lines.join('\r\n'), 'latin1');
  wire.end(method === 'HEAD' || !mayHaveBody(status) ? '' : body);
}

function readHead(request: IncomingMessage) {
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
    remoteAddress: addressText(request.socket.remoteAddress ?? ''),
  };
  const lacksHost = request.httpVersion === '1.1' && !collector.headers.has('host');
  return { head, asked: lacksHost ? (400 as const) : askedFor(head, collector.bytes) };
}

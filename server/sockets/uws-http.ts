/**
 * HTTP and the upgrade over uWebSockets.js: copies a request before it dies, reads its body, writes its reply once and
 * only while the response lives. Must not know what a path means. Called by uws-engine alone.
 */
import { STATUS_CODES } from 'node:http';
import { MAX_HTTP_BODY_BYTES } from '../../shared/limits.ts';
import { askedFor, clientOf, HeaderCollector, mayHaveBody, type RequestHead } from './http-rules.ts';
import type { HttpReply, Service } from './port.ts';
import type { UwsRequest, UwsResponse, UwsUpgradeContext } from './uws-types.ts';

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

export function answerRequest<Attached>(service: Service, response: UwsResponse<Attached>, request: UwsRequest): void {
  const exchange = new Exchange(response);
  const { head, asked } = readHead(service, response, request);
  switch (asked) {
    case 400:
    case 431:
      exchange.reply(head.method, service.refuse(asked), true);
      break;
    // A sound handshake goes to the upgrade handler.
    case 'websocket':
    case 'http':
      exchange.readBody(head, service);
      break;
    default:
      asked satisfies never;
  }
}

/** uWebSockets.js brings every GET with a key of 24 characters here, whatever else it says. */
export function answerUpgrade<Attached>(
  service: Service,
  response: UwsResponse<Attached>,
  request: UwsRequest,
  context: UwsUpgradeContext,
  attach: (remoteAddress: string) => Attached,
): void {
  const exchange = new Exchange(response);
  const { head, asked } = readHead(service, response, request);
  if (asked === 'http') {
    exchange.readBody(head, service);
    return;
  }
  const refusal = asked === 'websocket' ? service.admit({ ...head, body: '' }) : service.refuse(asked);
  if (refusal !== undefined) {
    exchange.reply(head.method, refusal, true);
    return;
  }
  response.upgrade(
    attach(head.remoteAddress),
    head.headers.get('sec-websocket-key') ?? '',
    head.headers.get('sec-websocket-protocol') ?? '',
    head.headers.get('sec-websocket-extensions') ?? '',
    context,
  );
}

function readHead<Attached>(service: Service, response: UwsResponse<Attached>, request: UwsRequest) {
  const collector = new HeaderCollector();
  request.forEach((name, value) => {
    collector.add(name, value);
  });
  const head: RequestHead = {
    method: request.getCaseSensitiveMethod(),
    path: request.getUrl(),
    query: request.getQuery() ?? '',
    headers: collector.headers,
    remoteAddress: clientOf(service, utf8.decode(response.getRemoteAddressAsText()), collector.headers),
  };
  return { head, asked: askedFor(head, collector.bytes) };
}

/** One request's response, which may be written once and not after its abort. */
class Exchange<Attached> {
  readonly #response: UwsResponse<Attached>;
  #isOpen = true;

  constructor(response: UwsResponse<Attached>) {
    this.#response = response;
    // Before anything else: a handler that throws without it ends the process inside native code, without a word.
    response.onAborted(() => {
      this.#isOpen = false;
    });
  }

  readBody(head: RequestHead, service: Service): void {
    if (Number(head.headers.get('content-length') ?? 0) > MAX_HTTP_BODY_BYTES) {
      this.reply(head.method, service.refuse(413), false);
      return;
    }
    let chunks: Uint8Array[] = [];
    let bodyBytes = 0;
    this.#response.onData((chunk, isLast) => {
      // What follows a 413 is read and thrown away, so that the client gets to read its answer.
      if (!this.#isOpen) return;
      bodyBytes += chunk.byteLength;
      if (bodyBytes > MAX_HTTP_BODY_BYTES) {
        chunks = [];
        this.reply(head.method, service.refuse(413), false);
      } else if (!isLast) {
        chunks.push(new Uint8Array(chunk).slice());
      } else if (chunks.length === 0) {
        this.#ask(service, head, utf8.decode(chunk));
      } else {
        chunks.push(new Uint8Array(chunk));
        this.#ask(service, head, utf8.decode(Buffer.concat(chunks)));
      }
    });
  }

  #ask(service: Service, head: RequestHead, body: string): void {
    const answer = service.http({ ...head, body });
    if (!(answer instanceof Promise)) {
      this.reply(head.method, answer, false);
      return;
    }
    // A second request that comes while this one waits would cut the connection: it waits in the kernel. One that came in
    // the same packet is cut all the same, unless the answer needs no more than microtasks.
    this.#response.pause();
    void answer.then((reply) => {
      if (!this.#isOpen) return;
      this.#response.resume();
      this.reply(head.method, reply, false);
    });
  }

  /** Not `end`: that keeps copies of all the answers to one who asks and asks, and reads none (552 MB for 130 kB of GETs). */
  #write(body: string | Uint8Array): void {
    const response = this.#response;
    const totalBytes = Buffer.byteLength(body);
    const [, isDone] = response.tryEnd(body, totalBytes);
    if (isDone) return;
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    response.onWritable((writtenBytes) => response.tryEnd(bytes.subarray(writtenBytes), totalBytes)[0]);
  }

  reply(method: string, reply: HttpReply, closeConnection: boolean): void {
    this.#isOpen = false;
    const response = this.#response;
    response.cork(() => {
      response.writeStatus(`${String(reply.status)} ${STATUS_CODES[reply.status] ?? ''}`);
      for (const [name, value] of Object.entries(reply.headers)) response.writeHeader(name, value);
      if (method !== 'HEAD' && mayHaveBody(reply.status)) {
        if (closeConnection) response.end(reply.body, true);
        else this.#write(reply.body);
      } else if (closeConnection) {
        response.end('', true);
      } else {
        // Given a length, `endWithoutBody` waits for the body all the same, and cuts the connection at its next request.
        if (method === 'HEAD') response.writeHeader('content-length', String(Buffer.byteLength(reply.body)));
        response.endWithoutBody();
      }
    });
  }
}

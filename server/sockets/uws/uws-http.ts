/**
 * HTTP and the upgrade over uWebSockets.js: copies a request before it dies, reads its body, and writes its reply once
 * and only while the response lives. Must not know what a path means.
 */
import { STATUS_CODES } from 'node:http';
import { MAX_HTTP_BODY_BYTES } from '../../../shared/limits.ts';
import {
  addressText,
  askedFor,
  asksToClose,
  chosenSubprotocol,
  clientOf,
  declaredLength,
  HeaderCollector,
  type Malformed,
  isPassedOn,
  mayHaveBody,
  type RequestHead,
} from '../http-rules.ts';
import { HttpBody, MAX_READ_BYTES } from '../http-body.ts';
import type { HttpReply, NoRoom, Service } from '../port.ts';
import type { RequestTurns } from '../ws/request-turns.ts';
import type { Asking, UwsConnections } from './uws-connections.ts';
import type { UwsRequest, UwsResponse, UwsUpgradeContext } from './uws-types.ts';

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Shared by all requests of a port. */
export interface UwsPort {
  readonly service: Service;
  readonly connections: UwsConnections;
  readonly turns: RequestTurns;
}

export function answerRequest<Attached>(port: UwsPort, response: UwsResponse<Attached>, request: UwsRequest): void {
  const exchange = new Exchange(port, response);
  const { head, asked, asksForEnd } = readHead(port.service, response, request);
  if (!exchange.begin(head)) return;
  switch (asked) {
    case 400:
    case 426:
    case 431:
      exchange.refuse(head.method, asked);
      break;
    // A valid handshake goes to the upgrade handler.
    case 'websocket':
    case 'http':
      exchange.readBody(head, asksForEnd);
      break;
    default:
      asked satisfies never;
  }
}

/**
 * Answers an upgrade. uWebSockets.js calls it for every GET with a key of 24 characters, whatever else the request
 * says.
 */
export function answerUpgrade<Attached>(
  port: UwsPort,
  response: UwsResponse<Attached>,
  request: UwsRequest,
  context: UwsUpgradeContext,
  attach: (remoteAddress: string, noRoom: NoRoom | undefined) => Attached,
): void {
  const exchange = new Exchange(port, response);
  const { head, asked, asksForEnd } = readHead(port.service, response, request);
  const refusal = asked === 'websocket' ? port.service.admit({ ...head, body: '', noRoom: undefined }) : undefined;
  if (asked === 'websocket' && refusal === undefined) {
    const noRoom = port.connections.upgrades(head.remoteAddress);
    response.upgrade(
      attach(head.remoteAddress, noRoom),
      head.headers.get('sec-websocket-key') ?? '',
      chosenSubprotocol(head.headers),
      '',
      context,
    );
    return;
  }
  if (!exchange.begin(head)) return;
  if (asked === 'http') exchange.readBody(head, asksForEnd);
  else if (asked === 'websocket') exchange.refuseWith(head.method, refusal as HttpReply);
  else exchange.refuse(head.method, asked);
}

function readHead<Attached>(service: Service, response: UwsResponse<Attached>, request: UwsRequest) {
  const collector = new HeaderCollector();
  const peer = peerOf(response);
  let isReadAsClose = false as boolean;
  request.forEach((name, value) => {
    // uWebSockets.js reads "close" by its five bytes, and the number of bytes is certain for ASCII only.
    if (name === 'connection' && !/^(?!.{5}$)[ -~]*$/.test(value)) isReadAsClose = true;
    collector.add(name, value);
  });
  const head: RequestHead = {
    method: request.getCaseSensitiveMethod(),
    path: request.getUrl(),
    query: request.getQuery() ?? '',
    headers: collector.headers,
    remoteAddress: clientOf(service, peer, collector.headers),
  };
  // A proxy reuses a connection for up to a minute. A request that it sends while an idle one is being closed is lost.
  const isOfProxy = isPassedOn(head) || service.isProxy(peer);
  // uWebSockets.js accepts a PROXY header from anybody. The hub trusts only X-Forwarded-For of trusted proxies, so
  // nobody needs to send one.
  const hasProxyHeader = response.getProxiedRemoteAddress().byteLength > 0;
  const asked = hasProxyHeader ? 400 : askedFor(head, collector.bytes);
  return { head, asked, asksForEnd: isReadAsClose || asksToClose(head) || isOfProxy };
}

/** The address at the other end of the connection. */
export function peerOf<Attached>(response: UwsResponse<Attached>): string {
  return addressText(Buffer.from(response.getRemoteAddressAsText()).toString('latin1'));
}

/**
 * For clients that respect it. An idle connection is cut after 8 s at the earliest, and a request needs time to get
 * here.
 */
const KEPT = 'timeout=6';
/** Up to this size, a last answer fits the kernel's buffer if the answers before it did. */
const SMALL_BYTES = 4_096;

/** The response to one request. It may be written once, and not after its abort. */
class Exchange<Attached> {
  readonly #port: UwsPort;
  readonly #response: UwsResponse<Attached>;
  #asking: Asking | undefined;
  #isOpen = true;
  #isPaused = false;
  /** Whether its answer is the connection's last. */
  #isLast = false;
  /** Closing would lose the answer, because the client still sends. Nothing more is read, and the client closes. */
  #isReadNoMore = false;

  constructor(port: UwsPort, response: UwsResponse<Attached>) {
    this.#port = port;
    this.#response = response;
    // Must come first: without it, a handler that throws ends the process inside native code, without a message.
    response.onAborted(() => {
      this.#isOpen = false;
      this.#asking?.end(false);
      port.turns.forget(this);
    });
  }

  /** Counts the request. @returns false if it has already been answered, because its connection exceeds a limit. */
  begin(head: RequestHead): boolean {
    this.#asking = this.#port.connections.asks(head.remoteAddress);
    if (this.#asking.noRoom === undefined) return true;
    this.#isLast = true;
    this.#ask(head, '');
    return false;
  }

  /**
   * Reads the body. The answer is the last of the connection if the body is chunked, or if the client asks to close.
   * uWebSockets.js finds the end of chunks differently from others, so the bytes after it may not be a request to them.
   * After a last answer it closes. If the answer is too large for its own buffer, it closes at once, within its parser.
   * The parser then goes on with freed memory (the head, if that came in two parts) and with pipelined requests: two
   * packets of a stranger ended the process.
   */
  readBody(head: RequestHead, asksForEnd: boolean): void {
    const isChunked = head.headers.has('transfer-encoding');
    this.#isLast = asksForEnd || isChunked;
    const declaredBytes = declaredLength(head);
    if (declaredBytes > MAX_READ_BYTES) {
      this.#isReadNoMore = true;
      this.refuse(head.method, 413);
      return;
    }
    let body: HttpBody | undefined;
    this.#response.onData((chunk, isEnd) => {
      if (!this.#isOpen) return;
      // Most bodies come in one piece, which needs no buffer.
      if (isEnd && body === undefined && chunk.byteLength <= MAX_HTTP_BODY_BYTES) {
        this.#ask(head, utf8.decode(chunk));
        return;
      }
      body ??= new HttpBody(declaredBytes);
      const state = body.add(new Uint8Array(chunk));
      if (state === 'flood') this.#cut();
      else if (!isEnd) return;
      else if (state === 'ok') this.#ask(head, body.text());
      // After a 413, the rest of the body is read and discarded, so that the client can read its answer.
      else this.#reply(head.method, this.#port.service.refuse(413));
    });
  }

  refuse(method: string, status: Malformed | 413): void {
    this.refuseWith(method, this.#port.service.refuse(status));
  }

  /** Refuses the request. Nothing else is served on the connection. */
  refuseWith(method: string, refusal: HttpReply): void {
    this.#isLast = true;
    this.#reply(method, refusal);
  }

  /**
   * Cuts the connection from within the handler of its own body. While its request is unanswered, uWebSockets.js then
   * calls nothing more for it, neither for the rest of the bytes read nor for the requests behind it.
   */
  #cut(): void {
    this.#response.close();
  }

  /**
   * Answers now, or in a later turn if this one has no time left. While a request waits, uWebSockets.js cuts its
   * connection if another one is pipelined behind it, so nobody can hold the loop by sending requests faster than they
   * are answered.
   */
  #ask(head: RequestHead, body: string): void {
    const waits = this.#port.turns.run(this, () => {
      if (!this.#isOpen) return;
      this.#answer(head, body);
    });
    if (waits) this.#pause();
  }

  #answer(head: RequestHead, body: string): void {
    const answer = this.#port.service.http({ ...head, body, noRoom: this.#asking?.noRoom });
    if (!(answer instanceof Promise)) {
      this.#resume();
      this.#reply(head.method, answer);
      return;
    }
    // A second request would cut the connection while this one waits, so it is left in the kernel. One in the same
    // packet still cuts it, unless the answer needs only microtasks.
    this.#pause();
    void answer.then((reply) => {
      if (!this.#isOpen) return;
      if (!this.#isLast) this.#resume();
      this.#reply(head.method, reply);
    });
  }

  #pause(): void {
    this.#isPaused = true;
    this.#response.pause();
  }

  #resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#response.resume();
  }

  #reply(method: string, reply: HttpReply): void {
    if (this.#isLast) {
      this.#replyLast(method, reply);
      return;
    }
    this.#isOpen = false;
    this.#asking?.end(true);
    this.#response.cork(() => {
      this.#writeHead(reply);
      if (method === 'HEAD' || !mayHaveBody(reply.status)) this.#endWithoutBody(method, reply);
      else this.#write(reply.body);
    });
  }

  /**
   * Writes a last answer in a later turn, with reading paused. uWebSockets.js serves the bytes behind an answer that
   * closes, but cuts the connection if the answer is still pending. A small answer fits the kernel's buffer, and
   * uWebSockets.js closes. A larger one might not: bytes that arrive while it waits cut the connection, and after it
   * nothing is read. The client closes then, or the timeout of 10 s does.
   *
   * The turn is that of a timer. A socket that is closed in a `setImmediate` is never freed, 440 bytes each time
   * (measured): libuv's close callback runs before uSockets passes it the socket (us_poll_free, close_cb_free_poll in
   * its src/eventing/libuv.c).
   */
  #replyLast(method: string, reply: HttpReply): void {
    this.#response.pause();
    setTimeout(() => {
      if (!this.#isOpen) return;
      this.#isOpen = false;
      this.#asking?.end(false);
      this.#response.cork(() => {
        this.#writeLast(method, reply);
      });
    }, 0);
  }

  #writeLast(method: string, reply: HttpReply): void {
    const response = this.#response;
    this.#writeHead(reply);
    if (method === 'HEAD' || !mayHaveBody(reply.status)) {
      this.#endWithoutBody(method, reply);
    } else if (Buffer.byteLength(reply.body) <= SMALL_BYTES && !this.#isReadNoMore) {
      response.end(reply.body, true);
    } else {
      response.writeHeader('connection', 'close');
      this.#write(reply.body);
    }
  }

  #writeHead({ status, headers }: HttpReply): void {
    this.#response.writeStatus(`${String(status)} ${STATUS_CODES[status] ?? ''}`);
    for (const [name, value] of Object.entries(headers)) this.#response.writeHeader(name, value);
    if (!this.#isLast) this.#response.writeHeader('keep-alive', KEPT);
  }

  /**
   * Ends an answer without a body. If uWebSockets.js were given a length, it would wait for the body and cut the
   * connection at its next request. If it were to close, it would write a length even if none is allowed. So the client
   * closes, as after a large last answer.
   */
  #endWithoutBody(method: string, { status, body }: HttpReply): void {
    const response = this.#response;
    if (method === 'HEAD' && mayHaveBody(status)) {
      response.writeHeader('content-length', String(Buffer.byteLength(body)));
    }
    if (this.#isLast) response.writeHeader('connection', 'close');
    response.endWithoutBody();
  }

  /**
   * Does not use `end`, which keeps copies of all answers to a client that asks and never reads (552 MB for 130 kB of
   * GETs).
   */
  #write(body: string | Uint8Array): void {
    const response = this.#response;
    const totalBytes = Buffer.byteLength(body);
    if (!this.#isLast && response.tryEnd(body, totalBytes)[1]) return;
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    const writeFrom = (writtenBytes: number): boolean => {
      if (!this.#isLast) return response.tryEnd(bytes.subarray(writtenBytes), totalBytes)[0];
      // A write that does not fit resumes reading, so reading pauses once more before the answer is complete.
      const before = bytes.subarray(writtenBytes, -1);
      if (before.length > 0 && !response.tryEnd(before, totalBytes)[0]) return false;
      response.pause();
      return response.tryEnd(bytes.subarray(-1), totalBytes)[0];
    };
    if (!this.#isLast || !writeFrom(0)) response.onWritable(writeFrom);
  }
}

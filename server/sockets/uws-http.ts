/**
 * HTTP and the upgrade over uWebSockets.js: copies a request before it dies, reads its body, writes its reply once and
 * only while the response lives. Must not know what a path means. Called by uws-engine alone.
 */
import { STATUS_CODES } from 'node:http';
import { MAX_HTTP_BODY_BYTES } from '../../shared/limits.ts';
import { askedFor, asksToClose, clientOf, HeaderCollector, mayHaveBody, type RequestHead } from './http-rules.ts';
import type { HttpReply, Service } from './port.ts';
import type { UwsRequest, UwsResponse, UwsUpgradeContext } from './uws-types.ts';

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

export function answerRequest<Attached>(service: Service, response: UwsResponse<Attached>, request: UwsRequest): void {
  const exchange = new Exchange(response);
  const { head, asked, asksForEnd } = readHead(service, response, request);
  switch (asked) {
    case 400:
    case 431:
      exchange.refuse(head.method, service.refuse(asked));
      break;
    // A sound handshake goes to the upgrade handler.
    case 'websocket':
    case 'http':
      exchange.readBody(head, service, asksForEnd);
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
  const { head, asked, asksForEnd } = readHead(service, response, request);
  if (asked === 'http') {
    exchange.readBody(head, service, asksForEnd);
    return;
  }
  const refusal = asked === 'websocket' ? service.admit({ ...head, body: '' }) : service.refuse(asked);
  if (refusal !== undefined) {
    exchange.refuse(head.method, refusal);
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
  let isReadAsClose = false as boolean;
  request.forEach((name, value) => {
    // It reads "close" by its five bytes; how many bytes there were is certain of ASCII alone.
    if (name === 'connection' && !/^(?!.{5}$)[ -~]*$/.test(value)) isReadAsClose = true;
    collector.add(name, value);
  });
  const head: RequestHead = {
    method: request.getCaseSensitiveMethod(),
    path: request.getUrl(),
    query: request.getQuery() ?? '',
    headers: collector.headers,
    remoteAddress: clientOf(service, utf8.decode(response.getRemoteAddressAsText()), collector.headers),
  };
  return { head, asked: askedFor(head, collector.bytes), asksForEnd: isReadAsClose || asksToClose(head) };
}

/** Up to so many bytes, a last answer finds room in the kernel where the answers before it did. */
const SMALL_BYTES = 4_096;

/** One request's response, which may be written once and not after its abort. */
class Exchange<Attached> {
  readonly #response: UwsResponse<Attached>;
  #isOpen = true;
  /** Whether its answer is the connection's last. */
  #isLast = false;

  constructor(response: UwsResponse<Attached>) {
    this.#response = response;
    // Before anything else: a handler that throws without it ends the process inside native code, without a word.
    response.onAborted(() => {
      this.#isOpen = false;
    });
  }

  /**
   * The last answer is given to chunks, since it takes for their end what others don't, so that what follows may be no request
   * to them; and to who asks for the end. Behind that answer it closes, and where the answer was too large for its own
   * buffer it does so at once, within its parser, which then goes on with memory that it has freed (the head, where that came
   * in two parts) and with what is pipelined: two packets of a stranger ended the process.
   */
  readBody(head: RequestHead, service: Service, asksForEnd: boolean): void {
    this.#isLast = asksForEnd || head.headers.has('transfer-encoding');
    if (Number(head.headers.get('content-length') ?? 0) > MAX_HTTP_BODY_BYTES) {
      this.#reply(head.method, service.refuse(413));
      return;
    }
    let chunks: Uint8Array[] = [];
    let bodyBytes = 0;
    this.#response.onData((chunk, isEnd) => {
      // What follows a 413 is read and thrown away, so that the client gets to read its answer.
      if (!this.#isOpen) return;
      bodyBytes += chunk.byteLength;
      if (bodyBytes > MAX_HTTP_BODY_BYTES) {
        chunks = [];
        // The last answer ends the reading, so it waits until the client has said all.
        if (isEnd || !this.#isLast) this.#reply(head.method, service.refuse(413));
      } else if (!isEnd) {
        chunks.push(new Uint8Array(chunk).slice());
      } else if (chunks.length === 0) {
        this.#ask(service, head, utf8.decode(chunk));
      } else {
        chunks.push(new Uint8Array(chunk));
        this.#ask(service, head, utf8.decode(Buffer.concat(chunks)));
      }
    });
  }

  /** Nothing else is served on the connection. */
  refuse(method: string, refusal: HttpReply): void {
    this.#isLast = true;
    this.#reply(method, refusal);
  }

  #ask(service: Service, head: RequestHead, body: string): void {
    const answer = service.http({ ...head, body });
    if (!(answer instanceof Promise)) {
      this.#reply(head.method, answer);
      return;
    }
    // A second request that comes while this one waits would cut the connection: it waits in the kernel. One that came in
    // the same packet is cut all the same, unless the answer needs no more than microtasks.
    this.#response.pause();
    void answer.then((reply) => {
      if (!this.#isOpen) return;
      if (!this.#isLast) this.#response.resume();
      this.#reply(head.method, reply);
    });
  }

  #reply(method: string, reply: HttpReply): void {
    if (this.#isLast) {
      this.#replyLast(method, reply);
      return;
    }
    this.#isOpen = false;
    this.#response.cork(() => {
      this.#writeHead(reply);
      if (method === 'HEAD' || !mayHaveBody(reply.status)) this.#endWithoutBody(method, reply);
      else this.#write(reply.body);
    });
  }

  /**
   * uWebSockets.js serves what came behind an answer that closes, unless that answer is still to come: then it cuts. So it
   * comes in a later turn, and nothing is read meanwhile. A small one finds room in the kernel, and uWebSockets.js closes.
   * A larger one might not: what comes while it waits for room cuts, and after it nothing is read. The client closes then,
   * or the 10 s do.
   *
   * The turn is a timer's. What is closed in a `setImmediate` nobody frees, 440 bytes each time (measured): libuv's close
   * callback runs before uSockets hands it the socket (us_poll_free, close_cb_free_poll in its src/eventing/libuv.c).
   */
  #replyLast(method: string, reply: HttpReply): void {
    this.#response.pause();
    setTimeout(() => {
      if (!this.#isOpen) return;
      this.#isOpen = false;
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
    } else if (Buffer.byteLength(reply.body) <= SMALL_BYTES) {
      response.end(reply.body, true);
    } else {
      response.writeHeader('connection', 'close');
      this.#write(reply.body);
    }
  }

  #writeHead({ status, headers }: HttpReply): void {
    this.#response.writeStatus(`${String(status)} ${STATUS_CODES[status] ?? ''}`);
    for (const [name, value] of Object.entries(headers)) this.#response.writeHeader(name, value);
  }

  /**
   * Given a length, uWebSockets.js waits for the body all the same, and cuts the connection at its next request. Told to
   * close, it writes a length where none may be: so the client closes, as after a large last answer.
   */
  #endWithoutBody(method: string, { status, body }: HttpReply): void {
    const response = this.#response;
    if (method === 'HEAD' && mayHaveBody(status)) {
      response.writeHeader('content-length', String(Buffer.byteLength(body)));
    }
    if (this.#isLast) response.writeHeader('connection', 'close');
    response.endWithoutBody();
  }

  /** Not `end`: that keeps copies of all the answers to one who asks and asks, and reads none (552 MB for 130 kB of GETs). */
  #write(body: string | Uint8Array): void {
    const response = this.#response;
    const totalBytes = Buffer.byteLength(body);
    if (!this.#isLast && response.tryEnd(body, totalBytes)[1]) return;
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    const writeFrom = (writtenBytes: number): boolean => {
      if (!this.#isLast) return response.tryEnd(bytes.subarray(writtenBytes), totalBytes)[0];
      // A write that finds no room makes it read again, so it stops once more before the answer is whole.
      const before = bytes.subarray(writtenBytes, -1);
      if (before.length > 0 && !response.tryEnd(before, totalBytes)[0]) return false;
      response.pause();
      return response.tryEnd(bytes.subarray(-1), totalBytes)[0];
    };
    if (!this.#isLast || !writeFrom(0)) response.onWritable(writeFrom);
  }
}

/**
 * One request over uWebSockets.js: counts it, reads its body, has it answered in a turn with time left, and writes the
 * reply once and only while the response lives. Must not know what a path means.
 */
import { MAX_HTTP_BODY_BYTES } from '../../../shared/limits.ts';
import { HttpBody, MAX_READ_BYTES } from '../http-body.ts';
import { declaredLength, type Malformed, type RequestHead } from '../http-rules.ts';
import { writeInParts } from '../body-writer.ts';
import type { BodyRest, HttpReply, Service } from '../port.ts';
import type { UnreadAnswers } from '../unread-answers.ts';
import type { RequestTurns } from '../ws/request-turns.ts';
import type { CountedRequest, UwsConnections } from './uws-connections.ts';
import { writeLastReply, writeReply, writeStreamHead } from './uws-reply.ts';
import type { UwsResponse } from './uws-types.ts';

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Shared by all requests of a port. */
export interface UwsPort {
  readonly service: Service;
  readonly connections: UwsConnections;
  readonly turns: RequestTurns;
  readonly unread: UnreadAnswers;
}

/** The response to one request. It may be written once, and not after its abort. */
export class Exchange<Attached> {
  readonly #port: UwsPort;
  readonly #response: UwsResponse<Attached>;
  #counted: CountedRequest | undefined;
  /** The client, as its unread answers are counted. */
  #group = '';
  /** Ends the count of an answer that waits for its client. */
  #endWait: (() => void) | undefined;
  /** Called when a part that waited for the client may be followed by the next one, or the client is gone. */
  #endPart: () => void = () => undefined;
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
      this.#counted?.end(false);
      this.#endWait?.();
      this.#endPart();
      port.turns.forget(this);
    });
  }

  /** Counts the request. @returns false if it has already been answered, because its connection exceeds a limit. */
  begin(head: RequestHead): boolean {
    this.#group = this.#port.service.connections.groupOf(head.remoteAddress);
    this.#counted = this.#port.connections.beginRequest(head.remoteAddress);
    if (this.#counted.exceededLimit === undefined) return true;
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
    const answer = this.#port.service.http({ ...head, body, exceededLimit: this.#counted?.exceededLimit });
    if (!(answer instanceof Promise)) {
      this.#resume();
      this.#reply(head.method, answer);
      return;
    }
    // A second request would cut the connection while this one waits, so it is left in the kernel. One in the same
    // packet still cuts it, unless the answer needs only microtasks.
    this.#pause();
    void answer.then((reply) => {
      if (!this.#isOpen) {
        reply.rest?.close();
        return;
      }
      if (!this.#isLast && reply.rest === undefined) this.#resume();
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
    if (reply.rest !== undefined) {
      this.#replyInParts(method, reply, reply.rest);
      return;
    }
    if (this.#isLast) {
      this.#replyLast(method, reply);
      return;
    }
    this.#isOpen = false;
    this.#response.cork(() => {
      writeReply(this.#response, method, reply, this.#waitForClient);
    });
    if (this.#endWait === undefined) this.#counted?.end(true);
  }

  /**
   * Counts an answer that the kernel has not accepted as a whole, until it has. Its request is under way until then.
   * @returns what ends that.
   */
  readonly #waitForClient = (bytes: number): (() => void) => {
    let isOver = false;
    // In a turn of its own, that of a timer (see `#replyLast`): the limit may be exceeded within the parser of any
    // connection.
    const cut = (): void => {
      setTimeout(() => {
        if (!isOver) this.#response.close();
      }, 0);
    };
    const end = this.#port.unread.hold(this.#group, bytes, cut);
    return (this.#endWait = () => {
      isOver = true;
      end();
      this.#counted?.end(!this.#isLast);
    });
  };

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
      this.#counted?.end(false);
      this.#response.cork(() => {
        writeLastReply(this.#response, method, reply, {
          isReadNoMore: this.#isReadNoMore,
          waitForClient: this.#waitForClient,
        });
      });
    }, 0);
  }

  /**
   * Writes an answer in chunks. The client closes, as after a large last answer. Begins and ends in turns of a timer (see
   * `#replyLast`). A write that does not fit resumes reading, and uWebSockets.js never reports the socket as writable if
   * reading is paused again. So a request that arrives behind this one meanwhile cuts the connection.
   */
  #replyInParts(method: string, reply: HttpReply, rest: BodyRest): void {
    this.#isLast = true;
    const response = this.#response;
    const end = (write: () => void): void => {
      this.#isOpen = false;
      this.#counted?.end(false);
      response.cork(write);
    };
    response.pause();
    setTimeout(() => {
      if (this.#isOpen) response.cork(() => writeStreamHead(response, reply));
      // One handler for all parts: a handler that is replaced while it runs stays in effect.
      if (this.#isOpen) response.onWritable(() => this.#partIsRead());
      if (this.#isOpen && method === 'HEAD') end(() => response.endWithoutBody());
      void writeInParts(String(reply.body), rest, {
        isOpen: () => this.#isOpen,
        write: (part) => this.#writePart(part),
        end: () => this.#later(() => end(() => response.end('', false))),
        cut: () => this.#later(() => this.#cut()),
      });
    }, 0);
  }

  #writePart(part: string): Promise<void> | undefined {
    const response = this.#response;
    let isWritten = true as boolean;
    response.cork(() => {
      isWritten = response.write(part);
    });
    if (isWritten) return undefined;
    return new Promise((resolve) => {
      const cut = (): void => this.#later(() => this.#cut());
      const endHold = this.#port.unread.hold(this.#group, Buffer.byteLength(part), cut);
      this.#endPart = () => {
        endHold();
        resolve();
      };
    });
  }

  #partIsRead(): true {
    this.#endPart();
    return true;
  }

  /** Runs in a turn of a timer if the client is still there. */
  #later(run: () => void): void {
    setTimeout(() => {
      if (this.#isOpen) run();
    }, 0);
  }
}

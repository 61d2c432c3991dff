/**
 * A connection as Node's HTTP server sees it: delivers the received bytes in slices and tracks the connection's
 * answers.
 *
 * Node's parser cannot be stopped within the bytes that it was given, and Node reads 64 KiB at a time, which can be
 * 1,700 requests. So the parser gets a slice at a time, in turns with all other connections of the port, and nothing
 * more while an answer is still to be written. Node does not get the connection itself, because it would resume it for
 * each request.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket as Wire } from 'node:net';
import { Duplex } from 'node:stream';
import type { RequestTurns } from './request-turns.ts';

/** Fits a usual request as a whole, but only about thirty of the smallest, which take half a millisecond. */
const SLICE_BYTES = 1_024;
/** Maximum requests of a connection that wait for their answers. More of them cut it. */
const MAX_WAITING_ANSWERS = 100;
/** No further request is answered while this many bytes wait to be written: the largest answer, but only one. */
const MAX_WAITING_ANSWER_BYTES = 1024 * 1024;
/** Maximum bytes read after a last answer. */
const MAX_DISCARDED_BYTES = 2 * 1024 * 1024;

type Done = (error?: Error | null) => void;

export class HttpStream extends Duplex {
  readonly wire: Wire;
  /** A response may be under way, so nothing else may be written. */
  hasResponse = false;
  /** The client said that nothing follows. Further requests are not served. */
  isLastAsked = false;
  /** The last answer is decided. Nothing that arrives later is answered or has an effect. */
  isLeaving = false;
  readonly #turns: RequestTurns;
  /** Bytes that arrived and have not been delivered yet. */
  #rest: Buffer | undefined;
  #hasEnded = false;
  #isStopped = false;
  #isReleased = false;
  /** Node can take more bytes. */
  #isWanted = false;
  #isQueued = false;
  /** Requests whose answers are not written yet, in order, each with the size of its answer. */
  readonly #waiting = new Map<IncomingMessage, number>();
  #waitingBytes = 0;
  #discardedBytes = 0;
  #afterAnswers: (() => void) | undefined;

  /** `first` is delivered before all further bytes. */
  constructor(wire: Wire, turns: RequestTurns, first?: Buffer) {
    super();
    this.wire = wire;
    this.#turns = turns;
    this.#rest = first;
    wire.on('data', this.#onData);
    wire.on('end', this.#onEnd);
    wire.on('close', this.#onClose);
    wire.on('timeout', this.#onTimeout);
    wire.on('error', noop);
  }

  /**
   * Takes the connection back, paused. Returns the bytes that arrived and were not delivered. Call it only after Node
   * has released the connection and all answers are written.
   */
  release(): Buffer {
    this.#isReleased = true;
    const { wire } = this;
    wire.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose).off('timeout', this.#onTimeout);
    wire.pause();
    wire.setTimeout(0);
    const buffered = this.read() as Buffer | null;
    return Buffer.concat([buffered ?? NO_BYTES, this.#rest ?? NO_BYTES]);
  }

  /** Stops delivering bytes. */
  stopReading(): void {
    this.#isStopped = true;
  }

  /** Counts a request. @returns false if too many answers wait already. */
  begin(request: IncomingMessage, response: ServerResponse): boolean {
    if (this.#waiting.size >= MAX_WAITING_ANSWERS || this.#waitingBytes >= MAX_WAITING_ANSWER_BYTES) return false;
    this.#waiting.set(request, 0);
    response.once('close', () => {
      this.#waitingBytes -= this.#waiting.get(request) ?? 0;
      this.#waiting.delete(request);
      if (this.#waiting.size === 0) this.#afterAnswers?.();
      this.#continueReading();
    });
    return true;
  }

  /** Counts the size of an answer that waits to be written. */
  countAnswer(request: IncomingMessage, bytes: number): void {
    if (!this.#waiting.has(request)) return;
    this.#waiting.set(request, bytes);
    this.#waitingBytes += bytes;
  }

  /** Calls back once every answer has been written, possibly at once; never if the connection ends before that. */
  afterAnswers(run: () => void): void {
    if (this.#waiting.size === 0) run();
    else this.#afterAnswers = run;
  }

  /** Node's HTTP server expects this method of a socket. */
  setTimeout(ms: number): this {
    this.wire.setTimeout(ms);
    return this;
  }

  /** Node's HTTP server expects this method of a socket. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  override _read(): void {
    this.#isWanted = true;
    this.#continueReading();
  }

  override _write(chunk: Buffer | string, encoding: BufferEncoding, done: Done): void {
    this.wire.write(chunk, encoding, done);
  }

  override _writev(chunks: { chunk: Buffer | string; encoding: BufferEncoding }[], done: Done): void {
    this.wire.cork();
    for (const { chunk, encoding } of chunks.slice(0, -1)) this.wire.write(chunk, encoding);
    const last = chunks.at(-1);
    if (last === undefined) done();
    else this.wire.write(last.chunk, last.encoding, done);
    this.wire.uncork();
  }

  override _final(done: Done): void {
    this.wire.end(() => done());
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#rest = undefined;
    if (!this.#isReleased) this.wire.destroy();
    done(error);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.isLeaving) {
      this.#discard(chunk.length);
      return;
    }
    this.#rest = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#continueReading();
    if (this.#hasRest) this.wire.pause();
  };

  /**
   * Discards bytes after the last answer, up to a limit: closing at once might keep the client from reading the answer.
   */
  #discard(bytes: number): void {
    this.#discardedBytes += bytes;
    if (this.#discardedBytes > MAX_DISCARDED_BYTES) this.wire.pause();
  }

  readonly #onEnd = (): void => {
    this.#hasEnded = true;
    this.#continueReading();
  };

  readonly #onClose = (): void => {
    this.destroy();
  };

  readonly #onTimeout = (): void => {
    this.emit('timeout');
  };

  get #hasRest(): boolean {
    return this.#rest !== undefined;
  }

  /** A request that has arrived completely must be answered first. */
  get #mustWait(): boolean {
    const [first] = this.#waiting.keys();
    return first?.complete === true;
  }

  #continueReading(): void {
    if (this.#isStopped || this.#isQueued || !this.#isWanted || this.#mustWait) return;
    if (this.#hasRest) {
      this.#isQueued = true;
      this.#turns.run(this, this.#handOver);
    } else if (this.#hasEnded) {
      this.push(null);
    } else {
      this.wire.resume();
    }
  }

  readonly #handOver = (): void => {
    this.#isQueued = false;
    const rest = this.#rest;
    if (rest === undefined || this.destroyed) return;
    this.#rest = rest.length > SLICE_BYTES ? rest.subarray(SLICE_BYTES) : undefined;
    this.#isWanted = false;
    this.push(rest.subarray(0, SLICE_BYTES));
  };
}

const NO_BYTES = Buffer.alloc(0);

/** A reset is an ordinary end, and 'close' follows it. */
function noop(): void {
  return;
}

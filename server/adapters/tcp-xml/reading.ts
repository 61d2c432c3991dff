/**
 * How a connection's bytes become frames, at the pace that is allowed: over the rate, or while it is held, the socket is
 * read later, and nothing of it is lost. Knows when a frame was begun, so that one that never ends can be told. Decides neither what a frame
 * means nor when a connection ends. Owned by a connection, which looks at it when `dueAt` says so.
 */
import type { Socket } from 'node:net';
import { TokenBucket, type Rate } from '../../lib/token-bucket.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Encoding, FrameEncoding } from './charset.ts';
import { Framer } from './framer.ts';

interface ReadingOptions {
  readonly socket: Socket;
  readonly clock: Clock;
  readonly encoding: Encoding;
  readonly rate: Rate;
  /** How long a frame that has begun may take. */
  readonly frameMs: number;
  /** However far over the rate, or held: the leases of those on the connection go on meanwhile. */
  readonly maxPauseMs: number;
  readonly onFrame: (frame: Buffer, seen: FrameEncoding, monoMs: number) => void;
  readonly onTooLarge: () => void;
  /** The socket is not read for a while; frames may wait in it. */
  readonly onPause: (monoMs: number) => void;
  /** It is for the rate that it is not. */
  readonly onOver: () => void;
}

export class Reading {
  readonly #options: ReadingOptions;
  readonly #framer: Framer;
  readonly #bucket: TokenBucket;
  readonly #onFrame: (frame: Buffer, seen: FrameEncoding) => void;
  #rate: Rate;
  #isPaused = false;
  /** What a pause waits for: the rate, and what it is held for. */
  #overUntil = 0;
  #heldUntil = 0;
  #begunAt = Infinity;
  #isOver = false;

  constructor(options: ReadingOptions) {
    this.#options = options;
    this.#framer = new Framer(options.encoding);
    this.#rate = options.rate;
    this.#bucket = new TokenBucket(options.rate, options.clock.now().monoMs);
    // One function a connection, not one a packet.
    this.#onFrame = (frame, seen) => this.#takeFrame(frame, seen);
  }

  get seen(): FrameEncoding {
    return this.#framer.seen;
  }

  /** When `look` has something to do; Infinity for never. */
  get dueAt(): number {
    const resumesAt = this.#isPaused ? Math.max(this.#overUntil, this.#heldUntil) : Infinity;
    return Math.min(resumesAt, this.#begunAt + this.#options.frameMs);
  }

  /** So many times the rate of one user. */
  allowFor(users: number): void {
    const { perS, burst } = this.#options.rate;
    const factor = Math.max(1, users);
    this.#rate = { perS: factor * perS, burst: factor * burst };
  }

  take(chunk: Buffer): void {
    const result = this.#isOver ? 'ok' : this.#framer.push(chunk, this.#onFrame);
    if (this.#isOver) return;
    if (result === 'too_large') {
      this.#options.onTooLarge();
    } else if (result !== 'ok') {
      // Back to where it came from: there the end of stream waits for it, too.
      if (result.length > 0) this.#options.socket.unshift(result);
    } else if (!this.#framer.isInFrame) {
      this.#begunAt = Infinity;
    } else if (this.#begunAt === Infinity) {
      this.#begunAt = this.#options.clock.now().monoMs;
    }
  }

  /** Reads on where a pause is over. @returns whether a frame has been under way for too long. */
  look(monoMs: number): boolean {
    this.#resumeAt(monoMs);
    return monoMs >= this.#begunAt + this.#options.frameMs;
  }

  /** Reads no further until it is released, or for as long as a pause may last. */
  hold(monoMs: number): void {
    this.#heldUntil = monoMs + this.#options.maxPauseMs;
    this.#pause(monoMs);
  }

  release(): void {
    if (this.#heldUntil === 0) return;
    this.#heldUntil = 0;
    this.#resumeAt(this.#options.clock.now().monoMs);
  }

  /** The connection is over: what is left of the bytes is nobody's any more. */
  stop(): void {
    this.#isOver = true;
    this.#framer.stop();
    this.#isPaused = false;
    this.#begunAt = Infinity;
  }

  #takeFrame(frame: Buffer, seen: FrameEncoding): void {
    const { monoMs } = this.#options.clock.now();
    this.#begunAt = Infinity;
    this.#options.onFrame(frame, seen, monoMs);
    if (this.#isOver || this.#bucket.take(this.#rate, monoMs) === 'within') return;
    this.#overUntil = monoMs + Math.min(this.#bucket.waitMs(this.#rate), this.#options.maxPauseMs);
    this.#pause(monoMs);
    this.#options.onOver();
  }

  #pause(monoMs: number): void {
    this.#framer.stop();
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#options.socket.pause();
    this.#options.onPause(monoMs);
  }

  #resumeAt(monoMs: number): void {
    if (!this.#isPaused || monoMs < this.#overUntil || monoMs < this.#heldUntil) return;
    this.#isPaused = false;
    this.#heldUntil = 0;
    this.#options.socket.resume();
  }
}

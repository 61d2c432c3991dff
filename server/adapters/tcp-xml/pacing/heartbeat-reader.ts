/**
 * Turns a connection's bytes into frames at the allowed rate. Reading pauses while the connection is over its rate,
 * held, or queued behind others. No bytes are lost by a pause. Records when a frame began, so that one that never ends
 * can be detected. Decides neither what a frame means nor when the connection ends. `tick` must be called at `dueAt`.
 */
import type { Socket } from 'node:net';
import { TokenBucket, type Rate } from '../../../lib/time/token-bucket.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import type { Encoding, FrameEncoding } from '../frames/charset.ts';
import { Framer } from '../frames/framer.ts';
import { ReadPauses } from './read-pauses.ts';
import type { InLine, FairQueue } from '../../../lib/collections/fair-queue.ts';

/** A frame is charged once for each piece of this size. The largest possible cost is a hundred times the usual one. */
const FRAME_BYTES = 512;

/**
 * Charge in bytes for a packet that completes no frame: a fourth of a frame. A client that writes byte by byte can
 * afford it.
 */
const CRUMB_BYTES = 128;
/** From this size on, pending bytes may take milliseconds to read, so they wait for their turn. */
const DEAR_BYTES = 2048;
/** If this many bytes arrive at once, more may wait in the kernel: TLS delivers no more than this at a time. */
const LARGE_BYTES = 16_384;
interface ReadingOptions {
  readonly socket: Socket;
  readonly clock: Clock;
  readonly encoding: Encoding;
  readonly rate: Rate;
  readonly turns: FairQueue;
  /** Maximum time from the beginning of a frame to its end. */
  readonly frameMs: number;
  /** Lease of the sessions that depend on these frames. */
  readonly leaseMs: number;
  /** Maximum length of a pause, however far the connection is over its rate, and even if it is held. */
  readonly maxPauseMs: number;
  readonly onFrame: (frame: Buffer, seen: FrameEncoding, monoMs: number) => void;
  /** The bytes that a pause held back must be taken now. */
  readonly onRest: (rest: Buffer) => void;
  readonly onTooLarge: () => void;
  /** The peer exceeded its rate, so reading has paused. */
  readonly onOver: () => void;
}

export class HeartbeatReader implements InLine {
  readonly #options: ReadingOptions;
  readonly #framer: Framer;
  readonly #bucket: TokenBucket;
  readonly #onFrame: (frame: Buffer, seen: FrameEncoding) => void;
  #rate: Rate;
  readonly #pauses: ReadPauses;
  /** Monotonic times that a pause waits for: the rate allows more, the hold ends. */
  #overUntil = 0;
  #heldUntil = 0;
  #isInLine = false;
  /** The queue called this connection, so it must take a frame before it is queued again. */
  #isItsTurn = false;
  /** Bytes that arrived before a pause and have not been read. */
  #rest: Buffer | null = null;
  /** Cost of the current chunk so far. */
  #inARow = 0;
  /** Bytes outside of frames that have not been charged yet. */
  #looseBytes = 0;
  #mustGetInLine = false;
  #begunAt = Infinity;
  #isOver = false;

  constructor(options: ReadingOptions) {
    this.#options = options;
    this.#framer = new Framer(options.encoding);
    this.#rate = options.rate;
    // Clients send about three heartbeats per lease.
    this.#pauses = new ReadPauses(options.leaseMs / 2);
    this.#bucket = new TokenBucket(options.rate, options.clock.now().monoMs);
    // One function for each connection instead of one for each packet.
    this.#onFrame = (frame, seen) => this.#takeFrame(frame, seen);
  }

  get seen(): FrameEncoding {
    return this.#framer.seen;
  }

  /** The beginning of the frame that was too large. */
  get oversize(): string {
    return this.#framer.oversize;
  }

  /** Total time that the socket was not read. Received frames may have waited in it for that long. */
  get pausedMs(): number {
    return this.#pauses.isPaused ? this.#pauses.totalMs(this.#options.clock.now().monoMs) : this.#pauses.totalMs(0);
  }

  /** The part of `pausedMs` that has been made up for. */
  get madeUpMs(): number {
    const { clock, turns } = this.#options;
    return this.#pauses.madeUpMs(clock.now().monoMs, turns.looks);
  }

  /** Monotonic time when `tick` has something to do; Infinity for never. */
  get dueAt(): number {
    return Math.min(this.#pauseDueAt, this.#begunAt + this.#options.frameMs);
  }

  /** Sets the rate to that of one user multiplied by the number of users. */
  allowFor(users: number): void {
    const { perS, burst } = this.#options.rate;
    const factor = Math.max(1, users);
    this.#rate = { perS: factor * perS, burst: factor * burst };
  }

  take(chunk: Buffer): void {
    this.#inARow = 0;
    if (this.#waitsItsTurn(chunk)) return;
    const result = this.#isOver ? 'ok' : this.#framer.push(chunk, this.#onFrame);
    if (this.#isOver) return;
    const isLooseTooMuch = this.#payForLoose(this.#inARow === 0 ? CRUMB_BYTES : 0);
    if (result === 'too_large') {
      this.#options.onTooLarge();
    } else if (result !== 'ok') {
      this.#keep(result);
    } else if (!this.#framer.isInFrame) {
      this.#begunAt = Infinity;
    } else if (this.#begunAt === Infinity) {
      this.#begunAt = this.#options.clock.now().monoMs;
    }
    if (isLooseTooMuch && !this.#isPaused) this.#getInLine();
  }

  /** Records bytes that arrived at once. Must be called before the bytes are taken. */
  arrived(bytes: number): void {
    const { clock, turns } = this.#options;
    this.#pauses.heard(bytes);
    if (bytes >= LARGE_BYTES) this.#pauses.stillBehind(clock.now().monoMs, turns.looks);
  }

  /** Charges the loop turn for more than the size of the current frame. For use within `onFrame`. */
  burden(cost: number): void {
    this.#inARow += cost;
    this.#options.turns.burden(cost);
  }

  /** Charges the connection more than its frames cost. It pays before the next frames are read. */
  owe(cost: number, monoMs: number): void {
    this.#bucket.take(this.#rate, monoMs, cost);
  }

  /** No bytes are pending and reading is not paused: the next byte is between frames or begins one. */
  get isAtRest(): boolean {
    return !this.#isPaused && !this.#isOver && this.#framer.isAtRest;
  }

  /**
   * Charges for that many identical frames of `frameBytes` each that arrived in `bytes` bytes, including what separates
   * them. Returns false, and charges nothing, if they must be taken one by one.
   */
  takeAll(frames: number, frameBytes: number, bytes: number, monoMs: number): boolean {
    const { turns } = this.#options;
    const between = Math.floor((bytes - frames * frameBytes) / FRAME_BYTES);
    const cost = frames * Math.ceil(frameBytes / FRAME_BYTES) + between;
    if (turns.isOver(frames) || !this.#bucket.takeWithin(this.#rate, monoMs, cost)) return false;
    turns.take(frames, cost);
    return true;
  }

  /** Resumes reading if a pause is over. @returns whether a frame is taking too long. */
  tick(monoMs: number): boolean {
    this.#resumeAt(monoMs);
    return monoMs >= this.#begunAt + this.#options.frameMs;
  }

  /** Stops reading until `release`, or until the maximum pause has passed. For use within `onFrame`. */
  hold(monoMs: number): void {
    this.#heldUntil = monoMs + this.#options.maxPauseMs;
    this.#framer.stop();
    this.#pause(monoMs);
  }

  release(): void {
    if (this.#heldUntil === 0) return;
    this.#heldUntil = 0;
    this.#resumeAt(this.#options.clock.now().monoMs);
  }

  /** Runs when the connection is first in the queue. */
  goOn(): void {
    this.#isInLine = false;
    this.#isItsTurn = true;
    this.#resumeAt(this.#options.clock.now().monoMs);
    this.#isItsTurn = false;
  }

  /** Stops for good. The remaining bytes are dropped. */
  stop(): void {
    this.#isOver = true;
    this.#rest = null;
    this.#framer.stop();
    if (this.#isPaused) this.#pauses.end(this.#options.clock.now().monoMs, this.#options.turns.looks);
    this.#isInLine = false;
    this.#options.turns.leave(this);
    this.#begunAt = Infinity;
  }

  get #isPaused(): boolean {
    return this.#pauses.isPaused;
  }

  /** Infinity while queued, because the queue calls the connection. */
  get #pauseDueAt(): number {
    if (!this.#isPaused || this.#isInLine) return Infinity;
    return Math.max(this.#overUntil, this.#heldUntil);
  }

  #takeFrame(frame: Buffer, seen: FrameEncoding): void {
    const { monoMs } = this.#options.clock.now();
    this.#begunAt = Infinity;
    this.#options.onFrame(frame, seen, monoMs);
    const cost = Math.ceil(frame.length / FRAME_BYTES);
    this.#inARow += cost;
    if (this.#pay(cost, monoMs)) this.#framer.stop();
  }

  /** @returns whether to stop reading now. */
  #pay(cost: number, monoMs: number): boolean {
    const isTurnOver = this.#options.turns.take(this.#inARow, cost);
    if (this.#isOver) return false;
    if (this.#bucket.take(this.#rate, monoMs, cost) === 'within') {
      if (!isTurnOver || this.#isPaused) return false;
      this.#mustGetInLine = true;
      return true;
    }
    this.#overUntil = monoMs + Math.min(this.#bucket.waitMs(this.#rate), this.#options.maxPauseMs);
    this.#pause(monoMs);
    this.#options.onOver();
    return true;
  }

  /** If the turn is used up, a large chunk is not even begun, because a hundred connections may bring one each. */
  #waitsItsTurn(chunk: Buffer): boolean {
    if (this.#isOver || this.#isPaused || this.#isItsTurn) return false;
    if (this.#framer.heldBytes + chunk.length < DEAR_BYTES) return false;
    if (!this.#options.turns.isUsedUp) return false;
    this.#rest = Buffer.from(chunk);
    this.#getInLine();
    return true;
  }

  /** Charges for white space and for bytes that complete no frame: they mean nothing but must be read. */
  #payForLoose(crumbs: number): boolean {
    this.#looseBytes += this.#framer.takeSkipped() + crumbs;
    if (this.#looseBytes < FRAME_BYTES) return false;
    const cost = Math.floor(this.#looseBytes / FRAME_BYTES);
    this.#looseBytes %= FRAME_BYTES;
    const { monoMs } = this.#options.clock.now();
    this.#inARow += cost;
    return this.#pay(cost, monoMs);
  }

  /** Keeps a copy, because the next packet reuses the memory. */
  #keep(rest: Buffer): void {
    const mustGetInLine = this.#mustGetInLine;
    this.#mustGetInLine = false;
    if (rest.length === 0) return;
    this.#rest = Buffer.from(rest);
    if (mustGetInLine && !this.#isPaused) this.#getInLine();
  }

  #getInLine(): void {
    this.#isInLine = true;
    this.#options.turns.getInLine(this);
    this.#pause(this.#options.clock.now().monoMs);
  }

  #pause(monoMs: number): void {
    if (this.#isPaused) return;
    this.#pauses.begin(monoMs, this.#options.turns.looks);
    this.#options.socket.pause();
  }

  /** Resumes reading unless the bytes held back caused another pause or the end. */
  #readOn(): void {
    if (!this.#isPaused && !this.#isOver) this.#options.socket.resume();
  }

  #resumeAt(monoMs: number): void {
    if (!this.#isPaused || this.#isInLine || monoMs < this.#overUntil || monoMs < this.#heldUntil) return;
    this.#pauses.end(monoMs, this.#options.turns.looks);
    this.#heldUntil = 0;
    const rest = this.#rest;
    this.#rest = null;
    if (rest !== null) {
      this.#pauses.heard(-rest.length); // counted on arrival
      this.#options.onRest(rest);
    }
    this.#readOn();
  }
}

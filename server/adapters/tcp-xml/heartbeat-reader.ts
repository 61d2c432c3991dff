/**
 * How a connection's bytes become frames, at the pace that is allowed: over the rate, while it is held, or while it stands
 * in line behind others, the socket is read later, and nothing of it is lost. Knows when a frame was begun, so that one
 * that never ends can be told. Decides neither what a frame means nor when a connection ends. Owned by a connection, which
 * looks at it when `dueAt` says so.
 */
import type { Socket } from 'node:net';
import { TokenBucket, type Rate } from '../../lib/token-bucket.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Encoding, FrameEncoding } from './charset.ts';
import { Framer } from './framer.ts';
import { ReadPauses } from './read-pauses.ts';
import type { InLine, FairQueue } from '../../lib/fair-queue.ts';

/** A frame counts once for each such piece of it: the largest cost a hundred times what a usual one does. */
const FRAME_BYTES = 512;

/** What a packet costs that ends no frame, in bytes: a fourth of a frame. A client that writes byte by byte affords it. */
const CRUMB_BYTES = 128;
/** From here on what waits may take milliseconds to read, so that it waits its turn. */
const DEAR_BYTES = 2048;
/** So much at once may be a part of what waits in the kernel: TLS hands out no more at a time. */
const LARGE_BYTES = 16_384;
interface ReadingOptions {
  readonly socket: Socket;
  readonly clock: Clock;
  readonly encoding: Encoding;
  readonly rate: Rate;
  readonly turns: FairQueue;
  /** How long a frame that has begun may take. */
  readonly frameMs: number;
  /** Of the sessions that hang on what is read. */
  readonly leaseMs: number;
  /** However far over the rate, or held. */
  readonly maxPauseMs: number;
  readonly onFrame: (frame: Buffer, seen: FrameEncoding, monoMs: number) => void;
  /** What a pause held back is to be taken now. */
  readonly onRest: (rest: Buffer) => void;
  readonly onTooLarge: () => void;
  /** It is for the rate that it is not. */
  readonly onOver: () => void;
}

export class HeartbeatReader implements InLine {
  readonly #options: ReadingOptions;
  readonly #framer: Framer;
  readonly #bucket: TokenBucket;
  readonly #onFrame: (frame: Buffer, seen: FrameEncoding) => void;
  #rate: Rate;
  readonly #pauses: ReadPauses;
  /** What a pause waits for: the rate, and what it is held for. */
  #overUntil = 0;
  #heldUntil = 0;
  #isInLine = false;
  /** It was called: it may not be sent back before it has taken a frame. */
  #isItsTurn = false;
  /** What came before a pause and was not heard. */
  #rest: Buffer | null = null;
  /** What the chunk in hand has cost. */
  #inARow = 0;
  /** Bytes to be paid for that belong to no frame. */
  #looseBytes = 0;
  #mustGetInLine = false;
  #begunAt = Infinity;
  #isOver = false;

  constructor(options: ReadingOptions) {
    this.#options = options;
    this.#framer = new Framer(options.encoding);
    this.#rate = options.rate;
    // Clients beat three times a lease.
    this.#pauses = new ReadPauses(options.leaseMs / 2);
    this.#bucket = new TokenBucket(options.rate, options.clock.now().monoMs);
    // One function a connection, not one a packet.
    this.#onFrame = (frame, seen) => this.#takeFrame(frame, seen);
  }

  get seen(): FrameEncoding {
    return this.#framer.seen;
  }

  /** How the frame began that was too large. */
  get oversize(): string {
    return this.#framer.oversize;
  }

  /** How long the socket was not read, from the start until now: what was sent may have waited in it for so long. */
  get pausedMs(): number {
    return this.#pauses.isPaused ? this.#pauses.totalMs(this.#options.clock.now().monoMs) : this.#pauses.totalMs(0);
  }

  /** So much of it is made up for. */
  get madeUpMs(): number {
    const { clock, turns } = this.#options;
    return this.#pauses.madeUpMs(clock.now().monoMs, turns.looks);
  }

  /** When `look` has something to do; Infinity for never. */
  get dueAt(): number {
    return Math.min(this.#pauseDueAt, this.#begunAt + this.#options.frameMs);
  }

  /** So many times the rate of one user. */
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

  /** So many bytes came at once. To be told before they are taken, in whatever way. */
  arrived(bytes: number): void {
    const { clock, turns } = this.#options;
    this.#pauses.heard(bytes);
    if (bytes >= LARGE_BYTES) this.#pauses.stillBehind(clock.now().monoMs, turns.looks);
  }

  /** From within `onFrame`: the frame costs the turn more than its size tells, now or a moment later. */
  burden(cost: number): void {
    this.#inARow += cost;
    this.#options.turns.burden(cost);
  }

  /** The connection has cost so much more than its frames did, and waits for it before what comes next. */
  owe(cost: number, monoMs: number): void {
    this.#bucket.take(this.#rate, monoMs, cost);
  }

  /** Between frames, and nothing waits: what comes next is a frame's beginning. */
  get isAtRest(): boolean {
    return !this.#isPaused && !this.#isOver && this.#framer.isAtRest;
  }

  /**
   * That many frames of `frameBytes` each came at once, in `bytes` with what stands around them. Returns false, and
   * counts nothing, if they must be taken one by one.
   */
  takeAll(frames: number, frameBytes: number, bytes: number, monoMs: number): boolean {
    const { turns } = this.#options;
    const between = Math.floor((bytes - frames * frameBytes) / FRAME_BYTES);
    const cost = frames * Math.ceil(frameBytes / FRAME_BYTES) + between;
    if (turns.isOver(frames) || !this.#bucket.takeWithin(this.#rate, monoMs, cost)) return false;
    turns.take(frames, cost);
    return true;
  }

  /** Reads on where a pause is over. @returns whether a frame has been under way for too long. */
  tick(monoMs: number): boolean {
    this.#resumeAt(monoMs);
    return monoMs >= this.#begunAt + this.#options.frameMs;
  }

  /** From within `onFrame`: reads no further until it is released, or for as long as a pause may last. */
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

  /** It was first in line. */
  goOn(): void {
    this.#isInLine = false;
    this.#isItsTurn = true;
    this.#resumeAt(this.#options.clock.now().monoMs);
    this.#isItsTurn = false;
  }

  /** The connection is over: what is left of the bytes is nobody's any more. */
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

  /** Whoever stands in line is called. */
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

  /** @returns whether to read no further now. */
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

  /** Where the turn is used up, a large chunk is not even begun: a hundred connections bring one each. */
  #waitsItsTurn(chunk: Buffer): boolean {
    if (this.#isOver || this.#isPaused || this.#isItsTurn) return false;
    if (this.#framer.heldBytes + chunk.length < DEAR_BYTES) return false;
    if (!this.#options.turns.isUsedUp) return false;
    this.#rest = Buffer.from(chunk);
    this.#getInLine();
    return true;
  }

  /** White space and bytes that end no frame mean nothing, and have to be read all the same. */
  #payForLoose(crumbs: number): boolean {
    this.#looseBytes += this.#framer.takeSkipped() + crumbs;
    if (this.#looseBytes < FRAME_BYTES) return false;
    const cost = Math.floor(this.#looseBytes / FRAME_BYTES);
    this.#looseBytes %= FRAME_BYTES;
    const { monoMs } = this.#options.clock.now();
    this.#inARow += cost;
    return this.#pay(cost, monoMs);
  }

  /** A copy: the packet's memory is the next one's. */
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

  /** Unless what was held back made for another pause, or the end. */
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
      this.#pauses.heard(-rest.length); // counted when it came
      this.#options.onRest(rest);
    }
    this.#readOn();
  }
}

/**
 * Decides when a connection is read. Reading pauses while the peer is over its rate, while too many of its tokens are
 * being verified, and while other connections of the port come first. Pauses and resumes the socket, and records for
 * how long. Knows costs and times, but no bytes. `tick` must be called at `dueAt`.
 */
import type { Socket } from 'node:net';
import { TokenBucket, type Rate } from '../../../lib/time/token-bucket.ts';
import type { FairQueue, Queued } from '../../../lib/collections/fair-queue.ts';
import type { TcpXmlOptions } from '../options.ts';
import { ReadPauses } from './read-pauses.ts';

/** If this many bytes arrive at once, more may wait in the kernel: TLS delivers no more than this at a time. */
const LARGE_BYTES = 16_384;
/** A pause lasts at most a lease divided by this number. */
const PAUSES_A_LEASE = 4;

/** All times are monotonic. */
type ReadState =
  | { readonly kind: 'reading' }
  | { readonly kind: 'paused'; readonly until: number; readonly reason: 'rate' | 'tokens' }
  /** Waits for other connections. The queue resumes reading. */
  | { readonly kind: 'queued' }
  | { readonly kind: 'stopped' };

/**
 * What follows from the cost of a frame: the next one may be read, reading is paused, or the connection must queue
 * before its next frame.
 */
export type Charged = 'within' | 'paused' | 'turn over';

const READING: ReadState = { kind: 'reading' };
const QUEUED: ReadState = { kind: 'queued' };
const STOPPED: ReadState = { kind: 'stopped' };

export class ReadControl implements Queued {
  readonly #context: TcpXmlOptions;
  readonly #socket: Socket;
  readonly #queue: FairQueue;
  /** Longest pause, however far the connection is over its rate, and even if tokens are still verified. */
  readonly #maxPauseMs: number;
  /** Reads the bytes that a pause held back. `isItsTurn`: the queue called, so something must be read. */
  readonly #onResume: (isItsTurn: boolean) => void;
  readonly #bucket: TokenBucket;
  readonly #pauses: ReadPauses;
  #state: ReadState = READING;
  #rate: Rate;
  /** When the rate allows the next frame. Unless it has passed, it outlasts a pause for tokens. */
  #rateUntil = 0;
  /** When the limit of token verifications was reached. Null if it is not reached. */
  #tokensFullSince: number | null = null;
  /** Cost of the current chunk so far. */
  #chunkCost = 0;

  constructor(context: TcpXmlOptions, socket: Socket, queue: FairQueue, onResume: (isItsTurn: boolean) => void) {
    this.#context = context;
    this.#socket = socket;
    this.#queue = queue;
    this.#onResume = onResume;
    this.#maxPauseMs = context.timeoutMs / PAUSES_A_LEASE;
    this.#rate = context.messages;
    // Clients send about three heartbeats per lease.
    this.#pauses = new ReadPauses(context.timeoutMs / 2);
    this.#bucket = new TokenBucket(this.#rate, this.#nowMs());
  }

  get isReading(): boolean {
    return this.#state.kind === 'reading';
  }

  get isStopped(): boolean {
    return this.#state.kind === 'stopped';
  }

  /** The loop turn has no more time for frames. */
  get isTurnUsedUp(): boolean {
    return this.#queue.isUsedUp;
  }

  /** Total time that the socket was not read. Received frames may have waited in it for that long. */
  get pausedMs(): number {
    return this.#pauses.isPaused ? this.#pauses.totalMs(this.#nowMs()) : this.#pauses.totalMs(0);
  }

  /** The part of `pausedMs` that has been made up for. */
  get madeUpMs(): number {
    return this.#pauses.madeUpMs(this.#nowMs(), this.#queue.tickNo);
  }

  /** When `tick` has something to do; Infinity for never. */
  get dueAt(): number {
    return this.#state.kind === 'paused' ? this.#state.until : Infinity;
  }

  /** Sets the rate to that of one user multiplied by the number of users. */
  allowFor(users: number): void {
    const { perS, burst } = this.#context.messages;
    const factor = Math.max(1, users);
    this.#rate = { perS: factor * perS, burst: factor * burst };
  }

  /** Records bytes that arrived at once. */
  arrived(bytes: number): void {
    this.#pauses.received(bytes);
    if (bytes >= LARGE_BYTES) this.#pauses.stillBehind(this.#nowMs(), this.#queue.tickNo);
  }

  beginChunk(): void {
    this.#chunkCost = 0;
  }

  /** The current chunk has completed no frame so far. */
  get isChunkFree(): boolean {
    return this.#chunkCost === 0;
  }

  /** Charges a frame, or what costs as much. */
  charge(cost: number, monoMs: number): Charged {
    this.#chunkCost += cost;
    const isTurnOver = this.#queue.take(this.#chunkCost, cost);
    if (this.isStopped) return 'within';
    if (this.#bucket.take(this.#rate, monoMs, cost) === 'within') {
      return isTurnOver && this.isReading ? 'turn over' : 'within';
    }
    this.#rateUntil = monoMs + Math.min(this.#bucket.waitMs(this.#rate), this.#maxPauseMs);
    if (this.isReading) this.#pause({ kind: 'paused', until: this.#rateUntil, reason: 'rate' }, monoMs);
    this.#context.onRefused('messages');
    return 'paused';
  }

  /** Whether this many frames of that total cost can be charged now. Otherwise they must be read one by one. */
  allowsAtOnce(frames: number, cost: number, monoMs: number): boolean {
    return !this.#queue.isOver(frames) && this.#bucket.levelAt(this.#rate, monoMs) >= cost;
  }

  /** Charges frames that `allowsAtOnce` allowed. */
  chargeAtOnce(frames: number, cost: number, monoMs: number): void {
    this.#bucket.take(this.#rate, monoMs, cost);
    this.#queue.take(frames, cost);
  }

  /** Charges the loop turn for work that the current frame causes. */
  chargeTurn(cost: number): void {
    this.#chunkCost += cost;
    this.#queue.burden(cost);
  }

  /** Charges the connection more than its frames cost. It pays before the next frames are read. */
  chargeRate(cost: number, monoMs: number): void {
    this.#bucket.take(this.#rate, monoMs, cost);
  }

  /**
   * Pauses until `resumeAfterTokens`, because tokens arrive faster than they are verified. If fetching keys is what
   * takes long, reading goes on after the maximum pause, because users with a valid token must not wait for it.
   */
  pauseForTokens(monoMs: number): void {
    this.#tokensFullSince ??= monoMs;
    if (!this.isReading || monoMs >= this.#tokensFullSince + this.#maxPauseMs) return;
    this.#pause({ kind: 'paused', until: monoMs + this.#maxPauseMs, reason: 'tokens' }, monoMs);
  }

  resumeAfterTokens(): void {
    this.#tokensFullSince = null;
    if (this.#state.kind === 'paused' && this.#state.reason === 'tokens') this.#endPause(this.#nowMs());
  }

  /** Queues behind the other connections. Call only right after `charge` or `isTurnUsedUp` said that the turn is over. */
  waitInQueue(): void {
    this.#queue.enqueue(this);
    this.#pause(QUEUED, this.#nowMs());
  }

  /** Runs when the connection is first in the queue. */
  onTurn(): void {
    this.#resume(this.#nowMs(), true);
  }

  tick(monoMs: number): void {
    if (this.#state.kind === 'paused' && monoMs >= this.#state.until) this.#endPause(monoMs);
  }

  /** Stops for good. */
  stop(): void {
    if (this.#pauses.isPaused) this.#pauses.end(this.#nowMs(), this.#queue.tickNo);
    this.#queue.leave(this);
    this.#state = STOPPED;
  }

  #pause(state: ReadState, monoMs: number): void {
    this.#state = state;
    this.#pauses.begin(monoMs, this.#queue.tickNo);
    this.#socket.pause();
  }

  #endPause(monoMs: number): void {
    if (monoMs < this.#rateUntil) this.#state = { kind: 'paused', until: this.#rateUntil, reason: 'rate' };
    else this.#resume(monoMs, false);
  }

  #resume(monoMs: number, isItsTurn: boolean): void {
    this.#pauses.end(monoMs, this.#queue.tickNo);
    this.#state = READING;
    this.#onResume(isItsTurn);
    // The bytes held back may have caused another pause or the end.
    if (this.isReading) this.#socket.resume();
  }

  #nowMs(): number {
    return this.#context.clock.now().monoMs;
  }
}

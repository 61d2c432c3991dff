/**
 * Turns the bytes of one connection into heartbeats, at the allowed rate. No bytes are lost while reading is paused.
 * Records when a frame began, so that one that never ends can be detected. Decides neither who may send a heartbeat nor
 * when the connection ends. `tick` must be called at `dueAt`.
 */
import type { Socket } from 'node:net';
import type { BadFrameReason } from '../../../../shared/reasons.ts';
import type { Moment } from '../../../lib/time/clock.ts';
import { decodeText, isWide, type FrameEncoding } from '../frames/charset.ts';
import { offendingValue, type Heartbeat } from '../frames/decode.ts';
import { markupCost } from '../frames/frame-cost.ts';
import { Framer } from '../frames/framer.ts';
import { LastFrame } from '../frames/last-frame.ts';
import type { ConnectionHost, TcpXmlOptions } from '../options.ts';
import { ReadControl, type Charged } from './read-control.ts';

/** A frame is charged once for each piece of this size. The largest possible cost is a hundred times the usual one. */
const FRAME_BYTES = 512;
/**
 * Charge in bytes for a packet that completes no frame: a fourth of a frame. A client that writes byte by byte can
 * afford it.
 */
const INCOMPLETE_PACKET_BYTES = 128;
/** From this size on, pending bytes may take milliseconds to read, so they wait for their turn. */
const EXPENSIVE_BYTES = 2048;
/** How an HTTP request begins. No frame begins like this. */
const HTTP_REQUEST = /^[A-Z]{3,10} \//;

export interface RejectedFrame {
  readonly reason: BadFrameReason;
  readonly encoding: FrameEncoding;
  /** The offending value for the log. Computed only if it is logged. */
  readonly value: () => string | undefined;
  /** Whether the bytes after it must not be read as frames. `unproven`: if no frame was accepted before. */
  readonly endsReading: 'always' | 'unproven' | 'never';
}

/** The outputs of a reader. */
export interface HeartbeatOutput {
  /** `encoding` is that of the frame, for its answer. */
  onHeartbeat(heartbeat: Heartbeat, encoding: FrameEncoding, monoMs: number): void;
  /** The last heartbeat came again, `count` times. @returns false to have each of them passed to `onHeartbeat`. */
  onRepeats(heartbeat: Heartbeat, count: number, now: Moment): boolean;
  onBadFrame(frame: RejectedFrame): void;
}

export class HeartbeatReader {
  /** Decides when the socket is read. */
  readonly control: ReadControl;
  readonly #context: TcpXmlOptions;
  readonly #socket: Socket;
  readonly #host: ConnectionHost;
  readonly #output: HeartbeatOutput;
  readonly #framer: Framer;
  readonly #lastFrame: LastFrame;
  readonly #onFrame: (frame: Buffer, encoding: FrameEncoding) => void;
  /** Bytes that arrived before a pause and have not been read. */
  #unread: Buffer | null = null;
  /** Since when the first of them has waited, as `performance.now()` says. */
  #unreadSince = 0;
  /** Bytes outside of frames that have not been charged yet. */
  #looseBytes = 0;
  /** When the incomplete frame began. */
  #frameBegunAt: number | null = null;

  constructor(context: TcpXmlOptions, socket: Socket, host: ConnectionHost, output: HeartbeatOutput) {
    this.#context = context;
    this.#socket = socket;
    this.#host = host;
    this.#output = output;
    this.#framer = new Framer(context.encoding);
    this.#lastFrame = new LastFrame(host.templates);
    this.control = new ReadControl(context, socket, host.queue, (isItsTurn) => this.#readUnread(isItsTurn));
    // One function for each connection instead of one for each packet.
    this.#onFrame = (frame, encoding) => this.#readFrame(frame, encoding);
  }

  /** Begins to read. `first`: bytes that have already arrived. */
  start(first: Buffer | undefined): void {
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    if (first !== undefined) this.#receive(first);
  }

  /** The encoding found in the bytes, for answers that belong to no frame. */
  get encoding(): FrameEncoding {
    return this.#framer.detected;
  }

  /** Monotonic time when `tick` has something to do; Infinity for never. */
  get dueAt(): number {
    const begunAt = this.#frameBegunAt;
    return begunAt === null ? this.control.dueAt : Math.min(this.control.dueAt, begunAt + this.#context.frameMs);
  }

  /** Resumes reading if a pause is over. @returns whether a frame is taking too long. */
  tick(monoMs: number): boolean {
    this.control.tick(monoMs);
    return this.#frameBegunAt !== null && monoMs >= this.#frameBegunAt + this.#context.frameMs;
  }

  /** Stops for good. The remaining bytes are dropped. */
  stop(): void {
    this.control.stop();
    this.#framer.stop();
    this.#unread = null;
    this.#frameBegunAt = null;
  }

  #receive(chunk: Buffer): void {
    this.control.arrived(chunk.length);
    this.#read(chunk, false);
  }

  #readUnread(isItsTurn: boolean): void {
    const unread = this.#unread;
    this.#unread = null;
    if (unread === null) return;
    this.#context.inputWait.since(this.#unreadSince, () => this.#read(unread, isItsTurn));
  }

  /** Keeps a copy, because the next packet reuses the memory. */
  #holdBack(bytes: Buffer): void {
    this.#unread = Buffer.from(bytes);
    // Bytes that were held back before have waited longer.
    this.#unreadSince = performance.now() - this.#context.inputWait.ms;
  }

  #read(chunk: Buffer, isItsTurn: boolean): void {
    if (this.control.isStopped) return;
    const repeatsBytes = this.#readRepeats(chunk);
    if (repeatsBytes === chunk.length) return;
    this.#readFrames(repeatsBytes === 0 ? chunk : chunk.subarray(repeatsBytes), isItsTurn);
    this.#host.visitBy(this.dueAt);
  }

  /**
   * The fast path for the same frame again, perhaps several times, if it says what its session already has. Such a
   * frame is only a sign of life and costs 0.3 µs instead of 2 (16 in a packet, Node 20.20, 2026-11-23). In all other
   * cases the frames take the plain path. repeats.test.ts checks that both paths agree.
   * @returns the number of bytes it took.
   */
  #readRepeats(chunk: Buffer): number {
    const encoding = this.#framer.detected;
    const heartbeat = this.#lastFrame.heartbeatIn(encoding);
    if (heartbeat === null || isWide(encoding) || !this.#framer.isAtRest || !this.control.isReading) return 0;
    const { count, bytes } = this.#lastFrame.repeatsIn(chunk);
    if (count === 0) return 0;
    const frameBytes = this.#lastFrame.bytes;
    const between = Math.floor((bytes - count * frameBytes) / FRAME_BYTES);
    const cost = count * Math.ceil(frameBytes / FRAME_BYTES) + between;
    const now = this.#context.clock.now();
    if (!this.control.allowsAtOnce(count, cost, now.monoMs)) return 0;
    if (!this.#output.onRepeats(heartbeat, count, now)) return 0;
    this.control.chargeAtOnce(count, cost, now.monoMs);
    return bytes;
  }

  #readFrames(chunk: Buffer, isItsTurn: boolean): void {
    const { control } = this;
    control.beginChunk();
    if (!isItsTurn && this.#mustWait(chunk)) {
      this.#holdBack(chunk);
      control.waitInQueue();
      return;
    }
    const result = this.#framer.push(chunk, this.#onFrame);
    if (control.isStopped) return; // a frame ended the connection
    const charged = this.#chargeLooseBytes();
    if (result === 'too_large') {
      this.#reportTooLarge();
    } else if (result !== 'ok') {
      if (result.length > 0) this.#holdBack(result);
    } else if (!this.#framer.isInFrame) {
      this.#frameBegunAt = null;
    } else {
      this.#frameBegunAt ??= this.#context.clock.now().monoMs;
    }
    if (control.isReading && (this.#unread !== null || charged === 'turn over')) control.waitInQueue();
  }

  /** If the turn is used up, a large chunk is not even begun, because a hundred connections may bring one each. */
  #mustWait(chunk: Buffer): boolean {
    if (!this.control.isReading || this.#framer.heldBytes + chunk.length < EXPENSIVE_BYTES) return false;
    return this.control.isTurnUsedUp;
  }

  #readFrame(frame: Buffer, encoding: FrameEncoding): void {
    const { monoMs } = this.#context.clock.now();
    this.#frameBegunAt = null;
    this.#decode(frame, encoding, monoMs);
    const charged = this.control.charge(Math.ceil(frame.length / FRAME_BYTES), monoMs);
    if (charged !== 'within' || !this.control.isReading) this.#framer.stop();
  }

  #decode(frame: Buffer, encoding: FrameEncoding, monoMs: number): void {
    const { encoding: fallback, names } = this.#context;
    const { templates } = this.#host;
    const { parsedCount } = templates;
    const decoded = this.#lastFrame.decode(frame, encoding);
    if (templates.parsedCount !== parsedCount) this.#chargeMarkup(frame, monoMs);
    if (decoded.ok) {
      this.#output.onHeartbeat(decoded, encoding, monoMs);
      return;
    }
    const { reason } = decoded;
    this.#output.onBadFrame({
      reason,
      encoding,
      value: () => offendingValue(decodeText(frame, encoding, fallback), reason, names),
      // A browser lets any page send a form to any port, and valid frames may follow in the same request.
      endsReading: HTTP_REQUEST.test(frame.toString('latin1', 0, 16)) ? 'unproven' : 'never',
    });
  }

  #chargeMarkup(frame: Buffer, monoMs: number): void {
    const cost = markupCost(frame);
    if (cost === 0) return;
    this.control.chargeTurn(cost);
    this.control.chargeRate(cost, monoMs);
  }

  /** Charges for white space and for bytes that complete no frame: they mean nothing but must be read. */
  #chargeLooseBytes(): Charged {
    this.#looseBytes += this.#framer.takeSkipped() + (this.control.isChunkFree ? INCOMPLETE_PACKET_BYTES : 0);
    if (this.#looseBytes < FRAME_BYTES) return 'within';
    const cost = Math.floor(this.#looseBytes / FRAME_BYTES);
    this.#looseBytes %= FRAME_BYTES;
    return this.control.charge(cost, this.#context.clock.now().monoMs);
  }

  #reportTooLarge(): void {
    const { detected: encoding, oversize } = this.#framer;
    this.#output.onBadFrame({ reason: 'too_large', encoding, value: () => oversize, endsReading: 'always' });
  }
}

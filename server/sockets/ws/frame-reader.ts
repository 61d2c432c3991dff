/**
 * Reads a client's WebSocket frames (RFC 6455, without extensions) from the bytes of one connection, for the ws engine.
 * The reader of `ws` processes a chunk of 64 KiB to its end, which can be 10,000 pings, and keeps one Buffer for each
 * fragment and packet. This reader can stop between two frames, and gathers a message in one growing buffer. It never
 * holds more than twice what arrived, and nothing of a message over 16 KiB. Does not know the socket.
 */
import { isUtf8 } from 'node:buffer';
import { MAX_WS_MESSAGE_BYTES, MAX_WS_PAYLOAD_BYTES } from '../../../shared/limits.ts';

/** Events of frames and messages. The bytes belong to the reader and are valid only during the call. */
export interface FrameEvents {
  onText(message: string): void;
  onBinary(): void;
  onOversize(): void;
  /** A frame of a message that continues. */
  onFragment(): void;
  onPing(payload: Buffer): void;
  onPong(): void;
  /** The peer's close frame. Nothing is read after it. `code` is undefined if the frame has none. */
  onEnding(code: number | undefined): void;
  /** The bytes violate the protocol, so reading ends. The code says why. */
  onBroken(code: number): void;
}

const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const LONGEST_HEAD = 14;
const MAX_CONTROL_BYTES = 125;
const LEAST_BUFFER_BYTES = 128;

const PROTOCOL_ERROR = 1002;
const NO_UTF8 = 1007;
const TOO_LARGE = 1009;

export class FrameReader {
  readonly #events: FrameEvents;
  #isStopped = false;
  #isOver = false;
  /** A head that the end of a chunk has cut. */
  #head: Buffer | null = null;
  #headBytes = 0;
  // The current frame.
  #isInFrame = false;
  #opcode = 0;
  #isLast = false;
  #leftBytes = 0;
  readonly #mask = new Uint8Array(4);
  #maskAt = 0;
  /** Opcode of the current message; 0 if there is none. */
  #messageOpcode = 0;
  #messageBytes = 0;
  #message: Growing | null = null;
  #control: Growing | null = null;

  constructor(events: FrameEvents) {
    this.#events = events;
  }

  /** Stops reading for now. For use within an event. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Ends reading for good. */
  end(): void {
    this.#isOver = true;
    this.#message = null;
    this.#control = null;
  }

  /**
   * Reads a chunk and unmasks it in place. @returns the bytes after the frame at which it stopped; undefined if there
   * are none.
   */
  read(chunk: Buffer): Buffer | undefined {
    this.#isStopped = false;
    let at = 0;
    while (at < chunk.length && this.#isReading()) {
      if (!this.#isInFrame) at = this.#readHead(chunk, at);
      at = this.#readPayload(chunk, at);
    }
    return at < chunk.length && !this.#isOver ? chunk.subarray(at) : undefined;
  }

  #isReading(): boolean {
    return !this.#isStopped && !this.#isOver;
  }

  /** @returns where the payload begins, or the end of the chunk if the head is incomplete. */
  #readHead(chunk: Buffer, at: number): number {
    if (this.#headBytes === 0) {
      const end = at + headSizeAt(chunk, at);
      if (end <= chunk.length) {
        this.#begin(chunk, at, end);
        return end;
      }
    }
    const head = (this.#head ??= Buffer.alloc(LONGEST_HEAD));
    while (at < chunk.length) {
      head[this.#headBytes++] = chunk[at++] as number;
      if (this.#headBytes < 2 || this.#headBytes < headSizeAt(head, 0)) continue;
      const end = this.#headBytes;
      this.#headBytes = 0;
      this.#begin(head, 0, end);
      return at;
    }
    return at;
  }

  #begin(bytes: Buffer, at: number, end: number): void {
    const first = bytes[at] as number;
    const second = bytes[at + 1] as number;
    const opcode = first & 0x0f;
    const length = lengthAt(bytes, at);
    this.#isLast = first >= 0x80;
    this.#opcode = opcode;
    if ((first & 0x70) !== 0 || second < 0x80 || !this.#fits(opcode, second & 0x7f)) {
      this.#break(PROTOCOL_ERROR);
      return;
    }
    if (opcode < CLOSE) {
      if (opcode !== CONTINUATION) {
        this.#messageOpcode = opcode;
        this.#messageBytes = 0;
      }
      this.#messageBytes += length;
      if (this.#messageBytes > MAX_WS_PAYLOAD_BYTES) {
        this.#break(TOO_LARGE);
        return;
      }
      if (this.#messageBytes > MAX_WS_MESSAGE_BYTES) this.#message = null;
    }
    for (let i = 0; i < 4; i++) this.#mask[i] = bytes[end - 4 + i] as number;
    this.#maskAt = 0;
    this.#leftBytes = length;
    this.#isInFrame = true;
  }

  /** Whether a frame of this kind may come now. `shortLength`: the length field in the second byte of its head. */
  #fits(opcode: number, shortLength: number): boolean {
    if (opcode >= CLOSE) return opcode <= PONG && this.#isLast && shortLength <= MAX_CONTROL_BYTES;
    return opcode <= BINARY && (opcode === CONTINUATION) === (this.#messageOpcode !== 0);
  }

  /** @returns where the next frame begins, or the end of the chunk. */
  #readPayload(chunk: Buffer, at: number): number {
    const end = Math.min(at + this.#leftBytes, chunk.length);
    // An empty payload is complete together with its head.
    if (this.#isInFrame && (end > at || this.#leftBytes === 0)) this.#take(chunk, at, end);
    return end;
  }

  #take(chunk: Buffer, at: number, end: number): void {
    this.#leftBytes -= end - at;
    const isWhole = this.#leftBytes === 0;
    if (isWhole) this.#isInFrame = false;
    if (this.#opcode >= CLOSE) {
      this.#unmask(chunk, at, end);
      if (isWhole && this.#control === null) this.#endControl(chunk.subarray(at, end));
      else (this.#control ??= new Growing()).add(chunk, at, end);
      if (isWhole && this.#control !== null) this.#endControl(this.#control.take());
    } else if (this.#messageBytes > MAX_WS_MESSAGE_BYTES) {
      if (isWhole) this.#endFrame(undefined);
    } else {
      this.#unmask(chunk, at, end);
      if (isWhole && this.#isLast && this.#message === null) {
        this.#endFrame(chunk.subarray(at, end));
        return;
      }
      if (end > at) (this.#message ??= new Growing()).add(chunk, at, end);
      if (isWhole) this.#endFrame(this.#isLast ? this.#message?.take() : undefined);
    }
  }

  #unmask(chunk: Buffer, at: number, end: number): void {
    const mask = this.#mask;
    let maskAt = this.#maskAt;
    for (; at < end; at++) chunk[at] = (chunk[at] as number) ^ (mask[maskAt++ & 3] as number);
    this.#maskAt = maskAt & 3;
  }

  /** `bytes`: the message that ends; undefined if it is empty or too large. */
  #endFrame(bytes: Buffer | undefined): void {
    if (!this.#isLast) {
      this.#events.onFragment();
      return;
    }
    const isText = this.#messageOpcode === TEXT;
    this.#messageOpcode = 0;
    this.#message = null;
    if (this.#messageBytes > MAX_WS_MESSAGE_BYTES) this.#events.onOversize();
    else if (!isText) this.#events.onBinary();
    else if (bytes === undefined || bytes.length === 0) this.#events.onText('');
    else if (isUtf8(bytes)) this.#events.onText(bytes.toString());
    else this.#break(NO_UTF8);
  }

  #endControl(payload: Buffer): void {
    this.#control = null;
    if (this.#opcode === PING) {
      this.#events.onPing(payload);
    } else if (this.#opcode === PONG) {
      this.#events.onPong();
    } else if (payload.length === 0) {
      this.end();
      this.#events.onEnding(undefined);
    } else if (payload.length === 1 || !isCloseCode(payload.readUInt16BE())) {
      this.#break(PROTOCOL_ERROR);
    } else if (!isUtf8(payload.subarray(2))) {
      this.#break(NO_UTF8);
    } else {
      this.end();
      this.#events.onEnding(payload.readUInt16BE());
    }
  }

  #break(code: number): void {
    this.end();
    this.#events.onBroken(code);
  }
}

/** Gathers pieces in one buffer that doubles. */
class Growing {
  #bytes = Buffer.allocUnsafeSlow(LEAST_BUFFER_BYTES);
  #length = 0;

  add(chunk: Buffer, at: number, end: number): void {
    const length = this.#length + end - at;
    if (length > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#length));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    chunk.copy(this.#bytes, this.#length, at, end);
    this.#length = length;
  }

  take(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** The size of the head that begins there; Infinity if its second byte is missing. */
function headSizeAt(bytes: Buffer, at: number): number {
  const second = bytes[at + 1];
  if (second === undefined) return Infinity;
  const length = second & 0x7f;
  const lengthBytes = length === 126 ? 2 : length === 127 ? 8 : 0;
  return 2 + lengthBytes + (second >= 0x80 ? 4 : 0);
}

function lengthAt(bytes: Buffer, at: number): number {
  const length = (bytes[at + 1] as number) & 0x7f;
  if (length === 126) return bytes.readUInt16BE(at + 2);
  if (length === 127) return bytes.readUInt32BE(at + 2) * 2 ** 32 + bytes.readUInt32BE(at + 6);
  return length;
}

/** Whether a close frame may contain this code. */
function isCloseCode(code: number): boolean {
  if (code >= 3000) return code < 5000;
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
}

/**
 * Cuts a connection's bytes into frames, across packet boundaries. A frame is everything up to and including
 * `</protocol>`, or one empty `<protocol …/>`. Knows bytes only, neither the meaning of a frame nor the socket. Keeps
 * only an incomplete frame, so the end of the stream needs no handling.
 */
import { MAX_TCP_FRAME_BYTES } from '../../../../shared/limits.ts';
import { isWide } from './charset.ts';
import type { Encoding, FrameEncoding } from './charset.ts';
import { EmptyRoot } from './empty-root.ts';
import { isSpace } from './space.ts';

/** `frame` is valid only during the call: copy what must be kept. */
type OnFrame = (frame: Buffer, detected: FrameEncoding) => void;

const TERMINATOR = '</protocol>';
const terminators = {
  narrow: Buffer.from(TERMINATOR, 'latin1'),
  'utf-16le': Buffer.from(TERMINATOR, 'utf16le'),
  'utf-16be': Buffer.from(TERMINATOR, 'utf16le').swap16(),
} as const;

const LESS_THAN = 0x3c;
const NOTHING = Buffer.alloc(0);
const FIRST_HELD_BYTES = 256;
/** Maximum characters of an oversize frame in the log. */
const OVERSIZE_CHARS = 64;

export class Framer {
  readonly #defaultEncoding: Encoding;
  /**
   * Encoding found in the bytes. `undefined` until a byte order mark or the first frame shows it; then fixed for the
   * connection.
   */
  #detected: FrameEncoding | undefined;
  /** Whether an even number of bytes preceded the first frame. In UTF-16 a character begins there. */
  #isAtEvenByte = true;
  /** An incomplete frame, or up to three bytes that may begin a mark or a frame. May be larger than `#heldBytes`. */
  #held = NOTHING;
  #heldBytes = 0;
  /** Whether the held bytes begin a frame. */
  #inFrame = false;
  #oversize = '';
  readonly #emptyRoot = new EmptyRoot();
  #isStopped = false;
  #skippedBytes = 0;

  constructor(defaultEncoding: Encoding) {
    this.#defaultEncoding = defaultEncoding;
  }

  /** The beginning of the frame that was too large, byte by byte. */
  get oversize(): string {
    return this.#oversize;
  }

  /** Encoding found in the connection's bytes. Answers that belong to no frame are written in it. */
  get detected(): FrameEncoding {
    return this.#detected ?? 'bytes';
  }

  /** Nothing is held: the next byte begins a frame or is between two. */
  get isAtRest(): boolean {
    return this.#heldBytes === 0 && this.#detected !== undefined;
  }

  /** A frame has begun and is not complete. */
  get isInFrame(): boolean {
    return this.#inFrame;
  }

  /** Bytes of an incomplete frame, or of a possible beginning of one. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Bytes between frames that were skipped since the last call. */
  takeSkipped(): number {
    const bytes = this.#skippedBytes;
    this.#skippedBytes = 0;
    return bytes;
  }

  /** Stops after the current frame of this chunk. For use within `onFrame`. */
  stop(): void {
    this.#isStopped = true;
  }

  /**
   * Emits every frame that ends in this chunk. After `stop` it returns the remaining bytes. After `too_large` (more
   * than 8 KiB without a terminator) the next frame cannot be found: close the connection and push nothing more.
   */
  push(chunk: Buffer, onFrame: OnFrame): 'ok' | 'too_large' | Buffer {
    let bytes = chunk;
    let at = 0;
    if (this.#inFrame) {
      const used = this.#continueHeld(chunk, onFrame);
      if (used === 'too_large') return used;
      at = used;
    } else if (this.#heldBytes > 0) {
      bytes = Buffer.concat([this.#held.subarray(0, this.#heldBytes), chunk]);
      this.#release();
    }
    for (;;) {
      if (this.#isStopped) {
        this.#isStopped = false;
        return bytes.subarray(at);
      }
      const from = at;
      at = this.#skipToFrame(bytes, from);
      this.#skippedBytes += at - from;
      if (at === bytes.length) return 'ok';
      if (!this.#inFrame) {
        this.#hold(bytes.subarray(at));
        return 'ok';
      }
      const end = this.#endOf(bytes, at, at);
      if ((end ?? bytes.length) - at > MAX_TCP_FRAME_BYTES) return this.#tooLarge(bytes.subarray(at));
      if (end === undefined) {
        this.#hold(bytes.subarray(at));
        return 'ok';
      }
      this.#inFrame = false;
      onFrame(bytes.subarray(at, end), this.detected);
      at = end;
    }
  }

  /** Adds to the held frame. @returns how many of the chunk's bytes belong to it. */
  #continueHeld(chunk: Buffer, onFrame: OnFrame): number | 'too_large' {
    const before = this.#heldBytes;
    // One byte over the limit is enough to know.
    this.#hold(chunk.subarray(0, MAX_TCP_FRAME_BYTES + 1 - before));
    const frame = this.#held.subarray(0, this.#heldBytes);
    // Searches only new bytes, plus those in which a packet boundary may have cut a terminator.
    const end = this.#endOf(frame, 0, Math.max(0, before - this.#terminator().length + 1));
    if ((end ?? frame.length) > MAX_TCP_FRAME_BYTES) return this.#tooLarge(frame);
    if (end === undefined) return chunk.length;
    this.#release();
    onFrame(frame.subarray(0, end), this.detected);
    return end - before;
  }

  /** The end of the frame that begins at `start`; `undefined` if it has not arrived yet. */
  #endOf(bytes: Buffer, start: number, searchFrom: number): number | undefined {
    // A `<` ends the search for an empty root, so a match precedes any terminator.
    const emptyEnd = this.#emptyRoot.endIn(bytes, start, this.detected);
    if (emptyEnd !== undefined) return emptyEnd;
    const terminator = this.#terminator();
    let at = bytes.indexOf(terminator, searchFrom);
    if (terminator !== terminators.narrow) {
      // The same bytes half a unit off are other characters.
      while (at !== -1 && (at - start) % 2 !== 0) at = bytes.indexOf(terminator, at + 1);
    }
    return at === -1 ? undefined : at + terminator.length;
  }

  #terminator(): Buffer {
    const detected = this.detected;
    return isWide(detected) ? terminators[detected] : terminators.narrow;
  }

  /**
   * Skips byte order marks, white space and NUL. Sets `#inFrame` if a frame begins there. If the bytes do not suffice
   * to decide, the rest (three bytes at most) waits for more.
   */
  #skipToFrame(bytes: Buffer, from: number): number {
    let at = from;
    while (at < bytes.length) {
      const mark = markAt(bytes, at);
      if (mark === 'unclear') return at;
      if (mark !== undefined) {
        this.#detected = mark.detected;
        at += mark.bytes;
        continue;
      }
      const found = this.#detected === undefined ? this.#firstFrameAt(bytes, at) : frameAt(this.#detected, bytes, at);
      if (found === 'unclear') return at;
      if (found !== 'space') {
        this.#detected = found;
        this.#inFrame = true;
        this.#emptyRoot.begin();
        return at;
      }
      if (this.#detected === undefined) this.#isAtEvenByte = !this.#isAtEvenByte;
      at++;
    }
    return at;
  }

  /** Whether the first frame begins there, and its width. White space and NUL alone do not show the width. */
  #firstFrameAt(bytes: Buffer, at: number): FrameEncoding | 'space' | 'unclear' {
    const first = bytes[at];
    const second = bytes[at + 1];
    if (isSpace(first)) return 'space';
    const other = isWide(this.#defaultEncoding) ? this.#defaultEncoding : 'bytes';
    if (first === LESS_THAN) return second === undefined ? 'unclear' : second === 0 ? 'utf-16le' : 'bytes';
    if (first !== 0) return other;
    const nul = nulAt(bytes, at);
    if (nul !== 'frame') return nul;
    if (second !== LESS_THAN) return isWide(other) ? other : 'space';
    const third = bytes[at + 2];
    if (third === undefined) return 'unclear';
    // NUL, `<` and NUL are `<` in UTF-16BE, or in UTF-16LE after half a character. The position decides.
    return third === 0 && this.#isAtEvenByte ? 'utf-16be' : 'space';
  }

  /** Copies, so that a few bytes never keep a whole packet in memory. */
  #hold(bytes: Buffer): void {
    const needed = this.#heldBytes + bytes.length;
    if (needed > this.#held.length) {
      // Doubled, so that a frame that arrives byte by byte is not copied each time. Not from the pool, which is shared.
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#held.length * 2, FIRST_HELD_BYTES));
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    bytes.copy(this.#held, this.#heldBytes);
    this.#heldBytes = needed;
  }

  #release(): void {
    this.#held = NOTHING;
    this.#heldBytes = 0;
    this.#inFrame = false;
  }

  #tooLarge(frame: Buffer): 'too_large' {
    // Keeps only the letters of UTF-16.
    this.#oversize = frame.toString('latin1', 0, OVERSIZE_CHARS).replaceAll('\0', '');
    this.#release();
    return 'too_large';
  }
}

function markAt(
  bytes: Buffer,
  at: number,
): { readonly detected: FrameEncoding; readonly bytes: number } | 'unclear' | undefined {
  const first = bytes[at];
  // Nearly every frame begins without a mark.
  if (first === LESS_THAN) return undefined;
  const second = bytes[at + 1];
  if (first === 0xff || first === 0xfe) {
    if (second === undefined) return 'unclear';
    if (first === 0xff && second === 0xfe) return { detected: 'utf-16le', bytes: 2 };
    if (first === 0xfe && second === 0xff) return { detected: 'utf-16be', bytes: 2 };
  }
  if (first === 0xef && (second === undefined || second === 0xbb)) {
    const third = bytes[at + 2];
    if (second === undefined || third === undefined) return 'unclear';
    if (third === 0xbf) return { detected: 'utf-8', bytes: 3 };
  }
  return undefined;
}

/** Whether a frame of a known width begins there. Line ends and NUL of one byte mean nothing in UTF-16 either. */
function frameAt(detected: FrameEncoding, bytes: Buffer, at: number): FrameEncoding | 'space' | 'unclear' {
  const first = bytes[at];
  if (isSpace(first)) return 'space';
  if (first !== 0) return detected;
  if (detected !== 'utf-16be') return 'space';
  const nul = nulAt(bytes, at);
  return nul === 'frame' ? detected : nul;
}

/** A NUL may be the first half of a UTF-16BE character that begins a `frame`. */
function nulAt(bytes: Buffer, at: number): 'frame' | 'space' | 'unclear' {
  const next = bytes[at + 1];
  if (next === undefined) return 'unclear';
  if (next === 0 || isSpace(next)) return 'space';
  const mark = markAt(bytes, at + 1);
  return mark === undefined ? 'frame' : mark === 'unclear' ? mark : 'space';
}

/**
 * What a connection said last. Legacy clients repeat themselves to the byte, and what the same bytes say need not be found
 * out anew. Answers exactly what the port's shapes would; keeps one frame. Each connection has one.
 * A parse costs 5 to 8 µs, a frame of a known shape 0.6 µs, the same bytes again 0.1 µs.
 */
import type { FrameEncoding } from './charset.ts';
import type { Decoded, Heartbeat } from './decode.ts';
import type { FrameTemplates } from './frame-templates.ts';
import { isSpace } from './space.ts';

const NOTHING = Buffer.alloc(0);

export class LastFrame {
  readonly #shapes: FrameTemplates;
  #user = '';
  #seen: FrameEncoding = 'bytes';
  #frame = NOTHING;
  #decoded: Heartbeat | null = null;

  constructor(shapes: FrameTemplates) {
    this.#shapes = shapes;
  }

  decode(frame: Buffer, seen: FrameEncoding): Decoded {
    const last = this.last(seen);
    if (last !== null && this.#frame.equals(frame)) return last;
    const decoded = this.#shapes.decode(frame, seen);
    if (decoded.ok) {
      // A gateway's frames come by turns: none of them is the one before. And no token is kept.
      if (decoded.user === this.#user && decoded.token === undefined) this.#keep(frame, seen, decoded);
      this.#user = decoded.user;
    }
    return decoded;
  }

  /** What the frame that is kept says, to bytes of that kind; null where none is. */
  last(seen: FrameEncoding): Heartbeat | null {
    return this.#seen === seen ? this.#decoded : null;
  }

  get lastBytes(): number {
    return this.#frame.length;
  }

  /**
   * How often the kept frame stands at the beginning of these bytes, one behind the other with nothing but white space and
   * NUL between, and how many bytes that takes. For narrow bytes only.
   */
  repeatsIn(bytes: Buffer): { readonly count: number; readonly bytes: number } {
    let count = 0;
    let at = 0;
    for (let end = this.#endOfRepeat(bytes, 0); end > 0; end = this.#endOfRepeat(bytes, at)) {
      at = end;
      count++;
      const rest = bytes.length - at;
      // One look at all of the rest, instead of one for each: many alike in one packet are alike to the last space.
      if (count === 1 && rest % at === 0 && bytes.compare(bytes, 0, rest, at, bytes.length) === 0) {
        return { count: bytes.length / at, bytes: bytes.length };
      }
    }
    return { count, bytes: at };
  }

  /** Just behind the kept frame and the space around it, where that is what stands there. Else -1. */
  #endOfRepeat(bytes: Buffer, from: number): number {
    const at = behindSpace(bytes, from);
    const length = this.#frame.length;
    if (bytes.length - at < length || bytes.compare(this.#frame, 0, length, at, at + length) !== 0) return -1;
    return behindSpace(bytes, at + length);
  }

  #keep(frame: Buffer, seen: FrameEncoding, decoded: Heartbeat): void {
    // Not from the pool, which others' frames would keep alive.
    if (this.#frame.length !== frame.length) this.#frame = Buffer.allocUnsafeSlow(frame.length);
    frame.copy(this.#frame);
    this.#seen = seen;
    this.#decoded = decoded;
  }
}

function behindSpace(bytes: Buffer, from: number): number {
  let at = from;
  while (isSpace(bytes[at]) || bytes[at] === 0) at++;
  return at;
}

/**
 * What a connection said last. Legacy clients repeat themselves to the byte, and what the same bytes say need not be found
 * out anew. Answers exactly what the port's shapes would; keeps one frame. Each connection has one.
 * A parse costs 5 to 8 µs, a frame of a known shape 0.6 µs, the same bytes again 0.1 µs.
 */
import type { FrameEncoding } from './charset.ts';
import type { Decoded } from './decode.ts';
import type { Shapes } from './shapes.ts';

export class FrameMemory {
  readonly #shapes: Shapes;
  #user = '';
  #seen: FrameEncoding = 'bytes';
  #frame: Buffer | null = null;
  #decoded: Decoded | null = null;

  constructor(shapes: Shapes) {
    this.#shapes = shapes;
  }

  decode(frame: Buffer, seen: FrameEncoding): Decoded {
    if (this.#decoded !== null && this.#seen === seen && this.#frame?.equals(frame) === true) return this.#decoded;
    const decoded = this.#shapes.decode(frame, seen);
    if (decoded.ok) {
      // A gateway's frames come by turns: none of them is the one before. And no token is kept.
      if (decoded.user === this.#user && decoded.token === undefined) this.#keep(frame, seen, decoded);
      this.#user = decoded.user;
    }
    return decoded;
  }

  #keep(frame: Buffer, seen: FrameEncoding, decoded: Decoded): void {
    // Not from the pool, which others' frames would keep alive.
    if (this.#frame?.length !== frame.length) this.#frame = Buffer.allocUnsafeSlow(frame.length);
    frame.copy(this.#frame);
    this.#seen = seen;
    this.#decoded = decoded;
  }
}

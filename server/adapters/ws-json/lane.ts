/**
 * The received messages of one connection that are not handled yet, in order, as bytes in one growing buffer. A small
 * message takes less memory here than it took on the wire. Decides nothing.
 */

/**
 * Marks for a binary message and for one over 16 KiB. Their content is of no use, but they keep their place in the
 * order.
 */
export const BINARY = Symbol('binary');
export const OVERSIZE = Symbol('oversize');
export type Incoming = string | typeof BINARY | typeof OVERSIZE;

const LEAST_BYTES = 1024;
/** Size of the length before each text. A message has at most 16 KiB. */
const LENGTH_BYTES = 2;
const BINARY_MARK = 0xffff;
const OVERSIZE_MARK = 0xfffe;
const EMPTY = Buffer.alloc(0);

export class Lane {
  #buffer = EMPTY;
  #begin = 0;
  #end = 0;

  get bytes(): number {
    return this.#end - this.#begin;
  }

  push(message: Incoming): void {
    const textBytes = typeof message === 'string' ? Buffer.byteLength(message) : 0;
    this.#makeRoom(LENGTH_BYTES + textBytes);
    const mark = message === BINARY ? BINARY_MARK : message === OVERSIZE ? OVERSIZE_MARK : textBytes;
    this.#end = this.#buffer.writeUInt16LE(mark, this.#end);
    if (typeof message === 'string') this.#end += this.#buffer.write(message, this.#end);
  }

  shift(): Incoming | undefined {
    if (this.#begin === this.#end) return undefined;
    const mark = this.#buffer.readUInt16LE(this.#begin);
    this.#begin += LENGTH_BYTES;
    if (mark === BINARY_MARK) return BINARY;
    if (mark === OVERSIZE_MARK) return OVERSIZE;
    const from = this.#begin;
    this.#begin += mark;
    return this.#buffer.toString('utf8', from, this.#begin);
  }

  #makeRoom(bytes: number): void {
    if (this.#end + bytes <= this.#buffer.length) return;
    const needed = this.bytes + bytes;
    const isHalfEmpty = 2 * needed <= this.#buffer.length;
    const target = isHalfEmpty ? this.#buffer : Buffer.allocUnsafeSlow(Math.max(LEAST_BYTES, 2 * needed));
    this.#buffer.copy(target, 0, this.#begin, this.#end);
    this.#end -= this.#begin;
    this.#begin = 0;
    this.#buffer = target;
  }
}

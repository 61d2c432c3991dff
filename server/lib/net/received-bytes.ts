/**
 * What arrives in pieces, in one growing buffer that holds at most twice what was sent, however small the pieces are.
 * Knows no protocol.
 */

/** Each piece costs a call from the parser, about 1 µs, however small it is. */
const FREE_PIECES = 256;
const BYTES_PER_PIECE = 64;
const SMALLEST_BUFFER_BYTES = 256;

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

export class ReceivedBytes {
  #buffer: Buffer = Buffer.alloc(0);
  #bytes = 0;
  #heldBytes = 0;
  #pieces = 0;

  /** Bytes counted. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Size of the buffer. */
  get bufferBytes(): number {
    return this.#buffer.length;
  }

  /** Counts a piece. @returns false if the pieces cost far more than what they hold. */
  count(piece: Uint8Array): boolean {
    this.#bytes += piece.length;
    this.#pieces++;
    return this.#pieces <= FREE_PIECES + this.#bytes / BYTES_PER_PIECE;
  }

  /** Copies the piece, because its memory belongs to the parser. */
  keep(piece: Uint8Array): void {
    const end = this.#heldBytes + piece.length;
    if (end > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(SMALLEST_BUFFER_BYTES, 2 * this.#heldBytes, end));
      this.#buffer.copy(larger, 0, 0, this.#heldBytes);
      this.#buffer = larger;
    }
    this.#buffer.set(piece, this.#heldBytes);
    this.#heldBytes = end;
  }

  /** Frees what was kept. */
  drop(): void {
    this.#buffer = Buffer.alloc(0);
    this.#heldBytes = 0;
  }

  /** What was kept. */
  text(): string {
    return utf8.decode(this.#buffer.subarray(0, this.#heldBytes));
  }
}

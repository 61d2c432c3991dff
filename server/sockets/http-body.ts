/**
 * The body of one request while it arrives, in one growing buffer that holds at most twice what was sent, however small
 * the pieces are. Reports a body that is too large, and a sender that costs more than it sends. Knows no engine.
 */
import { MAX_HTTP_BODY_BYTES } from '../../shared/limits.ts';

/** Each piece costs a call from the engine, about 1 µs, however small it is. */
const FREE_PIECES = 256;
const BYTES_PER_PIECE = 64;
/** Maximum bytes read of a body. 2 MiB over the limit are discarded, so that the sender can read its 413. */
export const MAX_READ_BYTES = MAX_HTTP_BODY_BYTES + 2 * 1024 * 1024;
const SMALLEST_BUFFER_BYTES = 256;

/** `flood`: cut the sender, because what it sends costs far more than an answer is worth. */
export type BodyState = 'ok' | 'too_large' | 'flood';

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

export class HttpBody {
  #buffer: Buffer = Buffer.alloc(0);
  #receivedBytes = 0;
  #pieces = 0;
  readonly #isTooLarge: boolean;

  /** `declaredBytes`: the declared length; 0 if unknown. */
  constructor(declaredBytes: number) {
    this.#isTooLarge = declaredBytes > MAX_HTTP_BODY_BYTES;
  }

  /** Copies the piece, because its memory belongs to the engine. */
  add(piece: Uint8Array): BodyState {
    const heldBytes = this.#receivedBytes;
    this.#receivedBytes += piece.length;
    this.#pieces++;
    if (this.#pieces > FREE_PIECES + this.#receivedBytes / BYTES_PER_PIECE) return this.#drop('flood');
    if (this.#receivedBytes > MAX_READ_BYTES) return this.#drop('flood');
    if (this.#isTooLarge || this.#receivedBytes > MAX_HTTP_BODY_BYTES) return this.#drop('too_large');
    if (this.#receivedBytes > this.#buffer.length) this.#grow(heldBytes);
    this.#buffer.set(piece, heldBytes);
    return 'ok';
  }

  /** Size of the buffer. */
  get heldBytes(): number {
    return this.#buffer.length;
  }

  text(): string {
    return utf8.decode(this.#buffer.subarray(0, this.#receivedBytes));
  }

  #grow(heldBytes: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(SMALLEST_BUFFER_BYTES, 2 * heldBytes, this.#receivedBytes));
    this.#buffer.copy(larger, 0, 0, heldBytes);
    this.#buffer = larger;
  }

  #drop(state: BodyState): BodyState {
    this.#buffer = Buffer.alloc(0);
    return state;
  }
}

/**
 * The body of one request while it arrives, held in at most twice its size. Reports a body that is too large, and a sender that costs more than it sends. Knows no engine.
 */
import { MAX_HTTP_BODY_BYTES } from '../../shared/limits.ts';
import { ReceivedBytes } from '../lib/net/received-bytes.ts';

/** Maximum bytes read of a body. 2 MiB over the limit are discarded, so that the sender can read its 413. */
export const MAX_READ_BYTES = MAX_HTTP_BODY_BYTES + 2 * 1024 * 1024;

/** `flood`: cut the sender, because what it sends costs far more than an answer is worth. */
export type BodyState = 'ok' | 'too_large' | 'flood';

export class HttpBody {
  readonly #received = new ReceivedBytes();
  readonly #isTooLarge: boolean;

  /** `declaredBytes`: the declared length; 0 if unknown. */
  constructor(declaredBytes: number) {
    this.#isTooLarge = declaredBytes > MAX_HTTP_BODY_BYTES;
  }

  add(piece: Uint8Array): BodyState {
    const received = this.#received;
    if (!received.count(piece) || received.bytes > MAX_READ_BYTES) return this.#drop('flood');
    if (this.#isTooLarge || received.bytes > MAX_HTTP_BODY_BYTES) return this.#drop('too_large');
    received.keep(piece);
    return 'ok';
  }

  /** Size of the buffer. */
  get heldBytes(): number {
    return this.#received.bufferBytes;
  }

  text(): string {
    return this.#received.text();
  }

  #drop(state: BodyState): BodyState {
    this.#received.drop();
    return state;
  }
}

/** Writes the hub's answers to one legacy client. Never waits for a client that does not read. */
import type { Socket } from 'node:net';
import { badFrameReasons, errorCodes, type BadFrameReason } from '../../../shared/reasons.ts';
import type { FrameEncoding } from './frames/charset.ts';
import { answerBytes, encodeAck, encodeError, encodeProbe } from './frames/encode.ts';

export class Answers {
  readonly #socket: Socket;
  /** Whether to answer frames. */
  readonly #isOn: boolean;

  constructor(socket: Socket, isOn: boolean) {
    this.#socket = socket;
    this.#isOn = isOn;
  }

  ack(user: string, state: number, encoding: FrameEncoding): void {
    if (this.#isOn) this.#send(encodeAck(user, state), encoding);
  }

  error(reason: BadFrameReason | 'unavailable', encoding: FrameEncoding): void {
    const message = reason === 'unavailable' ? errorCodes.unavailable : badFrameReasons[reason];
    if (this.#isOn) this.#send(encodeError(reason, message), encoding);
  }

  /** A probe is sent even if frames are not answered. */
  probe(encoding: FrameEncoding): void {
    this.#send(encodeProbe(), encoding);
  }

  /** Drops the answer if it would have to wait, because a legacy client may never read. */
  #send(xml: string, encoding: FrameEncoding): void {
    if (!this.#socket.writableNeedDrain && this.#socket.writable) this.#socket.write(answerBytes(xml, encoding));
  }
}

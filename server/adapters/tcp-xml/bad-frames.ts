/**
 * Counts the bad frames of one connection, reports them and answers them. Decides after how many of them the connection
 * must end.
 */
import { MAX_BAD_FRAMES_IN_A_ROW } from '../../../shared/limits.ts';
import { badFrameReasons, type BadFrameReason } from '../../../shared/reasons.ts';
import type { Answers } from './answers.ts';
import type { FrameEncoding } from './frames/charset.ts';
import type { BadFrame, TcpXmlOptions } from './options.ts';

export class BadFrames {
  readonly #context: TcpXmlOptions;
  readonly #peer: string;
  readonly #answers: Answers;
  #badInARow = 0;
  /** Does not count well-formed frames that were refused. */
  #malformedInARow = 0;

  constructor(context: TcpXmlOptions, peer: string, answers: Answers) {
    this.#context = context;
    this.#peer = peer;
    this.#answers = answers;
  }

  /** A frame was well formed. It may still be refused. */
  wellFormed(): void {
    this.#malformedInARow = 0;
  }

  accepted(): void {
    this.#badInARow = 0;
  }

  malformed(reason: BadFrameReason, encoding: FrameEncoding, value: BadFrame['value']): void {
    this.#malformedInARow++;
    this.refused(reason, encoding, value);
  }

  refused(reason: BadFrameReason, encoding: FrameEncoding, value: BadFrame['value']): void {
    this.#badInARow++;
    this.skipped(reason, encoding, value);
  }

  /** A frame that does not count against its connection. */
  skipped(reason: BadFrameReason, encoding: FrameEncoding, value: BadFrame['value']): void {
    this.#context.onBadFrame({ reason, why: badFrameReasons[reason], value, peer: this.#peer });
    this.#answers.error(reason, encoding);
  }

  /** Malformed frames end any connection. Refused users do not end a gateway that has other users. */
  isHopeless(hasOtherUsers: boolean): boolean {
    return (hasOtherUsers ? this.#malformedInARow : this.#badInARow) >= MAX_BAD_FRAMES_IN_A_ROW;
  }
}

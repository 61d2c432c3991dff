/** The one error that the SDK throws and tells. */
import type { ErrorCode } from '../../shared/reasons.ts';

/** A code of the contract; `refused`: the connection itself, by its close code; `closed`: used after its end. */
export type PresenceErrorCode = ErrorCode | 'refused' | 'closed';

// `declare` keeps fields that the constructor sets out of the script.
export class PresenceError extends Error {
  override readonly name = 'PresenceError';
  declare readonly code: PresenceErrorCode;
  /** Nothing is tried again by itself. */
  declare readonly isFinal: boolean;

  constructor(code: PresenceErrorCode, message: string, isFinal = false) {
    super(message);
    this.code = code;
    this.isFinal = isFinal;
  }
}

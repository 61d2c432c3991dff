/** The one error class that the SDK throws and emits. */
import type { ErrorCode } from '../../shared/reasons.ts';

/**
 * A code of the contract; `refused`: the connection was refused, by its close code; `closed`: the client was used after
 * its end.
 */
export type PresenceErrorCode = ErrorCode | 'refused' | 'closed';

// `declare` keeps fields that the constructor sets out of the script.
export class PresenceError extends Error {
  override readonly name = 'PresenceError';
  declare readonly code: PresenceErrorCode;
  /** The client does not try again. */
  declare readonly isFinal: boolean;

  constructor(code: PresenceErrorCode, message: string, isFinal = false) {
    super(message);
    this.code = code;
    this.isFinal = isFinal;
  }

  /** The path on the hub of the page that explains the code, with its remedy and an example. */
  get link(): string {
    return `/docs/errors/${this.code}`;
  }
}

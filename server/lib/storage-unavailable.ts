/** Storage cannot be read or written now: it is locked, full or broken. A change that throws this has changed nothing. */
export class StorageUnavailable extends Error {
  /** The trouble in a few words without paths and tables, so that outsiders may see it: "is locked by …". */
  readonly reason: string;

  /** `cause` is the error of the driver. */
  constructor(reason: string, cause: Error) {
    super(cause.message, { cause });
    this.reason = reason;
  }
}

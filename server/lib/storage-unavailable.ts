/** Storage cannot be read or written now: it is locked, full or broken. A change that throws
 * this has changed nothing, unless `outcome` says otherwise. */
export class StorageUnavailable extends Error {
  /** The trouble in a few words without paths and tables, so that outsiders may see it: "is locked by …". */
  readonly reason: string;

  /** What is known of the change if it may have been made; otherwise undefined. */
  readonly outcome: string | undefined;

  /** `cause` is the error of the driver. */
  constructor(reason: string, cause: Error, outcome?: string) {
    super(cause.message, { cause });
    this.reason = reason;
    this.outcome = outcome;
  }
}

/**
 * Which storage work fails now. Presence continues meanwhile: the failure is logged once, `/readyz` reports it, and the
 * work is repeated by whoever needs it. Does not know what the work is.
 */
import type { Logger } from '../../lib/log/log.ts';
import { StorageUnavailable } from '../../lib/storage-unavailable.ts';

export class StorageHealth {
  readonly #log: Logger;
  readonly #failing = new Map<string, string>();
  #errorCount = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** The current failures, as sentences for operators. */
  get failures(): string[] {
    return [...this.#failing.values()];
  }

  /** Number of failed attempts since the start. */
  get errorCount(): number {
    return this.#errorCount;
  }

  isFailing(what: string): boolean {
    return this.#failing.has(what);
  }

  /** Runs storage work that presence can do without. @returns whether it succeeded. */
  attempt(what: string, work: () => void): boolean {
    try {
      work();
    } catch (error) {
      this.report(what, error);
      return false;
    }
    this.report(what, undefined);
    return true;
  }

  /** Notes that this work failed, or succeeded (undefined). Logs only what is new. */
  report(what: string, error: unknown): void {
    if (error !== undefined) this.#errorCount++;
    if ((error !== undefined) === this.#failing.has(what)) return;
    if (error === undefined) {
      this.#failing.delete(what);
      this.#log.info({ what }, 'storage works again');
    } else {
      this.#failing.set(
        what,
        `storage: ${what} cannot be stored, because it ${error instanceof StorageUnavailable ? error.reason : 'failed'}`,
      );
      this.#log.error({ what, err: error }, 'storage fails; presence continues, and storage is retried');
    }
  }
}

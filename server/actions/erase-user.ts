/**
 * Erases users, and completes by itself every erasure that has begun: if another program prevents that the files are
 * cleaned, if storage fails, and after a crash. Must not know what an erasure deletes.
 */
import type { UnfinishedErasures } from '../storage/unfinished-erasures.ts';

export interface EraseOptions {
  /** Deletes everything about a user. Afterwards, only free space of the files may hold the id. */
  readonly eraseData: (user: string) => Promise<void>;
  readonly unfinished: Pick<UnfinishedErasures, 'users' | 'add' | 'delete'>;
  /** See `Scrubber`. */
  readonly scrub: (user: string) => Promise<boolean>;
  /** Reports that files cannot be cleaned now (an error), or can be again (undefined). */
  readonly onHealth: (error: unknown) => void;
}

const RETRY_AFTER_MS = 1000;

export class EraseUser {
  readonly #options: EraseOptions;
  /** Erased users who may still be in the files. */
  readonly #uncleaned = new Set<string>();
  /** Users whose erasure failed halfway, or was cut off by the end of the last run. */
  readonly #halfway = new Set<string>();
  #lastCleaning: Promise<unknown> = Promise.resolve();
  #retry: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: EraseOptions) {
    this.#options = options;
  }

  /** Completes what the last run had begun. */
  start(): void {
    for (const user of this.#options.unfinished.users) this.#halfway.add(user);
    if (this.#halfway.size > 0) void this.#clean();
  }

  /**
   * @returns whether nothing of the user is left in the files. If not, that is tried again until it succeeds. @throws
   * errors of storage; a part may be erased then, and the rest is tried again, unless not even that could be stored.
   */
  async erase(user: string): Promise<boolean> {
    this.#options.unfinished.add(user);
    try {
      await this.#eraseData(user);
    } catch (error) {
      this.#halfway.add(user);
      this.#retryLater();
      throw error;
    }
    await this.#clean();
    return !this.#uncleaned.has(user);
  }

  async #eraseData(user: string): Promise<void> {
    await this.#options.eraseData(user);
    this.#halfway.delete(user);
    this.#uncleaned.add(user);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#retry);
    await this.#lastCleaning;
  }

  /** Erases who is left halfway, then cleans the files, one user after another. */
  #clean(): Promise<unknown> {
    return (this.#lastCleaning = this.#lastCleaning.then(() => this.#cleanAll()));
  }

  async #cleanAll(): Promise<void> {
    const { scrub, unfinished, onHealth } = this.#options;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    try {
      for (const user of this.#halfway) {
        if (this.#isStopped) return;
        await this.#eraseData(user);
      }
      for (const user of this.#uncleaned) {
        if (!(await scrub(user))) break;
        unfinished.delete(user);
        this.#uncleaned.delete(user);
      }
      onHealth(undefined);
    } catch (error) {
      onHealth(error);
    }
    if (this.#uncleaned.size + this.#halfway.size > 0) this.#retryLater();
  }

  #retryLater(): void {
    if (!this.#isStopped) this.#retry ??= setTimeout(() => void this.#clean(), RETRY_AFTER_MS);
  }
}

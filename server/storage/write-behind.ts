/**
 * Writes changed entries to the store within 250 ms, in transactions of bounded size, outside the processing of
 * heartbeats. Users that were never stored are the exception: they are written before a change is sent. Otherwise,
 * after an unclean end, the hub could not distinguish such a user from one that was never seen, and would contradict
 * what it sent. Makes no decisions about presence.
 */
import { Histogram } from '../lib/histogram.ts';
import type { Store, StoredEntry } from './port.ts';

/** What write-behind needs of a user. Only write-behind may set the flags. */
export interface Savable {
  isUnsaved: boolean;
  isStored: boolean;
}

/** Writes something that must be stored together with the entries to which it belongs, or not at all. */
export interface Companion {
  /**
   * Writes. Runs in the transaction of the entries, which include those of all users for whom `storeFirst` was called.
   */
  write(): void;
  /** The transaction was committed. */
  written(): void;
}

export interface WriteBehindOptions<U extends Savable> {
  readonly store: Store;
  readonly storedOf: (user: U) => StoredEntry;
  /** Whether the current state of the user must be stored. */
  readonly mustKeep: (user: U) => boolean;
  /**
   * Reports that the store failed to write a batch, or wrote one again (undefined). Nothing is lost, because a failed
   * batch is repeated.
   */
  readonly onHealth: (error: Error | undefined) => void;
}

/** Everything sent longer ago than this is stored. */
export const WRITTEN_WITHIN_MS = 250;
/** Two such waits and a slow disk stay below the limit. */
const WRITE_AFTER_MS = 100;
/** About 2 ms of work if users arrive in random order. No loop turn waits longer for storage. */
const BATCH = 100;
/**
 * Above this number, users arrive faster than batches of this size store them. Larger batches then keep memory from
 * filling.
 */
const BACKLOG = 20_000;
const LARGE_BATCH = 1000;
/** Entries that `storeFirst` lets wait: more of them in one transaction would block the loop. */
const MAX_FIRSTS = 200;
const RETRY_AFTER_MS = 1000;

export class WriteBehind<U extends Savable> {
  /** Receive each user that is stored, and need not stay in memory for this. */
  readonly onSaved: ((user: U) => void)[] = [];
  /** How long the transactions took. */
  readonly writes = new Histogram([0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000]);
  readonly #options: WriteBehindOptions<U>;
  readonly #unsaved = new Set<U>();
  /** Users in `#unsaved` that have never been stored. */
  readonly #firsts = new Set<U>();
  #companion: Companion | undefined;
  #isWriting = false;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #isFailing = false;
  /** When a change was last made while everything was stored, on the clock of `performance.now()`. */
  #behindSince = 0;

  constructor(options: WriteBehindOptions<U>) {
    this.#options = options;
  }

  /** Number of users that are still to be stored. */
  get unsavedCount(): number {
    return this.#unsaved.size;
  }

  /** Notes that the user's entry or its sessions changed. */
  add(user: U): void {
    if (!this.#options.mustKeep(user)) return;
    if (!user.isStored && !this.#unsaved.has(user)) this.#firsts.add(user);
    if (this.#unsaved.size === 0) this.#behindSince = performance.now();
    user.isUnsaved = true;
    this.#unsaved.add(user);
    if (this.#immediate === undefined) this.#timer ??= setTimeout(this.#run, WRITE_AFTER_MS);
  }

  /** From now on, this is written together with the entries. */
  attach(companion: Companion): void {
    this.#companion = companion;
  }

  /** Has the current entry of the user stored before it is shown, as if it had never been stored. */
  storeFirst(user: U): void {
    user.isStored = false;
    this.#firsts.add(user);
    if (this.#firsts.size >= MAX_FIRSTS) this.writeFirsts();
  }

  /** Stores the users that were never stored. Must be called before a message about them is sent. */
  writeFirsts(): void {
    // The companion may read entries while it writes.
    if (this.#firsts.size === 0 || this.#isFailing || this.#isWriting) return;
    this.#write([...this.#firsts]);
  }

  /** Drops what is still to be stored of a user. */
  drop(user: U): void {
    user.isUnsaved = false;
    this.#unsaved.delete(user);
    this.#firsts.delete(user);
  }

  /** Number of users that wait to be stored, including those that were never stored before. */
  get waitingCount(): number {
    return Math.max(this.#unsaved.size, this.#firsts.size);
  }

  /** Milliseconds since everything was last stored; 0 if it is. No change has waited longer. */
  get behindMs(): number {
    return this.#unsaved.size === 0 ? 0 : performance.now() - this.#behindSince;
  }

  /** Stores everything now. @throws errors of the store. */
  flush(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#timer = undefined;
    this.#immediate = undefined;
    while (this.#unsaved.size > 0) {
      const error = this.#write(this.#nextBatch());
      if (error !== undefined) throw error;
    }
  }

  readonly #run = (): void => {
    this.#timer = undefined;
    this.#immediate = undefined;
    const error = this.#write(this.#nextBatch());
    if (this.#unsaved.size === 0) return;
    if (error === undefined) this.#immediate = setImmediate(this.#run);
    else this.#timer = setTimeout(this.#run, RETRY_AFTER_MS);
  };

  #nextBatch(): U[] {
    const size = this.#unsaved.size > BACKLOG ? LARGE_BATCH : BATCH;
    const batch: U[] = [];
    for (const user of this.#unsaved) {
      batch.push(user);
      if (batch.length === size) break;
    }
    return batch;
  }

  #write(some: readonly U[]): Error | undefined {
    const users = this.#companion === undefined ? some : [...new Set([...some, ...this.#firsts])];
    if (users.length === 0) return undefined;
    this.#isWriting = true;
    const startMs = performance.now();
    try {
      this.#options.store.keep(users.map(this.#options.storedOf), () => this.#companion?.write());
    } catch (error) {
      this.#isFailing = true;
      const reason = error instanceof Error ? error : new Error(String(error));
      this.#options.onHealth(reason);
      return reason;
    } finally {
      this.#isWriting = false;
      this.writes.observe(performance.now() - startMs);
    }
    if (this.#isFailing) this.#options.onHealth(undefined);
    this.#isFailing = false;
    this.#companion?.written();
    for (const user of users) {
      user.isUnsaved = false;
      user.isStored = true;
      this.#unsaved.delete(user);
      this.#firsts.delete(user);
      for (const listener of this.onSaved) listener(user);
    }
    return undefined;
  }
}

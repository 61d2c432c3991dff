/**
 * Writing behind: entries that changed reach the store within 250 ms, in transactions of bounded size, off the path of
 * a heartbeat. One exception is written ahead: a user never stored before, since after an unclean end the hub could not
 * tell it from one never seen, and would take back what it told. Decides nothing about presence.
 */
import type { Store, StoredEntry } from './port.ts';

/** What it needs to know of a user. The flags are its own to set. */
export interface Savable {
  isUnsaved: boolean;
  isStored: boolean;
}

export interface WriteBehindOptions<U extends Savable> {
  readonly store: Store;
  readonly storedOf: (user: U) => StoredEntry;
  /** Whether the store is to hear of the user as it is now. */
  readonly mustKeep: (user: U) => boolean;
  /** The user is stored: nothing here needs it in memory any more. */
  readonly onSaved: (user: U) => void;
  /** The store could not take a batch, or took one after that (undefined). Nothing is lost: it is tried again. */
  readonly onHealth: (error: Error | undefined) => void;
}

/** What was told longer ago than this is stored. */
export const WRITTEN_WITHIN_MS = 250;
/** Two waits and a slow disk stay below that. */
const WRITE_AFTER_MS = 100;
/** About 2 ms of work where users come in no order: no turn of the loop waits longer for storage. */
const BATCH = 100;
/** Where more than this waits, it came faster than that stores it: then more at once, or memory would fill. */
const BACKLOG = 20_000;
const LARGE_BATCH = 1000;
const RETRY_AFTER_MS = 1000;

export class WriteBehind<U extends Savable> {
  readonly #options: WriteBehindOptions<U>;
  readonly #unsaved = new Set<U>();
  /** Those of `#unsaved` that have never been stored. */
  readonly #firsts = new Set<U>();
  #timer: NodeJS.Timeout | undefined;
  #nextBite: NodeJS.Immediate | undefined;
  #isFailing = false;

  constructor(options: WriteBehindOptions<U>) {
    this.#options = options;
  }

  /** Users that the store has yet to hear of. */
  get unsavedCount(): number {
    return this.#unsaved.size;
  }

  /** The user's entry changed, or its sessions did. */
  add(user: U): void {
    if (!this.#options.mustKeep(user)) return;
    if (!user.isStored && !this.#unsaved.has(user)) this.#firsts.add(user);
    user.isUnsaved = true;
    this.#unsaved.add(user);
    if (this.#nextBite === undefined) this.#timer ??= setTimeout(this.#run, WRITE_AFTER_MS);
  }

  /** To be called before anything is told: stores those whom the store has never heard of. */
  writeFirsts(): void {
    if (this.#firsts.size === 0 || this.#isFailing) return;
    this.#write([...this.#firsts]);
  }

  /** Users that wait to be stored, those included that were never stored before. */
  get waitingCount(): number {
    return Math.max(this.#unsaved.size, this.#firsts.size);
  }

  /** Stores everything now. @throws what the store throws. */
  flush(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#nextBite);
    this.#timer = undefined;
    this.#nextBite = undefined;
    while (this.#unsaved.size > 0) {
      const error = this.#write(this.#nextBatch());
      if (error !== undefined) throw error;
    }
  }

  readonly #run = (): void => {
    this.#timer = undefined;
    this.#nextBite = undefined;
    const error = this.#write(this.#nextBatch());
    if (this.#unsaved.size === 0) return;
    if (error === undefined) this.#nextBite = setImmediate(this.#run);
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

  #write(users: readonly U[]): Error | undefined {
    if (users.length === 0) return undefined;
    try {
      this.#options.store.keep(users.map(this.#options.storedOf));
    } catch (error) {
      this.#isFailing = true;
      const reason = error instanceof Error ? error : new Error(String(error));
      this.#options.onHealth(reason);
      return reason;
    }
    if (this.#isFailing) this.#options.onHealth(undefined);
    this.#isFailing = false;
    for (const user of users) {
      user.isUnsaved = false;
      user.isStored = true;
      this.#unsaved.delete(user);
      this.#firsts.delete(user);
      this.#options.onSaved(user);
    }
    return undefined;
  }
}

/**
 * Stores what this node writes about users in a database: the last seen of users that leave, and blocks. Stores in
 * batches, off the hot path, and repeats what fails.
 */
import { StorageUnavailable } from '../../lib/storage-unavailable.ts';
import type { UserRecord } from '../record/record.ts';
import type { KeptUser, UserStore } from './port.ts';

export interface KeeperOptions {
  readonly users: Pick<UserStore, 'keep'>;
  /** Whether the database fails (an error), or works again (undefined). */
  readonly onHealth: (error: unknown) => void;
}

const KEEP_EVERY_MS = 250;
const BATCH = 500;
/** If the database fails for so long that this many users wait, the last seen of the first is given up. */
const MOST_WAITING = 500_000;
const MOST_NOTED = 100_000;

export class Keeper {
  readonly #options: KeeperOptions;
  readonly #waiting = new Map<string, KeptUser>();
  /** Users whose blocks were kept in this run. */
  readonly #noted = new Set<string>();
  readonly #timer: NodeJS.Timeout;
  #keeping: Promise<void> | undefined;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.flush(), KEEP_EVERY_MS);
  }

  /** This node has written a record, or found it as it should be: then both are the same. */
  written(user: string, before: UserRecord | undefined, after: UserRecord): void {
    const hasLeft = after.entry.status === 'offline' && after.v !== before?.v;
    if (hasLeft || changesBlocks(before, after) || this.#isUnnoted(user, after)) this.#note(user, after);
  }

  /** Resolves when the blocks of the record are stored. Rejects with `StorageUnavailable`; they are stored later then. */
  async keep(user: string, record: UserRecord): Promise<void> {
    try {
      await this.#options.users.keep([keptOf(user, record)]);
    } catch (error) {
      this.#note(user, record);
      if (!(error instanceof StorageUnavailable)) throw error;
      throw new StorageUnavailable(error.reason, error, 'the change is applied, and stored later');
    }
  }

  /** Forgets what waits of a user up to the number of a record, and resolves when nothing of it is on its way. */
  async forget(user: string, n: number): Promise<void> {
    if ((this.#waiting.get(user)?.n ?? Infinity) <= n) this.#waiting.delete(user);
    this.#noted.delete(user);
    await this.#keeping;
  }

  /** Stores what waits. Resolves when that is tried. */
  async flush(): Promise<void> {
    while (this.#keeping !== undefined) await this.#keeping;
    if (this.#waiting.size > 0) await (this.#keeping = this.#keepAll().finally(() => (this.#keeping = undefined)));
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  async #keepAll(): Promise<void> {
    const { users, onHealth } = this.#options;
    try {
      while (this.#waiting.size > 0) {
        const batch = [...this.#waiting.values()].slice(0, BATCH);
        await users.keep(batch);
        for (const one of batch) if (this.#waiting.get(one.user) === one) this.#waiting.delete(one.user);
      }
      onHealth(undefined);
    } catch (error) {
      onHealth(error);
    }
  }

  #note(user: string, record: UserRecord): void {
    if ((this.#waiting.get(user)?.n ?? 0) > record.n) return;
    this.#waiting.set(user, keptOf(user, record));
    if (this.#waiting.size <= MOST_WAITING) return;
    for (const [first, { hidden }] of this.#waiting) {
      if (hidden.size > 0) continue;
      this.#waiting.delete(first);
      return;
    }
  }

  /** Blocks that were set before there was a database. */
  #isUnnoted(user: string, { hidden }: UserRecord): boolean {
    if (hidden.size === 0 || this.#noted.has(user)) return false;
    if (this.#noted.size >= MOST_NOTED) this.#noted.clear();
    this.#noted.add(user);
    return true;
  }
}

function changesBlocks(before: UserRecord | undefined, { hidden }: UserRecord): boolean {
  const earlier = before?.hidden;
  if (earlier === undefined) return hidden.size > 0;
  // A block that was lifted and set again has another version.
  return earlier.size !== hidden.size || [...hidden].some(([viewer, { v }]) => earlier.get(viewer)?.v !== v);
}

function keptOf(user: string, { entry, v, n, hidden }: UserRecord): KeptUser {
  return { user, since: entry.since, lastSeen: entry.lastSeen, v, n, hidden };
}

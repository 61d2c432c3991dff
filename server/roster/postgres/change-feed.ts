/**
 * Reads the changes of friend lists from PostgreSQL in their order, whoever made them: this hub, another one, or a
 * person. Learns of new ones by NOTIFY, and also checks every second, because a notification may be lost. Changes
 * nothing itself.
 */
import type { Client } from 'pg';
import { StorageUnavailable } from '../../lib/storage-unavailable.ts';
import type { NumberedChange } from '../cached-roster.ts';
import { openClient, type Connections } from '../../storage/postgres/connection.ts';
import { POSITION } from './postgres-source.ts';
import { READ_EVERY_MS } from './readers.ts';
import { CHANNEL } from './schema.ts';

export interface ChangeFeedOptions {
  readonly url: string;
  readonly connections: Connections;
  /** Applies changes in their order. Resolves when watchers are notified. */
  readonly apply: (changes: readonly NumberedChange[]) => Promise<void>;
  /** Some changes are not known. Resolves when all lists in use have been read again. */
  readonly missed: () => Promise<void>;
  /** Notes that every change up to that number was reported. */
  readonly reached: (position: number) => Promise<void>;
  /** Reports that changes cannot be read, or can be again (undefined). */
  readonly onHealth: (error: StorageUnavailable | undefined) => void;
}

/** A replaced list of 10,000 friends makes 40,000 changes, which must be applied at once. */
const READ_AT_ONCE = 50_000;

interface ChangeRow {
  readonly id: string;
  readonly owner: string;
  readonly friend: string;
  readonly isAdded: boolean;
}

export class ChangeFeed {
  readonly #options: ChangeFeedOptions;
  #position: number;
  #listener: Client | undefined;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #isStopped = false;
  /** When it last said how far it has read (monotonic milliseconds). */
  #saidAt = -Infinity;
  #isConnecting = false;
  #hasFailed = false;

  /** `position` is the number of the last change before any list was read. */
  constructor(options: ChangeFeedOptions, position: number) {
    this.#options = options;
    this.#position = position;
  }

  start(): void {
    this.#timer = setInterval(() => this.#look(), READ_EVERY_MS).unref();
    this.#look();
  }

  /** Resolves when every change up to that number is applied and its watchers are notified. */
  async reach(position: number): Promise<void> {
    while (this.#position < position) await this.pull();
    await this.#running?.catch(() => undefined); // a pull that has passed the number may still be notifying
  }

  /** Reads the changes that are there now. Resolves when watchers are notified. Rejects with `StorageUnavailable`. */
  pull(): Promise<void> {
    if (this.#running === undefined) return this.#run();
    // The running one may have read before the change that the caller wants.
    return (this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.#run();
      }));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await this.#listener?.end().catch(() => undefined);
    await this.#running?.catch(() => undefined);
  }

  #look(): void {
    this.pull().then(
      () => this.#report(undefined),
      (error: unknown) => {
        if (!(error instanceof StorageUnavailable)) throw error;
        this.#report(error);
      },
    );
    if (this.#listener === undefined) void this.#listen();
  }

  async #listen(): Promise<void> {
    if (this.#isConnecting) return;
    this.#isConnecting = true;
    try {
      const client = await openClient(this.#options.url);
      client.on('notification', () => this.#look());
      client.once('end', () => (this.#listener = undefined));
      if (this.#isStopped) await client.end();
      else this.#listener = client;
      await client.query(`LISTEN ${CHANNEL}`);
    } catch {
      await this.#listener?.end().catch(() => undefined); // the next check tries again, and reports what fails
    } finally {
      this.#isConnecting = false;
    }
  }

  #run(): Promise<void> {
    return (this.#running = this.#readAll().finally(() => (this.#running = undefined)));
  }

  async #readAll(): Promise<void> {
    const before = this.#position;
    for (let isMore = true; isMore && !this.#isStopped;) isMore = await this.#readSome();
    if (this.#position === before && performance.now() - this.#saidAt < READ_EVERY_MS / 2) return;
    await this.#options.reached(this.#position);
    this.#saidAt = performance.now();
  }

  /** @returns whether there may be more. */
  async #readSome(): Promise<boolean> {
    const { connections, apply, missed } = this.#options;
    const [state] = await connections.query<{ position: string; forgotten: string }>(
      `SELECT ${POSITION} AS position, (SELECT up_to FROM presence_hub.forgotten) AS forgotten`,
      [],
    );
    if (state === undefined || Number(state.position) === this.#position) return false;
    if (Number(state.forgotten) > this.#position) {
      this.#position = Number(state.position);
      await missed();
      return true;
    }
    const rows = await connections.query<ChangeRow>(
      `SELECT id, owner, friend, is_added AS "isAdded" FROM presence_hub.change WHERE id > $1 ORDER BY id LIMIT $2`,
      [this.#position, READ_AT_ONCE],
    );
    const changes = rows.map(({ id, owner, friend, isAdded }) => ({ id: Number(id), user: owner, friend, isAdded }));
    const last = changes.at(-1);
    if (last === undefined) return false;
    this.#position = last.id;
    await apply(changes);
    return rows.length === READ_AT_ONCE;
  }

  #report(error: StorageUnavailable | undefined): void {
    if ((error !== undefined) === this.#hasFailed) return;
    this.#hasFailed = error !== undefined;
    this.#options.onHealth(error);
  }
}

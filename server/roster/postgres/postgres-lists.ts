/**
 * Friend lists in PostgreSQL. Every change, of this hub too, is applied and told by the feed alone, in the order in which
 * PostgreSQL made them.
 */
import { CachedRoster, type CachedRosterOptions } from '../cached-roster.ts';
import { StorageUnavailable } from '../../lib/storage-unavailable.ts';
import type { Edited, ListEdits, RosterEdit } from '../port.ts';
import type { RemoteLists } from '../remote.ts';
import { ChangeFeed } from './change-feed.ts';
import { Connections, explainPostgres, openClient } from './connection.ts';
import { POSITION, PostgresSource } from './postgres-source.ts';
import { migrate } from './schema.ts';

export interface PostgresListsOptions extends Pick<CachedRosterOptions, 'monoMs' | 'onHealth'> {
  readonly url: string;
  /** Maximum friends of one user. */
  readonly maxFriends: number;
}

const FORGET_EVERY_MS = 60_000;
/** Another hub may be bringing the tables up to date. */
const MIGRATION_WITHIN_MS = 60_000;

class PostgresEdits implements ListEdits {
  readonly #source: PostgresSource;
  readonly #feed: ChangeFeed;
  readonly #roster: CachedRoster;
  readonly #maxFriends: number;

  constructor(source: PostgresSource, feed: ChangeFeed, roster: CachedRoster, maxFriends: number) {
    this.#source = source;
    this.#feed = feed;
    this.#roster = roster;
    this.#maxFriends = maxFriends;
  }

  async edit(edit: RosterEdit): Promise<Edited> {
    const done = await this.#source.edit(edit, this.#maxFriends);
    if ('full' in done) return done;
    const { added, removed, position } = done;
    if (added + removed > 0) await this.#reach(position);
    return { added, removed };
  }

  async erase<T>(user: string, then: () => Promise<T>): Promise<T> {
    const position = await this.#source.erase(user);
    await this.#reach(position);
    const result = await then();
    await this.#source.forgetChanges(user, position);
    return result;
  }

  async refresh(user: string): Promise<void> {
    await this.#feed.pull();
    await this.#roster.refresh(user);
  }

  /** Waits until a stored change is told. */
  async #reach(position: number): Promise<void> {
    try {
      await this.#feed.reach(position);
    } catch (error) {
      if (!(error instanceof StorageUnavailable)) throw error;
      throw new StorageUnavailable(error.reason, error, 'the change is stored, but not told yet');
    }
  }

  stop(): void {
    // an edit in progress ends with its connection
  }
}

/** Opens the lists and brings their tables up to date. @throws {StartError} with one sentence for the operator. */
export async function openPostgresLists(options: PostgresListsOptions): Promise<RemoteLists> {
  const { url, maxFriends } = options;
  const position = await prepareTables(url);
  const connections = new Connections(url);
  const source = new PostgresSource(connections);
  const roster = new CachedRoster({ ...options, source, ttlMs: Infinity });
  const feed = new ChangeFeed(
    {
      ...options,
      connections,
      apply: (changes) => roster.apply(changes),
      missed: () => roster.refreshAll(),
    },
    position,
  );
  let timer: NodeJS.Timeout | undefined;
  return {
    roster,
    edits: new PostgresEdits(source, feed, roster, maxFriends),
    areReadOnly: false,
    start: (listener) => {
      roster.start(listener);
      feed.start();
      timer = setInterval(() => void source.forgetOld().catch(() => undefined), FORGET_EVERY_MS).unref();
    },
    stop: async () => {
      clearInterval(timer);
      roster.stop();
      await feed.stop();
      await connections.close();
    },
  };
}

/** Brings the tables up to date. @returns the number of the last change. @throws {StartError} */
export async function prepareTables(url: string): Promise<number> {
  try {
    const client = await openClient(url, { withinMs: MIGRATION_WITHIN_MS });
    try {
      await migrate(client);
      const read = await client.query<{ position: string }>(`SELECT ${POSITION} AS position`);
      return Number(read.rows[0]?.position ?? 0);
    } finally {
      await client.end();
    }
  } catch (error) {
    throw explainPostgres(url, error);
  }
}

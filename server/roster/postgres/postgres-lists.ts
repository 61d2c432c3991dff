/**
 * Friend lists in PostgreSQL. Every change, of this hub too, is applied and reported by the feed alone, in the order in which
 * PostgreSQL made them.
 */
import { CachedRoster, type CachedRosterOptions } from '../cached-roster.ts';
import { StorageUnavailable } from '../../lib/storage-unavailable.ts';
import type { Edited, ListEdits, RosterEdit } from '../port.ts';
import type { RemoteLists } from '../remote.ts';
import { ChangeFeed } from './change-feed.ts';
import { Connections, explainPostgres } from '../../storage/postgres/connection.ts';
import { migrateAnd } from '../../storage/postgres/migrations.ts';
import { POSITION, PostgresSource } from './postgres-source.ts';
import { Readers } from './readers.ts';
import { migrations } from './schema.ts';

export interface PostgresListsOptions extends Pick<CachedRosterOptions, 'slackMs' | 'monoMs' | 'onHealth'> {
  readonly url: string;
  /** The name of this hub. */
  readonly node: string;
  /** Maximum friends of one user. */
  readonly maxFriends: number;
}

const FORGET_EVERY_MS = 60_000;

interface PostgresEditsOptions {
  readonly source: PostgresSource;
  readonly feed: ChangeFeed;
  readonly readers: Readers;
  readonly roster: CachedRoster;
  readonly maxFriends: number;
}

class PostgresEdits implements ListEdits {
  readonly #options: PostgresEditsOptions;

  constructor(options: PostgresEditsOptions) {
    this.#options = options;
  }

  async edit(edit: RosterEdit): Promise<Edited> {
    const { source, maxFriends } = this.#options;
    const done = await source.edit(edit, maxFriends);
    if ('full' in done) return done;
    const { added, removed, position } = done;
    if (added + removed > 0) await this.#reportedEverywhere(position);
    return { added, removed };
  }

  async erase<T>(user: string, then: () => Promise<T>): Promise<T> {
    const { source } = this.#options;
    const position = await source.erase(user);
    await this.#reportedEverywhere(position);
    const result = await then();
    await source.forgetChanges(user, position);
    return result;
  }

  async refresh(user: string): Promise<void> {
    const { feed, roster } = this.#options;
    await feed.pull();
    await roster.refresh(user);
  }

  /** Waits until a stored change is reported by every hub. */
  async #reportedEverywhere(position: number): Promise<void> {
    const { feed, readers } = this.#options;
    try {
      await feed.reach(position);
      await readers.allReached(position);
    } catch (error) {
      if (!(error instanceof StorageUnavailable)) throw error;
      throw new StorageUnavailable(error.reason, error, 'the change is stored, but not reported everywhere yet');
    }
  }

  stop(): void {
    // an edit in progress ends with its connection
  }
}

/** Opens the lists and brings their tables up to date. @throws {StartError} with one sentence for the operator. */
export async function openPostgresLists(options: PostgresListsOptions): Promise<RemoteLists> {
  const { url, node, maxFriends } = options;
  const position = await prepareTables(url);
  const connections = new Connections(url);
  const readers = new Readers(connections, node);
  const source = new PostgresSource(connections);
  const roster = new CachedRoster({ ...options, source, ttlMs: Infinity });
  const feed = new ChangeFeed(
    {
      ...options,
      connections,
      apply: (changes) => roster.apply(changes),
      missed: () => roster.refreshAll(),
      reached: (position) => readers.reached(position),
    },
    position,
  );
  await readers.reached(position).catch((error: unknown) => {
    throw explainPostgres('HUB_ROSTER', url, error);
  });
  const forget = (): void => {
    // If it fails, the next round tries again, and the feed reports what is wrong.
    void Promise.all([source.forgetOld(), readers.forgetOld()]).catch(() => undefined);
  };
  let timer: NodeJS.Timeout | undefined;
  return {
    roster,
    edits: new PostgresEdits({ source, feed, readers, roster, maxFriends }),
    areReadOnly: false,
    followed: (users) => source.followed(users),
    start: (listener) => {
      roster.start(listener);
      feed.start();
      timer = setInterval(forget, FORGET_EVERY_MS).unref();
    },
    stop: async () => {
      clearInterval(timer);
      roster.stop();
      await feed.stop();
      await readers.leave().catch(() => undefined); // otherwise the others wait for it for some seconds
      await connections.close();
    },
  };
}

/** Brings the tables up to date. @returns the number of the last change. @throws {StartError} */
export function prepareTables(url: string): Promise<number> {
  return migrateAnd(url, migrations, async (client) => {
    const read = await client.query<{ position: string }>(`SELECT ${POSITION} AS position`);
    return Number(read.rows[0]?.position ?? 0);
  });
}

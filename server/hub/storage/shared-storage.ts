/**
 * What the hubs of a cluster keep together in PostgreSQL, besides friend lists. The driver is loaded only if a setting
 * asks for it.
 */
import type { UserStore } from '../../cluster/durable/port.ts';
import type { HistoryState } from '../../history/port.ts';
import type { SharedHistoryStore } from '../../history/shared-port.ts';
import type { HubContext } from '../context.ts';

export interface SharedStorage {
  readonly users: UserStore;
  /** Deletes what is stored of a user up to that version, also of a history that is off now. */
  readonly erase: (user: string, n: number) => Promise<void>;
  /** Null if history is off. */
  readonly history: { readonly store: SharedHistoryStore; readonly state: Pick<HistoryState, 'beganAt'> } | null;
}

/** @returns null on a single hub, and without a database. @throws {StartError} with one sentence for the operator. */
export async function openSharedStorage({ config, clock, onStop }: HubContext): Promise<SharedStorage | null> {
  const { redisUrl, databaseUrl: url, historyDays, historyPerDay } = config;
  if (redisUrl === null || url === null) return null;
  const [{ Connections, explainPostgres }, { migrateAnd }, { migrations }, { PostgresHistory }, { PostgresUsers }] =
    await Promise.all([
      import('../../storage/postgres/connection.ts'),
      import('../../storage/postgres/migrations.ts'),
      import('../../storage/postgres/schema.ts'),
      import('../../storage/postgres/postgres-history.ts'),
      import('../../storage/postgres/postgres-users.ts'),
    ]);
  await migrateAnd(url, migrations, async () => undefined);
  const connections = new Connections(url);
  onStop(() => connections.close());
  const users = new PostgresUsers(connections);
  const store = new PostgresHistory(connections, historyPerDay);
  const erase = async (user: string, n: number): Promise<void> => {
    await users.erase(user, n);
    await store.erase(user, n);
  };
  if (historyDays === 0) return { users, erase, history: null };
  try {
    return { users, erase, history: { store, state: await store.open(clock.now().wallMs) } };
  } catch (error) {
    throw explainPostgres(migrations.setting, url, error);
  }
}

/** What an export reads of a user in a cluster. Without a database, only Redis and the friend lists know anything. */
export function sharedExport({ shared }: { readonly shared: SharedStorage | null }) {
  const store = { blockersAfter: (...asked: [string, string]) => shared?.users.blockersAfter(...asked) ?? [] };
  const nothing = { read: () => [], gaps: () => [] };
  return { store, historyStore: shared?.history?.store ?? nothing };
}

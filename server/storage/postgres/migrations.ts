/**
 * Brings the tables of one part of the hub up to date. An advisory lock lets one hub at a time run the missing steps, each
 * in one transaction. Must not know what the tables hold.
 */
import type { ClientBase } from 'pg';
import { StartError } from '../../lib/start-error.ts';
import { explainPostgres, openClient } from './connection.ts';

export interface Migrations {
  /** The setting that names the database, for messages to the operator. */
  readonly setting: string;
  /** Holds the number of steps that were run. */
  readonly table: string;
  /** The number of the advisory lock. */
  readonly lock: number;
  readonly steps: readonly string[];
}

/** Another hub may be bringing the tables up to date. */
const MIGRATION_WITHIN_MS = 60_000;

/**
 * Takes the tables to the newest version, and then reads something on the same connection.
 *
 * @throws {StartError} with one sentence for the operator.
 */
export async function migrateAnd<T>(
  url: string,
  migrations: Migrations,
  read: (client: ClientBase) => Promise<T>,
): Promise<T> {
  try {
    const client = await openClient(url, { withinMs: MIGRATION_WITHIN_MS });
    try {
      await migrate(client, migrations);
      return await read(client);
    } finally {
      await client.end();
    }
  } catch (error) {
    throw explainPostgres(migrations.setting, url, error);
  }
}

async function migrate(client: ClientBase, { setting, table, lock, steps }: Migrations): Promise<void> {
  if ((await versionOf(client, table)) === steps.length) return; // also without the right to lock or create anything
  await client.query('SELECT pg_advisory_lock($1)', [lock]);
  try {
    await client.query('CREATE SCHEMA IF NOT EXISTS presence_hub');
    await client.query(`CREATE TABLE IF NOT EXISTS ${table} (one integer PRIMARY KEY, number integer NOT NULL)`);
    await client.query(`INSERT INTO ${table} VALUES (1, 0) ON CONFLICT DO NOTHING`);
    const found = await versionOf(client, table);
    if (found > steps.length) {
      throw new StartError(
        `${setting}: the schema presence_hub was written by a newer hub (version ${found}, this hub knows ${steps.length}): upgrade this hub`,
      );
    }
    for (const [index, step] of steps.entries()) {
      if (index < found) continue;
      await client.query('BEGIN');
      await client.query(step);
      await client.query(`UPDATE ${table} SET number = $1`, [index + 1]);
      await client.query('COMMIT');
    }
  } finally {
    await client.query('ROLLBACK');
    await client.query('SELECT pg_advisory_unlock($1)', [lock]);
  }
}

/** 0 if there is none. */
async function versionOf(client: ClientBase, table: string): Promise<number> {
  const found = await client.query<{ isThere: boolean }>(`SELECT to_regclass($1) IS NOT NULL AS "isThere"`, [table]);
  if (found.rows[0]?.isThere !== true) return 0;
  const read = await client.query<{ number: number }>(`SELECT number FROM ${table}`);
  return read.rows[0]?.number ?? 0;
}

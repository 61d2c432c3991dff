/**
 * Connections to PostgreSQL. Responsible for deadlines and for what an error means. Must not know tables.
 */
import { Client, DatabaseError, Pool, type ClientConfig, type PoolClient } from 'pg';
import { StartError } from '../../lib/start-error.ts';
import { StorageUnavailable } from '../../lib/storage-unavailable.ts';

/** How long a connection and a query may take. */
const WITHIN_MS = 5000;
const MAX_CONNECTIONS = 8;

function configOf(url: string, withinMs = WITHIN_MS): ClientConfig {
  return {
    connectionString: url,
    application_name: 'presence-hub',
    connectionTimeoutMillis: WITHIN_MS,
    query_timeout: withinMs,
    // The server gives up first, so that no query goes on whose answer nobody awaits.
    statement_timeout: withinMs - 500,
    idle_in_transaction_session_timeout: 2 * withinMs,
    keepAlive: true,
  };
}

export class Connections {
  readonly #pool: Pool;

  constructor(url: string) {
    this.#pool = new Pool({ ...configOf(url), max: MAX_CONNECTIONS, allowExitOnIdle: true });
    this.#pool.on('error', () => undefined); // an idle connection broke; the next query opens another one
  }

  /** Rejects with `StorageUnavailable` if PostgreSQL cannot answer. */
  async query<Row extends object>(sql: string, values: readonly unknown[]): Promise<Row[]> {
    try {
      return (await this.#pool.query<Row>(sql, [...values])).rows;
    } catch (error) {
      throw unavailable(error);
    }
  }

  /**
   * Runs `work` in one transaction. It is rolled back if `work` throws or returns undefined. Rejects with
   * `StorageUnavailable` if PostgreSQL cannot answer.
   */
  async transact<T>(work: (client: PoolClient) => Promise<T | undefined>): Promise<T | undefined> {
    let client: PoolClient | undefined;
    let isCommitting = false;
    try {
      client = await this.#pool.connect();
      await client.query('BEGIN');
      const result = await work(client);
      isCommitting = result !== undefined;
      await client.query(isCommitting ? 'COMMIT' : 'ROLLBACK');
      client.release();
      return result;
    } catch (error) {
      client?.release(true); // closing the connection rolls back
      throw isCommitting ? unconfirmed(error) : unavailable(error);
    }
  }

  close(): Promise<void> {
    return this.#pool.end();
  }
}

/**
 * Opens one connection for longer use. `withinMs`: how long a query may take. Its event `end` reports that it broke.
 */
export async function openClient(url: string, { withinMs = WITHIN_MS } = {}): Promise<Client> {
  const client = new Client(configOf(url, withinMs));
  client.on('error', () => undefined); // 'end' follows
  try {
    await client.connect();
    return client;
  } catch (error) {
    void client.end().catch(() => undefined);
    throw unavailable(error);
  }
}

function unavailable(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  if (error instanceof DatabaseError && isOurFault(error)) return error;
  return new StorageUnavailable(reasonOf(error), error);
}

/** It is not known whether a change was made whose commit was not answered. */
function unconfirmed(error: unknown): Error {
  const cause = error instanceof Error ? error : new Error(String(error));
  return new StorageUnavailable('did not answer in time', cause, 'the change may have been made');
}

/** Data that a table refuses and wrong SQL are bugs of the hub. */
function isOurFault({ code = '' }: DatabaseError): boolean {
  return code.startsWith('22') || code.startsWith('23') || code === '42601';
}

function reasonOf(error: Error): string {
  if (!(error instanceof DatabaseError)) return 'cannot be reached';
  switch (error.code) {
    case '25006':
      return 'is read-only';
    case '42501':
      return 'refuses the hub’s rights';
    case '57014':
      return 'took too long';
    case '53100':
      return 'has no room left';
    default:
      return 'refuses to answer';
  }
}

/** One sentence for the operator about an error during the start. `setting`: what names the database. */
export function explainPostgres(setting: string, url: string, error: unknown): unknown {
  if (error instanceof StartError || !(error instanceof Error)) return error;
  const client = new Client({ connectionString: url });
  const { host, port, database } = client;
  // Without a name in the URL, the driver takes that of the operating system, if the environment contains it.
  const user = client.user ?? 'nobody';
  const cause = error instanceof StorageUnavailable && error.cause instanceof Error ? error.cause : error;
  const at = `${setting}: PostgreSQL at ${host}:${port}`;
  const code = 'code' in cause ? String(cause.code) : '';
  const remedies: Readonly<Record<string, string>> = {
    '28P01': `refuses the password of "${user}": correct it`,
    '28000': `refuses the user "${user}": create the role with LOGIN, or correct the name or pg_hba.conf`,
    '3D000': `has no database "${database}": create it (createdb ${database}), or correct the name`,
    '42501': `does not let "${user}" use the schema presence_hub (${cause.message}): if its tables do not exist yet, run GRANT CREATE ON DATABASE ${database} TO "${user}"; otherwise make it their owner, or grant the rights that OPERATING.md and SECURITY.md list`,
    '25006': 'is read-only: give the address of the primary',
  };
  const remedy = remedies[code];
  if (remedy !== undefined) return new StartError(`${at} ${remedy}`);
  if (cause instanceof DatabaseError) return new StartError(`${at} fails (${cause.message}): fix it and start again`);
  return new StartError(
    `${at} cannot be reached (${code === '' ? cause.message : code}): start it, or correct the address`,
  );
}

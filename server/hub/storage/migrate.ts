/** `presence-hub migrate`: copies the friend lists of HUB_DATA to the PostgreSQL of HUB_ROSTER. Starts no hub. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../config/config.ts';
import { quoted } from '../../config/sources.ts';
import { StartError } from '../../lib/start-error.ts';
import type { Edge } from '../../roster/port.ts';
import { USER_ID_FORM } from '../../../shared/ids.ts';
import { MEMORY, openDatabase, type OpenedDatabase } from '../../storage/sqlite/database.ts';
import { SqliteRoster } from '../../storage/sqlite/sqlite-roster.ts';

const EDGES_AT_ONCE = 5000;

/** @returns the result as one sentence. @throws {StartError} with one sentence for the operator. */
export async function migrate(
  { data, roster: url, sqliteSync: sync }: Pick<Config, 'data' | 'roster' | 'sqliteSync'>,
  onProgress: (edges: number) => void,
): Promise<string> {
  if (!/^postgres(ql)?:/.test(url)) {
    throw new StartError(`HUB_ROSTER is "${url}": migrate copies to PostgreSQL, so give postgres://user@host/database`);
  }
  if (data === MEMORY || !existsSync(join(data, 'hub.sqlite'))) {
    throw new StartError(`HUB_DATA is "${data}", and there is no hub.sqlite in it: give the folder of the hub`);
  }
  const { copyEdges } = await import('../../roster/postgres/copy-edges.ts');
  const database = openDatabase(data, { sync, wallMs: Date.now() });
  try {
    const roster = new SqliteRoster(database);
    roster.complete();
    checkIds(database);
    const { edges, added } = await copyEdges(url, batchesOf(roster), (copied) => {
      onProgress(copied.edges);
    });
    return `${edges} edges of friend lists are in PostgreSQL, ${added} of them new. All other data stays in HUB_DATA.`;
  } finally {
    database.close();
  }
}

/**
 * Checks all ids before any is copied, because PostgreSQL refuses a wrong one without naming it. Only SQLite can check
 * for NUL: a driver may end a text there.
 */
function checkIds({ db, path }: OpenedDatabase): void {
  const wrong = db
    .prepare<Edge>(`SELECT user, friend FROM edge WHERE ${isWrong('user')} OR ${isWrong('friend')} LIMIT 1`)
    .get();
  if (wrong === undefined) return;
  throw new StartError(
    `HUB_DATA=${path} holds the friend ${quoted(wrong.friend)} of ${quoted(wrong.user)}, but an id ${USER_ID_FORM}: delete that row from the table edge of hub.sqlite, and start again`,
  );
}

const isWrong = (id: string): string =>
  `(${id} GLOB '*[^A-Za-z0-9._@:-]*' OR length(${id}) NOT BETWEEN 1 AND 128 OR length(CAST(${id} AS BLOB)) <> length(${id})
    OR ${id} IN ('.', '..'))`;

function* batchesOf(roster: SqliteRoster): Generator<readonly Edge[]> {
  let last: Edge = { user: '', friend: '' };
  for (;;) {
    const batch = roster.edgesAfter(last, EDGES_AT_ONCE);
    if (batch.length > 0) yield batch;
    if (batch.length < EDGES_AT_ONCE) return;
    last = batch.at(-1) ?? last;
  }
}

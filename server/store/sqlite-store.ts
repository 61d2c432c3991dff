/**
 * The store in SQLite: entries as they were last kept, and the record of runs from which each start learns how far the
 * hub clock may have got and what it can be sure of. Begins the run on opening, before anything is served.
 * Decides nothing about presence. Called by hub.ts (open, close), the core's owner (recall) and the write-behind (keep).
 */
import { inTransaction, type SqlDatabase, type SqlStatement } from '../lib/sqlite.ts';
import { explainStorage, type OpenedDatabase } from './database.ts';
import type { Store, StoredEntry, StoreState } from './port.ts';

export interface StoreOptions {
  /** The `code` of a user who is offline. */
  readonly offlineCode?: number;
}

interface RunRow {
  readonly bornAt: number;
  readonly ceiling: number;
  readonly certainFrom: number;
  readonly endedAt: number | null;
}

type EntryRow = Omit<StoredEntry, 'devices'> & { readonly devices: string };

export class SqliteStore implements Store {
  readonly state: StoreState;
  readonly #db: SqlDatabase;
  readonly #read: SqlStatement<EntryRow>;
  readonly #write: SqlStatement<never>;
  readonly #raise: SqlStatement<never>;
  readonly #end: SqlStatement<never>;

  /**
   * Begins a run: durably not cleanly ended, and nobody visible.
   * @throws {StorageError}
   */
  constructor(database: OpenedDatabase, { offlineCode = -1 }: StoreOptions = {}) {
    try {
      this.state = beginRun(database, offlineCode);
    } catch (error) {
      throw explainStorage(database.path, error);
    }
    const { db } = database;
    this.#db = db;
    this.#read = db.prepare(
      'SELECT user, status, code, since, last_seen AS lastSeen, devices, text, v FROM entry WHERE user = ?',
    );
    this.#write = db.prepare(`
      INSERT INTO entry (user, status, code, since, last_seen, devices, text, v) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (user) DO UPDATE SET
        status = excluded.status, code = excluded.code, since = excluded.since, last_seen = excluded.last_seen,
        devices = excluded.devices, text = excluded.text, v = excluded.v
      WHERE excluded.v >= entry.v`);
    this.#raise = db.prepare('UPDATE run SET ceiling = max(ceiling, ?)');
    this.#end = db.prepare('UPDATE run SET ended_at = ?');
  }

  recall(user: string): StoredEntry | undefined {
    const row = this.#read.get(user);
    if (row === undefined) return undefined;
    // Below certainFrom the row may be older than what an unclean run has told: it must not lose against that.
    const v = Math.max(row.v, this.state.certainFrom);
    return { ...row, devices: JSON.parse(row.devices) as string[], v };
  }

  keep(entries: readonly StoredEntry[]): void {
    inTransaction(this.#db, () => {
      for (const { user, status, code, since, lastSeen, devices, text, v } of entries) {
        this.#write.run(user, status, code, since, lastSeen, JSON.stringify(devices), text, v);
      }
    });
  }

  raiseCeiling(ceiling: number): void {
    this.#raise.run(ceiling);
  }

  closeCleanly(clock: number): void {
    this.#end.run(Math.max(clock, this.state.clockFloor));
  }
}

/** Reads how the last run ended, writes that this one has not, and turns whoever was left visible offline. */
function beginRun({ db, openedAt, durably }: OpenedDatabase, offlineCode: number): StoreState {
  const last = db
    .prepare<RunRow>('SELECT born_at AS bornAt, ceiling, certain_from AS certainFrom, ended_at AS endedAt FROM run')
    .get();
  const state = stateAfter(last, openedAt);
  // Past a power cut too: were this mark lost, an earlier clean end would vouch for what this run never wrote.
  durably(() => {
    db.prepare(
      `INSERT INTO run (one, born_at, ceiling, certain_from, ended_at) VALUES (1, ?, ?, ?, NULL)
       ON CONFLICT (one) DO UPDATE SET ceiling = excluded.ceiling, certain_from = excluded.certain_from, ended_at = NULL`,
    ).run(state.bornAt, Math.max(last?.ceiling ?? 0, state.clockFloor), state.certainFrom);
    db.prepare(
      `UPDATE entry SET status = 'offline', code = ?, since = ?, devices = '[]', text = NULL, v = ?
       WHERE status <> 'offline'`,
    ).run(offlineCode, state.clockFloor, state.clockFloor);
  });
  return state;
}

function stateAfter(last: RunRow | undefined, wallMs: number): StoreState {
  if (last === undefined) return { bornAt: wallMs, clockFloor: wallMs, certainFrom: wallMs };
  const { bornAt, certainFrom, ceiling, endedAt } = last;
  if (endedAt !== null) return { bornAt, clockFloor: Math.max(wallMs, endedAt + 1), certainFrom };
  const clockFloor = Math.max(wallMs, ceiling + 1);
  return { bornAt, clockFloor, certainFrom: clockFloor };
}

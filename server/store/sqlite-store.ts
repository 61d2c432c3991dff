/**
 * The store in SQLite: entries as they were last kept, and the record of runs from which each start learns how far the
 * hub clock may have got and what it can be sure of. Begins the run on opening, before anything is served.
 * Decides nothing about presence. Called by hub.ts (open, close), the core's owner (recall) and the write-behind (keep).
 */
import { inTransaction, type SqlDatabase, type SqlStatement } from '../lib/sqlite.ts';
import { explainStorage, type OpenedDatabase } from './database.ts';
import type { Recalled, Store, StoredBlock, StoredEntry, StoredSession, StoreState } from './port.ts';
import { WRITTEN_WITHIN_MS } from './write-behind.ts';

interface RunRow {
  readonly bornAt: number;
  readonly ceiling: number;
  readonly certainFrom: number;
  readonly endedAt: number | null;
  readonly sureUntil: number | null;
}

type EntryRow = Omit<StoredEntry, 'devices' | 'sessions'> & {
  readonly devices: string;
  readonly sessions: string | null;
};

/** Older versions of the hub did not store `startedAt`. */
type SessionInRow = Omit<StoredSession, 'startedAt'> & Partial<Pick<StoredSession, 'startedAt'>>;

const ENTRY = 'user, status, code, since, last_seen AS lastSeen, devices, text, v, sessions';

export class SqliteStore implements Store {
  readonly state: StoreState;
  readonly #db: SqlDatabase;
  readonly #read: SqlStatement<Recalled>;
  readonly #readWithSessions: SqlStatement<EntryRow>;
  readonly #write: SqlStatement<never>;
  readonly #readBlocks: SqlStatement<StoredBlock>;
  readonly #block: SqlStatement<never>;
  readonly #unblock: SqlStatement<never>;
  readonly #raise: SqlStatement<never>;
  readonly #sure: SqlStatement<never>;
  readonly #end: SqlStatement<never>;
  /** Nobody was ever kept: then a user who comes need not be looked up, which costs 11 µs where thousands come at once. */
  #isEmpty: boolean;

  /**
   * Begins a run: durably not cleanly ended, and sure of nothing later than the last end. `ceilingAheadMs`: how far
   * above what is given out a ceiling may be.
   * @throws {StorageError}
   */
  constructor(database: OpenedDatabase, ceilingAheadMs: number) {
    try {
      this.state = beginRun(database, ceilingAheadMs);
    } catch (error) {
      throw explainStorage(database.path, error);
    }
    const { db } = database;
    this.#db = db;
    this.#read = db.prepare('SELECT since, last_seen AS lastSeen, v FROM entry WHERE user = ?');
    this.#readWithSessions = db.prepare(`SELECT ${ENTRY} FROM entry WHERE sessions IS NOT NULL`);
    this.#write = db.prepare(`
      INSERT INTO entry (user, status, code, since, last_seen, devices, text, v, sessions)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (user) DO UPDATE SET
        status = excluded.status, code = excluded.code, since = excluded.since, last_seen = excluded.last_seen,
        devices = excluded.devices, text = excluded.text, v = excluded.v,
        sessions = excluded.sessions
      WHERE excluded.v >= entry.v`);
    this.#readBlocks = db.prepare('SELECT user, viewer, since, last_seen AS lastSeen, v FROM block');
    this.#block = db.prepare(
      'INSERT INTO block (user, viewer, since, last_seen, v) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    );
    this.#unblock = db.prepare('DELETE FROM block WHERE user = ? AND viewer = ?');
    this.#raise = db.prepare('UPDATE run SET ceiling = max(ceiling, ?)');
    this.#sure = db.prepare('UPDATE run SET sure_until = ?');
    this.#end = db.prepare('UPDATE run SET ended_at = ?');
    this.#isEmpty = db.prepare('SELECT 1 FROM entry LIMIT 1').get() === undefined;
  }

  recall(user: string): Recalled | undefined {
    const row = this.#isEmpty ? undefined : this.#read.get(user);
    return row === undefined ? undefined : { ...row, v: this.#certainV(row.v) };
  }

  withSessions(): StoredEntry[] {
    return this.#readWithSessions.all().map((row) => this.#toEntry(row));
  }

  keep(entries: readonly StoredEntry[]): void {
    this.#isEmpty = false;
    inTransaction(this.#db, () => {
      for (const { user, status, code, since, lastSeen, devices, text, v, sessions } of entries) {
        const kept = sessions.length === 0 ? null : JSON.stringify(sessions);
        this.#write.run(user, status, code, since, lastSeen, JSON.stringify(devices), text, v, kept);
      }
    });
  }

  blocks(): StoredBlock[] {
    return this.#readBlocks.all().map((row) => ({ ...row, v: this.#certainV(row.v) }));
  }

  block({ user, viewer, since, lastSeen, v }: StoredBlock): void {
    this.#block.run(user, viewer, since, lastSeen, v);
  }

  unblock(user: string, viewer: string): void {
    this.#unblock.run(user, viewer);
  }

  raiseCeiling(ceiling: number): void {
    this.#raise.run(ceiling);
  }

  setSureUntil(at: number | null): void {
    this.#sure.run(at);
  }

  closeCleanly(clock: number): void {
    this.#end.run(Math.max(clock, this.state.clockFloor));
  }

  #toEntry(row: EntryRow): StoredEntry {
    const sessions = row.sessions === null ? [] : (JSON.parse(row.sessions) as SessionInRow[]);
    return {
      ...row,
      devices: JSON.parse(row.devices) as string[],
      v: this.#certainV(row.v),
      sessions: sessions.map((session) => ({ ...session, startedAt: session.startedAt ?? 0 })),
    };
  }

  /** Below certainFrom a row may be older than what an unclean run has told: it must not lose against that. */
  #certainV(v: number): number {
    return v === 0 ? 0 : Math.max(v, this.state.certainFrom);
  }
}

/** Reads how the last run ended, and writes that this one has not. */
function beginRun({ db, openedAt, durably }: OpenedDatabase, ceilingAheadMs: number): StoreState {
  const last = db
    .prepare<RunRow>(
      `SELECT born_at AS bornAt, ceiling, certain_from AS certainFrom, ended_at AS endedAt, sure_until AS sureUntil
       FROM run`,
    )
    .get();
  const state = last === undefined ? firstState(openedAt) : stateAfter(last, openedAt, ceilingAheadMs);
  // Past a power cut too: were this mark lost, an earlier clean end would vouch for what this run never wrote. What is
  // not sure goes with it: a start that fails after this ends cleanly, and must not vouch for the end before it.
  durably(() => {
    db.prepare(
      `INSERT INTO run (one, born_at, ceiling, certain_from, ended_at, sure_until) VALUES (1, ?, ?, ?, NULL, ?)
       ON CONFLICT (one) DO UPDATE SET ceiling = excluded.ceiling, certain_from = excluded.certain_from, ended_at = NULL,
         sure_until = excluded.sure_until`,
    ).run(state.bornAt, Math.max(last?.ceiling ?? 0, state.clockFloor), state.certainFrom, state.sureUntil);
  });
  return state;
}

function firstState(wallMs: number): StoreState {
  return { bornAt: wallMs, clockFloor: wallMs, certainFrom: wallMs, lastRunEndedBy: null, sureUntil: null };
}

function stateAfter(last: RunRow, wallMs: number, ceilingAheadMs: number): StoreState {
  const { bornAt, ceiling, endedAt } = last;
  const lastRunEndedBy = endedAt ?? ceiling;
  const clockFloor = Math.max(wallMs, lastRunEndedBy + 1);
  const certainFrom = endedAt === null ? clockFloor : last.certainFrom;
  const sureUntil = last.sureUntil ?? endedAt ?? ceiling - ceilingAheadMs - WRITTEN_WITHIN_MS;
  return { bornAt, clockFloor, certainFrom, lastRunEndedBy, sureUntil };
}

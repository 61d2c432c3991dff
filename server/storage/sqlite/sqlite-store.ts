/**
 * The store in SQLite: entries as they were last stored, and the record of runs. From that record each start learns how
 * far the hub clock may have advanced and what it can be sure of. Begins the run on opening, before the hub serves.
 * Makes no decisions about presence.
 */
import { inTransaction, isOutOfRange, type SqlDatabase, type SqlStatement } from './sqlite.ts';
import { explainStorage, type OpenedDatabase } from './database.ts';
import type { OfflineEntry, Store, StoredBlock, StoredEntry, StoreState, Stranger } from '../port.ts';
import {
  isSoundBlock,
  isVersion,
  nameBlock,
  nameEntry,
  readAll,
  readEntry,
  type EntryRow,
  type OnCorrupt,
} from './read-rows.ts';
import { WRITTEN_WITHIN_MS } from '../write-behind.ts';

interface RunRow {
  readonly bornAt: number;
  readonly ceiling: number;
  readonly certainFrom: number;
  readonly endedAt: number | null;
  readonly sureUntil: number | null;
}

type BlockKey = Pick<StoredBlock, 'user' | 'viewer'>;

const BLOCK = 'user, viewer, since, last_seen AS lastSeen, v';
const ENTRY = 'user, status, code, since, last_seen AS lastSeen, devices, text, v, sessions';

export class SqliteStore implements Store {
  readonly state: StoreState;
  readonly #db: SqlDatabase;
  readonly #read: SqlStatement<OfflineEntry>;
  readonly #readWhole: SqlStatement<EntryRow>;
  readonly #readMany: SqlStatement<{ readonly found: string | null }>;
  readonly #readWithSessions: SqlStatement<EntryRow>;
  readonly #write: SqlStatement<never>;
  readonly #correct: SqlStatement<never>;
  readonly #keysWithSessions: SqlStatement<Pick<StoredEntry, 'user'>>;
  readonly #readBlocks: SqlStatement<StoredBlock>;
  readonly #readBlock: SqlStatement<StoredBlock>;
  readonly #blockKeys: SqlStatement<BlockKey>;
  readonly #block: SqlStatement<never>;
  readonly #unblock: SqlStatement<never>;
  readonly #unblockAll: SqlStatement<never>;
  readonly #blockers: SqlStatement<Pick<StoredEntry, 'user'>>;
  readonly #raise: SqlStatement<never>;
  readonly #sure: SqlStatement<never>;
  readonly #end: SqlStatement<never>;
  readonly #readStrangers: SqlStatement<Stranger & { readonly isStranger: number }>;
  readonly #forget: SqlStatement<never>;
  readonly #markForgotten: SqlStatement<never>;
  #forgottenAt: number;
  readonly #onCorrupt: OnCorrupt;
  /** Versions of this run may reach this ceiling so far. */
  #ceiling = 0;
  /**
   * Whether no entry was ever stored. A new user then needs no lookup, which costs 11 µs when thousands connect at
   * once.
   */
  #isEmpty: boolean;

  /**
   * Begins a run. Marks it durably as not cleanly ended, and as sure of nothing later than the last end.
   * `ceilingAheadMs` is how far a ceiling may be above the issued versions. `onCorrupt` receives each skipped row.
   * @throws {StorageError}
   */
  constructor(database: OpenedDatabase, ceilingAheadMs: number, onCorrupt: OnCorrupt = () => undefined) {
    this.#onCorrupt = onCorrupt;
    try {
      this.state = beginRun(database, ceilingAheadMs);
    } catch (error) {
      throw explainStorage(database.path, error);
    }
    const { db } = database;
    this.#db = db;
    this.#read = db.prepare('SELECT since, last_seen AS lastSeen, v FROM entry WHERE user = ?');
    this.#readWhole = db.prepare(`SELECT ${ENTRY} FROM entry WHERE user = ?`);
    // One row holds all users, because a separate row for each costs three times as much.
    this.#readMany = db.prepare(`
      SELECT group_concat(asked.key || ' ' || since || ' ' || coalesce(last_seen, '') || ' ' || v) AS found
      FROM json_each(?) AS asked CROSS JOIN entry ON user = asked.value`);
    this.#readWithSessions = db.prepare(`SELECT ${ENTRY} FROM entry WHERE sessions IS NOT NULL`);
    this.#correct = db.prepare('UPDATE entry SET since = ?, last_seen = ?, v = ? WHERE user = ?');
    this.#write = db.prepare(`
      INSERT INTO entry (user, status, code, since, last_seen, devices, text, v, sessions)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (user) DO UPDATE SET
        status = excluded.status, code = excluded.code, since = excluded.since, last_seen = excluded.last_seen,
        devices = excluded.devices, text = excluded.text, v = excluded.v,
        sessions = excluded.sessions
      WHERE excluded.v >= entry.v`);
    this.#keysWithSessions = db.prepare('SELECT user FROM entry WHERE sessions IS NOT NULL');
    this.#readBlocks = db.prepare(`SELECT ${BLOCK} FROM block`);
    this.#readBlock = db.prepare(`SELECT ${BLOCK} FROM block WHERE user = ? AND viewer = ?`);
    this.#blockKeys = db.prepare('SELECT user, viewer FROM block');
    this.#block = db.prepare(
      'INSERT INTO block (user, viewer, since, last_seen, v) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    );
    this.#unblock = db.prepare('DELETE FROM block WHERE user = ? AND viewer = ?');
    this.#unblockAll = db.prepare('DELETE FROM block WHERE user = ?');
    this.#blockers = db.prepare('SELECT user FROM block WHERE viewer = ? AND user > ? ORDER BY user LIMIT 100');
    this.#raise = db.prepare('UPDATE run SET ceiling = max(ceiling, ?)');
    this.#sure = db.prepare('UPDATE run SET sure_until = ?');
    this.#end = db.prepare('UPDATE run SET ended_at = ?');
    this.#readStrangers = db.prepare(`
      SELECT user, v, sessions IS NULL AND status = 'offline'
        AND NOT EXISTS (SELECT 1 FROM edge WHERE edge.friend = entry.user)
        AND NOT EXISTS (SELECT 1 FROM edge WHERE edge.user = entry.user)
        AND NOT EXISTS (SELECT 1 FROM block WHERE block.user = entry.user) AS isStranger
      FROM entry WHERE user > ? ORDER BY user LIMIT ?`);
    this.#forget = db.prepare('DELETE FROM entry WHERE user = ?');
    this.#markForgotten = db.prepare('UPDATE run SET forgotten_at = max(forgotten_at, ?)');
    this.#forgottenAt = db.prepare<{ at: number }>('SELECT forgotten_at AS at FROM run').get()?.at ?? 0;
    this.#isEmpty = db.prepare('SELECT 1 FROM entry LIMIT 1').get() === undefined;
  }

  recall(user: string): OfflineEntry | undefined {
    if (this.#isEmpty) return undefined;
    try {
      const row = this.#read.get(user);
      if (row === undefined) return undefined;
      if (isVersion(row.v, Math.max(this.state.clockFloor, this.#ceiling))) return { ...row, v: this.#certainV(row.v) };
      this.#onCorrupt(nameEntry(user));
      return undefined;
    } catch (error) {
      if (!isOutOfRange(error)) throw error;
      this.#onCorrupt(nameEntry(user));
      return undefined;
    }
  }

  recallMany(users: readonly string[]): readonly (OfflineEntry | undefined)[] {
    const entries = new Array<OfflineEntry | undefined>(users.length).fill(undefined);
    const found = this.#isEmpty ? null : this.#readMany.get(JSON.stringify(users))?.found;
    if (!found) return entries;
    for (const row of found.split(',')) {
      const [at, since, lastSeen, v] = row.split(' ');
      entries[Number(at)] = {
        since: Number(since),
        lastSeen: lastSeen === '' ? null : Number(lastSeen),
        v: this.#certainV(Number(v)),
      };
    }
    return entries;
  }

  correct(entries: readonly (OfflineEntry & Pick<StoredEntry, 'user'>)[]): void {
    inTransaction(this.#db, () => {
      for (const { user, since, lastSeen, v } of entries) this.#correct.run(since, lastSeen, v, user);
    });
  }

  withSessions(): StoredEntry[] {
    const rows = readAll(
      () => this.#readWithSessions.all(),
      () => this.#keysWithSessions.all(),
      ({ user }) => this.#readWhole.get(user),
      ({ user }) => {
        this.#onCorrupt(nameEntry(user));
      },
    );
    return rows.flatMap((row) => this.#toEntry(row) ?? []);
  }

  keep(entries: readonly StoredEntry[], alongside?: () => void): void {
    this.#isEmpty = false;
    inTransaction(this.#db, () => {
      for (const { user, status, code, since, lastSeen, devices, text, v, sessions } of entries) {
        const kept = sessions.length === 0 ? null : JSON.stringify(sessions);
        this.#write.run(user, status, code, since, lastSeen, JSON.stringify(devices), text, v, kept);
      }
      alongside?.();
    });
  }

  blocks(): StoredBlock[] {
    const skip = ({ user, viewer }: BlockKey): void => {
      this.#onCorrupt(nameBlock(user, viewer));
    };
    const rows = readAll(
      () => this.#readBlocks.all(),
      () => this.#blockKeys.all(),
      ({ user, viewer }) => this.#readBlock.get(user, viewer),
      skip,
    );
    return rows.flatMap((row) => {
      if (isSoundBlock(row, this.state.clockFloor)) return [{ ...row, v: this.#certainV(row.v) }];
      skip(row);
      return [];
    });
  }

  block({ user, viewer, since, lastSeen, v }: StoredBlock): void {
    this.#block.run(user, viewer, since, lastSeen, v);
  }

  unblock(user: string, viewer: string): void {
    this.#unblock.run(user, viewer);
  }

  strangersAfter(user: string, limit: number): { strangers: Stranger[]; last?: string } {
    const rows = this.#readStrangers.all(user, limit);
    const last = rows.length < limit ? undefined : rows.at(-1)?.user;
    const strangers = rows.filter(({ isStranger }) => isStranger === 1).map(({ user: id, v }) => ({ user: id, v }));
    return last === undefined ? { strangers } : { strangers, last };
  }

  forget(users: readonly string[], at: number): void {
    if (users.length === 0) return;
    inTransaction(this.#db, () => {
      this.#markForgotten.run(at);
      for (const user of users) this.#forget.run(user);
    });
    this.#forgottenAt = Math.max(this.#forgottenAt, at);
  }

  blockersAfter(viewer: string, after: string): readonly string[] {
    return this.#blockers.all(viewer, after).map(({ user }) => user);
  }

  erase(user: string, at: number): void {
    this.#unblockAll.run(user);
    this.forget([user], at);
  }

  get forgottenAt(): number {
    return this.#forgottenAt;
  }

  raiseCeiling(ceiling: number): void {
    this.#raise.run(ceiling);
    this.#ceiling = ceiling;
  }

  setSureUntil(at: number | null): void {
    this.#sure.run(at);
  }

  closeCleanly(clock: number): void {
    this.#end.run(Math.max(clock, this.state.clockFloor));
  }

  #toEntry(row: EntryRow): StoredEntry | undefined {
    const entry = readEntry(row, this.state.clockFloor);
    if (entry === undefined) this.#onCorrupt(nameEntry(row.user));
    return entry && { ...entry, v: this.#certainV(entry.v) };
  }

  /**
   * Below `certainFrom`, a row may be older than what an unclean run has sent. Its version must not be lower than that.
   */
  #certainV(v: number): number {
    return v === 0 ? 0 : Math.max(v, this.state.certainFrom);
  }
}

/** Reads how the last run ended, and marks that this one has not ended. */
function beginRun({ db, openedAt, durably }: OpenedDatabase, ceilingAheadMs: number): StoreState {
  const last = db
    .prepare<RunRow>(
      `SELECT born_at AS bornAt, ceiling, certain_from AS certainFrom, ended_at AS endedAt, sure_until AS sureUntil
       FROM run`,
    )
    .get();
  const state = last === undefined ? firstState(openedAt) : stateAfter(last, openedAt, ceilingAheadMs);
  // This must survive a power cut too. If the mark were lost, an earlier clean end would vouch for what this run never
  // wrote. The doubt is written with it, because a start that fails after this ends cleanly and must not vouch for the
  // end before it.
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

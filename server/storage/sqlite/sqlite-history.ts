/**
 * The history in SQLite: one row per transition, in the order of user and time, so that a month of one user is read in
 * one place. Limits how many single transitions a day of a user has. Knows nothing of presence.
 */
import { inTransaction, type SqlDatabase, type SqlStatement } from './sqlite.ts';
import type {
  Gap,
  HistoryState,
  HistoryStore,
  HistoryTransition,
  MergedTime,
  UserTransition,
} from '../../history/port.ts';
import type { ShownCause } from '../../../shared/messages/shown-cause.ts';
import type { UserStatus } from '../../../shared/status.ts';

/** Stored as their places in these lists: a new one goes to the end. */
const statuses: readonly UserStatus[] = ['offline', 'online', 'away', 'busy'];
const causes: readonly ShownCause[] = ['began', 'set', 'bye', 'closed', 'lapsed', 'kicked', 'node_lost', 'restored'];

interface Row {
  readonly at: number;
  readonly from: number;
  readonly to: number;
  readonly cause: number;
  /** `firstAt`, and the time in each of `statuses`, as JSON. */
  readonly merged: string | null;
}

const DAY_MS = 86_400_000;
/** Beyond the limit of a day, the transitions of this long are kept as one. */
const MERGED_MS = 600_000;
const DELETED_AT_ONCE = 500;
/** Users that one step of a purge visits: about 2 ms. Fewer would not keep up with many users who come once. */
const USERS_AT_ONCE = 100;
/** The user of gaps that concern everybody. No user id is empty. */
const EVERYBODY = '';
const COLUMNS = 'at, from_status AS "from", to_status AS "to", cause, merged';

export class SqliteHistory implements HistoryStore {
  readonly #db: SqlDatabase;
  readonly #perDay: number;
  readonly #add: SqlStatement<never>;
  readonly #remove: SqlStatement<never>;
  readonly #singles: SqlStatement<{ readonly count: number }>;
  readonly #read: SqlStatement<Row>;
  readonly #last: SqlStatement<Row>;
  readonly #readState: SqlStatement<HistoryState>;
  readonly #setState: SqlStatement<never>;
  readonly #sure: SqlStatement<never>;
  readonly #gaps: SqlStatement<Gap>;
  readonly #setGap: SqlStatement<never>;
  readonly #dropGap: SqlStatement<never>;
  readonly #endGaps: SqlStatement<never>;
  readonly #nextUser: SqlStatement<{ readonly user: string }>;
  readonly #purge: SqlStatement<never>;
  readonly #purgeGaps: SqlStatement<never>;
  readonly #erase: SqlStatement<never>;
  readonly #eraseGaps: SqlStatement<never>;
  readonly #blockBetween: SqlStatement<object>;

  /** `perDay`: maximum single transitions of a user in a day (UTC). */
  constructor({ db }: { readonly db: SqlDatabase }, perDay: number) {
    this.#db = db;
    this.#perDay = perDay;
    // Two transitions at the same moment, which a clock that was set back may cause, are kept as the last one.
    this.#add = db.prepare(`
      INSERT INTO history (user, at, from_status, to_status, cause, merged) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET to_status = excluded.to_status, cause = excluded.cause`);
    this.#remove = db.prepare('DELETE FROM history WHERE user = ? AND at = ?');
    this.#singles = db.prepare(`
      SELECT count(*) AS count FROM (
        SELECT 1 FROM history WHERE user = ? AND at >= ? AND at < ? AND merged IS NULL LIMIT ?)`);
    this.#read = db.prepare(`SELECT ${COLUMNS} FROM history WHERE user = ? AND at >= ? ORDER BY at LIMIT ?`);
    this.#last = db.prepare(`SELECT ${COLUMNS} FROM history WHERE user = ? AND at < ? ORDER BY at DESC LIMIT 1`);
    this.#readState = db.prepare('SELECT began_at AS beganAt, sure_until AS sureUntil FROM history_state');
    this.#setState = db.prepare('INSERT INTO history_state (one, began_at, sure_until) VALUES (1, ?, ?)');
    this.#sure = db.prepare('UPDATE history_state SET sure_until = ?');
    this.#gaps = db.prepare(`
      SELECT from_at AS "from", to_at AS "to" FROM history_gap
      WHERE user = ? AND from_at < ? AND (to_at IS NULL OR to_at > ?) ORDER BY from_at`);
    this.#setGap = db.prepare(`
      INSERT INTO history_gap (user, from_at, to_at) VALUES (?, ?, ?)
      ON CONFLICT DO UPDATE SET to_at = excluded.to_at`);
    this.#dropGap = db.prepare('DELETE FROM history_gap WHERE user = ? AND from_at = ?');
    this.#endGaps = db.prepare('UPDATE history_gap SET to_at = ? WHERE to_at IS NULL AND user <> ?');
    this.#nextUser = db.prepare('SELECT user FROM history WHERE user > ? LIMIT 1');
    this.#purge = db.prepare(`
      DELETE FROM history WHERE user = ?1 AND at IN (
        SELECT at FROM history WHERE user = ?1 AND at < ?2 ORDER BY at LIMIT ?3)`);
    this.#purgeGaps = db.prepare('DELETE FROM history_gap WHERE to_at < ?');
    this.#erase = db.prepare(`
      DELETE FROM history WHERE user = ?1 AND at IN (
        SELECT at FROM history WHERE user = ?1 ORDER BY at LIMIT ${DELETED_AT_ONCE})`);
    this.#eraseGaps = db.prepare('DELETE FROM history_gap WHERE user = ?');
    this.#blockBetween = db.prepare('SELECT 1 FROM block WHERE user = ? AND since >= ? AND since < ? LIMIT 1');
  }

  open(atMs: number): HistoryState {
    return inTransaction(this.#db, () => {
      this.#endGaps.run(atMs, EVERYBODY);
      const state = this.#readState.get();
      if (state !== undefined) return { ...state };
      this.#setState.run(atMs, atMs);
      return { beganAt: atMs, sureUntil: atMs };
    });
  }

  write(transitions: readonly UserTransition[], sureUntil: number): void {
    inTransaction(this.#db, () => {
      for (const transition of transitions) this.#write(transition);
      this.#sure.run(sureUntil);
    });
  }

  read(user: string, from: number, limit: number): HistoryTransition[] {
    return this.#read.all(user, from, limit).map(transitionOf);
  }

  lastBefore(user: string, at: number): HistoryTransition | undefined {
    const row = this.#last.get(user, at);
    return row && transitionOf(row);
  }

  gaps(user: string | null, from: number, to: number): Gap[] {
    return this.#gaps.all(user ?? EVERYBODY, to, from).map((gap) => ({ ...gap }));
  }

  setGap(user: string | null, { from, to }: Gap): void {
    this.#setGap.run(user ?? EVERYBODY, from, to);
  }

  setGaps(users: readonly string[], gap: Gap): void {
    inTransaction(this.#db, () => {
      for (const user of users) this.setGap(user, gap);
    });
  }

  dropGap(user: string | null, from: number): void {
    this.#dropGap.run(user ?? EVERYBODY, from);
  }

  purge(after: string, before: number): { readonly after: string } | undefined {
    return inTransaction(this.#db, () => {
      let left = DELETED_AT_ONCE;
      let done = after;
      for (let users = 0; users < USERS_AT_ONCE; users++) {
        const user = this.#nextUser.get(done)?.user;
        if (user === undefined) {
          this.#purgeGaps.run(before);
          return undefined;
        }
        left -= Number(this.#purge.run(user, before, left).changes);
        if (left === 0) break;
        done = user;
      }
      return { after: done };
    });
  }

  eraseSome(user: string): boolean {
    this.#eraseGaps.run(user);
    return Number(this.#erase.run(user).changes) === DELETED_AT_ONCE;
  }

  #write({ user, at, from, to, cause, merged }: UserTransition): void {
    const dayFrom = at - (at % DAY_MS);
    const singles = this.#singles.get(user, dayFrom, dayFrom + DAY_MS, this.#perDay)?.count ?? 0;
    if (merged !== null || singles < this.#perDay) {
      this.#insert(user, { at, from, to, cause, merged });
      return;
    }
    const last = this.lastBefore(user, at);
    const earlier = last?.merged ?? null;
    // A blocked viewer reads up to its block. If later transitions moved the end of the last ones, it would notice them.
    const mayMerge = last !== undefined && this.#blockBetween.get(user, last.at, at) === undefined;
    if (!mayMerge || earlier === null || earlier.firstAt < at - (at % MERGED_MS)) {
      this.#insert(user, { at, from, to, cause, merged: { firstAt: at, offline: 0, online: 0, away: 0, busy: 0 } });
      return;
    }
    this.#remove.run(user, last.at);
    const lasted = { ...earlier, [from]: earlier[from] + at - last.at };
    this.#insert(user, { at, from: last.from, to, cause, merged: lasted });
  }

  #insert(user: string, { at, from, to, cause, merged }: HistoryTransition): void {
    const times = merged && JSON.stringify([merged.firstAt, ...statuses.map((status) => merged[status])]);
    this.#add.run(user, at, statuses.indexOf(from), statuses.indexOf(to), causes.indexOf(cause), times);
  }
}

function transitionOf({ at, from, to, cause, merged }: Row): HistoryTransition {
  return {
    at,
    from: statuses[from] ?? 'offline',
    to: statuses[to] ?? 'offline',
    cause: causes[cause] ?? 'set',
    merged: merged === null ? null : mergedOf(merged),
  };
}

function mergedOf(text: string): MergedTime {
  const [firstAt = 0, offline = 0, online = 0, away = 0, busy = 0] = JSON.parse(text) as number[];
  return { firstAt, offline, online, away, busy };
}

/**
 * The tombstones of ended edges in SQLite, and the instant since which they are complete. Must not read or write edges.
 */
import { packFriends, unpack, type PackedList } from './friend-lists.ts';
import { inTransaction, type SqlDatabase, type SqlStatement } from './sqlite.ts';
import { TOMBSTONE_MS, type Edge } from '../../roster/port.ts';

/** Maximum tombstones deleted by one call, because the loop is blocked meanwhile. */
const FORGET_AT_ONCE = 500;

export class Tombstones {
  readonly #db: SqlDatabase;
  readonly #since: SqlStatement<PackedList>;
  readonly #add: SqlStatement<never>;
  readonly #remove: SqlStatement<never>;
  readonly #anyBefore: SqlStatement<{ readonly at: number }>;
  readonly #forget: SqlStatement<never>;
  readonly #erase: SqlStatement<never>;
  readonly #moveKeptFrom: SqlStatement<never>;
  /** The instant since which every tombstone is kept. */
  #keptFrom: number;

  constructor(db: SqlDatabase) {
    this.#db = db;
    this.#since = packFriends(db, 'tombstone WHERE user = ? AND at > ?');
    this.#add = db.prepare(
      'INSERT INTO tombstone (user, friend, at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET at = excluded.at',
    );
    this.#remove = db.prepare('DELETE FROM tombstone WHERE user = ? AND friend = ?');
    this.#anyBefore = db.prepare('SELECT at FROM tombstone WHERE at < ? LIMIT 1');
    this.#forget = db.prepare(
      `DELETE FROM tombstone
       WHERE (user, friend) IN (SELECT user, friend FROM tombstone WHERE at < ? ORDER BY at LIMIT ${FORGET_AT_ONCE})`,
    );
    this.#erase = db.prepare(
      `DELETE FROM tombstone WHERE (user, friend) IN (
         SELECT user, friend FROM tombstone WHERE user = ?1 OR friend = ?1 LIMIT ${FORGET_AT_ONCE})`,
    );
    this.#moveKeptFrom = db.prepare('UPDATE tombstones_kept SET from_at = max(from_at, ?)');
    this.#keptFrom = db.prepare<{ at: number }>('SELECT from_at AS at FROM tombstones_kept').get()?.at ?? 0;
  }

  /** Former friends whose edge ended after the instant; undefined if tombstones do not reach back that far. */
  since(user: string, sinceMs: number): string[] | undefined {
    return sinceMs < this.#keptFrom ? undefined : unpack(this.#since.get(user, sinceMs));
  }

  add({ user, friend }: Edge, atMs: number): void {
    this.#add.run(user, friend, atMs);
  }

  remove({ user, friend }: Edge): void {
    this.#remove.run(user, friend);
  }

  /** Deletes some tombstones that are too old. @returns whether some are left. */
  forget(nowMs: number): boolean {
    const before = nowMs - TOMBSTONE_MS;
    if (this.#anyBefore.get(before) !== undefined) {
      // The instant is stored only if something is deleted. Until then the earlier stored one is also true.
      inTransaction(this.#db, () => {
        this.#forget.run(before);
        this.#moveKeptFrom.run(before);
      });
    }
    this.#keptFrom = Math.max(this.#keptFrom, before);
    return this.#anyBefore.get(before) !== undefined;
  }

  /** Deletes some tombstones that name the user, as if none had been kept before `atMs`. @returns whether some may be left. */
  eraseSome(user: string, atMs: number): boolean {
    const deleted = inTransaction(this.#db, () => {
      this.#moveKeptFrom.run(atMs);
      return Number(this.#erase.run(user).changes);
    });
    this.#keptFrom = Math.max(this.#keptFrom, atMs);
    return deleted === FORGET_AT_ONCE;
  }
}

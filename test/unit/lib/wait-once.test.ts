/** Writes to a database that another program has locked: the loop waits for the lock once, not at every write. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  inTransaction,
  openSqlite,
  troubleOf,
  waitOnce,
  type SqlDatabase,
} from '../../../server/storage/sqlite/sqlite.ts';

let folder: string;
let db: SqlDatabase;
let waiting: SqlDatabase;
let other: SqlDatabase;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hub-wait-'));
  const file = join(folder, 'a.sqlite');
  db = openSqlite(file);
  db.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (x)');
  waiting = waitOnce(db, 20);
  other = openSqlite(file);
});
afterEach(() => {
  other.close();
  waiting.close();
  rmSync(folder, { recursive: true });
});

const waits = () => db.prepare<{ timeout: number }>('PRAGMA busy_timeout').get()?.timeout;

function insert(): string {
  try {
    waiting.prepare('INSERT INTO t VALUES (?)').run(1);
    return 'done';
  } catch (error) {
    return troubleOf(error);
  }
}

test('after a write that waited in vain no other one waits, until one succeeds (H16)', () => {
  other.exec('BEGIN IMMEDIATE');
  expect([waits(), insert(), waits(), insert(), waits()]).toEqual([20, 'busy', 0, 'busy', 0]);
  expect(() => inTransaction(waiting, () => undefined)).toThrow();
  other.exec('ROLLBACK');
  expect([insert(), waits()]).toEqual(['done', 20]);
});

test('a read that succeeds meanwhile does not make writes wait again', () => {
  other.exec('BEGIN IMMEDIATE');
  insert();
  expect(waiting.prepare('SELECT x FROM t').all()).toEqual([]);
  expect(waits()).toBe(0);
});

import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { inTransaction, openSqlite, troubleOf } from '../../../server/storage/sqlite/sqlite.ts';
import { StartError } from '../../../server/lib/start-error.ts';
import { openDatabase, StorageError, type OpenedDatabase } from '../../../server/storage/sqlite/database.ts';
import { migrate, NewerSchemaError, steps } from '../../../server/storage/sqlite/schema.ts';
import { CEILING_AHEAD_MS } from '../../../server/presence/version-clock.ts';
import { SqliteStore } from '../../../server/storage/sqlite/sqlite-store.ts';
import { needing } from '../../support/needs.ts';

let folder: string;
const opened: OpenedDatabase[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hub-database-'));
});
afterEach(() => {
  for (const database of opened.splice(0)) database.close();
  rmSync(folder, { recursive: true });
});

function open(path = folder): OpenedDatabase {
  const database = openDatabase(path, { sync: 'normal', wallMs: 1000 });
  opened.push(database);
  return database;
}

function closeAll(): void {
  for (const database of opened.splice(0)) database.close();
}

/** The sentence with which opening fails. */
function refusal(path = folder): string {
  try {
    open(path);
  } catch (error) {
    expect(error).toBeInstanceOf(StorageError);
    return (error as StorageError).message;
  }
  throw new Error('it opened');
}

function pragma(database: OpenedDatabase, name: string): unknown {
  return database.db.prepare<Record<string, unknown>>(`PRAGMA ${name}`).get()?.[name];
}

describe('HUB_DATA', () => {
  test('is created if it is missing, with the folders above it, for its owner alone', () => {
    const path = join(folder, 'a', 'b');
    open(path);
    expect(readdirSync(path)).toEqual(expect.arrayContaining(['hub.lock', 'hub.sqlite']));
    expect(statSync(path).mode & 0o077).toBe(0);
  });

  test('is opened with a write-ahead log, and synced as asked (S13)', () => {
    expect([pragma(open(), 'journal_mode'), pragma(open(join(folder, 'n')), 'synchronous')]).toEqual(['wal', 1]);
    const full = openDatabase(join(folder, 'f'), { sync: 'full', wallMs: 1000 });
    opened.push(full);
    expect(pragma(full, 'synchronous')).toBe(2);
  });

  test('waits for another program’s write, but not as long as what counts as a stall', () => {
    const { timeout } = open().db.prepare<{ timeout: number }>('PRAGMA busy_timeout').get()!;
    expect(timeout).toBeGreaterThan(0);
    expect(timeout).toBeLessThan(250);
  });

  test('is synced as asked again after a durable write, though that failed', () => {
    const database = open();
    const seen: unknown[] = [];
    database.durably(() => seen.push(pragma(database, 'synchronous')));
    expect(() =>
      database.durably(() => {
        throw new Error('no');
      }),
    ).toThrow('no');
    expect([...seen, pragma(database, 'synchronous')]).toEqual([2, 1]);
  });

  test('may be ":memory:", which leaves no file and is anyone’s own', () => {
    new SqliteStore(open(':memory:'), CEILING_AHEAD_MS).keep([]);
    new SqliteStore(open(':memory:'), CEILING_AHEAD_MS);
    expect(readdirSync('.')).not.toContain(':memory:');
  });

  test('can be read by another program while the hub has it open', () => {
    new SqliteStore(open(), CEILING_AHEAD_MS);
    const reader = openSqlite(join(folder, 'hub.sqlite'));
    expect(reader.prepare('SELECT born_at FROM run').get()).toEqual({ born_at: 1000 });
    reader.close();
  });

  test('has everything in hub.sqlite itself once it is closed', () => {
    const database = open();
    new SqliteStore(database, CEILING_AHEAD_MS).raiseCeiling(77_000);
    closeAll();
    copyFileSync(join(folder, 'hub.sqlite'), join(folder, 'copy.sqlite'));
    const copy = openSqlite(join(folder, 'copy.sqlite'));
    expect(copy.prepare('SELECT ceiling FROM run').get()).toEqual({ ceiling: 77_000 });
    copy.close();
  });

  test('can be opened again as soon as it is closed, or has failed to open', () => {
    writeFileSync(join(folder, 'hub.sqlite'), 'not a database, '.repeat(100));
    refusal();
    rmSync(join(folder, 'hub.sqlite'));
    open();
    closeAll();
    open();
  });
});

describe('an open that fails says why and what to do', () => {
  test('if HUB_DATA is a file', () => {
    const path = join(folder, 'file');
    writeFileSync(path, '');
    expect(refusal(path)).toBe(`HUB_DATA=${path} is a file: name a folder.`);
  });

  test('if it lies below a file', () => {
    writeFileSync(join(folder, 'file'), '');
    const path = join(folder, 'file', 'data');
    expect(refusal(path)).toMatch(
      /^HUB_DATA=.*\/file\/data can't be used \(ENOTDIR.*\): let .*, or name another folder\.$/,
    );
  });

  // Root may write anywhere but where no file can be made at all.
  test('if no file can be made in it', needing('Linux'), () => {
    expect(refusal('/proc')).toMatch(/^HUB_DATA=\/proc can't be used \(.*unable to open database file\): let .*\.$/);
  });

  test('if its user may not write', needing('a user other than root'), () => {
    const path = join(folder, 'locked');
    mkdirSync(path);
    chmodSync(path, 0o500);
    expect(refusal(path)).toMatch(/^HUB_DATA=.*\/locked can't be used \(.*\): let .*\.$/);
  });

  test('if another hub has it, within the same process too', () => {
    open();
    expect(refusal()).toBe(
      `HUB_DATA=${folder} is in use by another hub: stop that one, or give this one a folder of its own.`,
    );
  });

  test('if another program holds hub.sqlite', () => {
    open();
    closeAll();
    const other = openSqlite(join(folder, 'hub.sqlite'));
    other.exec('BEGIN IMMEDIATE');
    let message = '';
    try {
      new SqliteStore(open(), CEILING_AHEAD_MS);
    } catch (error) {
      message = (error as Error).message;
    }
    other.close();
    expect(message).toBe(
      `HUB_DATA=${folder} is locked by another program: close the program that has its hub.sqlite open for writing.`,
    );
  });

  test('if hub.sqlite was written by a newer hub, and leaves it as it is', () => {
    open().db.exec(`PRAGMA user_version = ${steps.length + 3}`);
    closeAll();
    expect(refusal()).toBe(
      `HUB_DATA=${folder} was written by a newer hub (its schema is ${steps.length + 3}, this hub knows up to ` +
        `${steps.length}): start that newer hub, or name another folder.`,
    );
    const db = openSqlite(join(folder, 'hub.sqlite'));
    expect(db.prepare('PRAGMA user_version').get()).toEqual({ user_version: steps.length + 3 });
    db.close();
  });

  test('if hub.sqlite is not a database', () => {
    writeFileSync(join(folder, 'hub.sqlite'), 'not a database, '.repeat(100));
    expect(refusal()).toMatch(
      /holds a broken hub\.sqlite \(file is not a database\): replace it by a backup \(presence-hub restore FILE --force\), or .*\.$/,
    );
  });

  test('if only a later page of it is broken', () => {
    const database = open();
    new SqliteStore(database, CEILING_AHEAD_MS).keep(
      Array.from({ length: 2000 }, (_, n) => ({
        user: `u${n}`,
        status: 'offline',
        code: -1,
        since: 1,
        lastSeen: 1,
        devices: [],
        sessions: [],
        text: null,
        v: n,
      })),
    );
    closeAll();
    const file = join(folder, 'hub.sqlite');
    const fd = openSync(file, 'r+');
    writeSync(fd, new Uint8Array(4096).fill(0x5a), 0, 4096, statSync(file).size - 4096);
    closeSync(fd);
    expect(refusal()).toContain('holds a broken hub.sqlite (');
  });

  test('if hub.lock is something else', () => {
    writeFileSync(join(folder, 'hub.lock'), 'mine, '.repeat(1000));
    expect(refusal()).toBe(`HUB_DATA=${folder} holds a hub.lock that is not a lock of a hub: delete that file.`);
  });

  test('as an error that the start prints on one line', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(() => open(join(folder, 'file'))).toThrow(StartError);
  });
});

describe('migrations', () => {
  const first = 'CREATE TABLE a (x)';
  const second = 'CREATE TABLE b (x); INSERT INTO b VALUES (1)';

  test('run the missing steps alone, in order', () => {
    const db = openSqlite(':memory:');
    migrate(db, [first]);
    migrate(db, [first, second]);
    migrate(db, [first, second]);
    expect(db.prepare('SELECT * FROM b').all()).toHaveLength(1);
    expect(db.prepare('PRAGMA user_version').get()).toEqual({ user_version: 2 });
    db.close();
  });

  test('leave the version before a step that fails, whole', () => {
    const db = openSqlite(':memory:');
    expect(() => migrate(db, [first, `${second}; INSERT INTO nowhere VALUES (1)`])).toThrow('nowhere');
    expect(db.prepare('PRAGMA user_version').get()).toEqual({ user_version: 1 });
    migrate(db, [first, second]);
    expect(db.prepare('SELECT * FROM b').all()).toHaveLength(1);
    db.close();
  });

  test('refuse a database that is ahead of them', () => {
    const db = openSqlite(':memory:');
    db.exec('PRAGMA user_version = 3');
    expect(() => migrate(db, [first])).toThrow(NewerSchemaError);
    db.close();
  });
});

describe('a transaction', () => {
  test('reports the first error if SQLite has rolled back by itself', () => {
    const db = openSqlite(':memory:');
    db.exec('CREATE TABLE t (x UNIQUE); INSERT INTO t VALUES (1)');
    expect(() => inTransaction(db, () => db.exec('INSERT OR ROLLBACK INTO t VALUES (1)'))).toThrow('UNIQUE');
    inTransaction(db, () => db.exec('INSERT INTO t VALUES (2)'));
    expect(db.prepare('SELECT count(*) AS n FROM t').get()).toEqual({ n: 2 });
    db.close();
  });

  test('that meets a full file is undone, named full, and the database works on', () => {
    const db = openSqlite(join(folder, 'small.sqlite'));
    db.exec('PRAGMA max_page_count = 4; CREATE TABLE t (x)');
    let trouble = '';
    try {
      inTransaction(db, () => {
        db.exec('INSERT INTO t VALUES (1)');
        db.exec('INSERT INTO t VALUES (zeroblob(100000))');
      });
    } catch (error) {
      trouble = troubleOf(error);
    }
    expect(trouble).toBe('full');
    expect(db.prepare('SELECT count(*) AS n FROM t').get()).toEqual({ n: 0 });
    inTransaction(db, () => db.exec('INSERT INTO t VALUES (2)'));
    db.close();
  });
});

/** What the files of a database hold of deleted rows: nothing after a scrub, or after the upgrade of an old database. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDatabase, type OpenedDatabase } from '../../../server/storage/sqlite/database.ts';
import { migrate, OVERWRITES_SINCE, steps } from '../../../server/storage/sqlite/schema.ts';
import { Scrubber } from '../../../server/storage/sqlite/scrub.ts';
import { openSqlite, type SqlDatabase } from '../../../server/storage/sqlite/sqlite.ts';

const ID = 'somebody-to-erase';
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'presence-hub-scrub-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const open = (): OpenedDatabase => openDatabase(folder, { sync: 'normal', wallMs: 1 });
const holdsId = (): boolean => readdirSync(folder).some((name) => readFileSync(join(folder, name)).includes(ID));

/** Makes edges in an order that moves rows between pages, and deletes those of the id. */
function makeAndDelete(db: SqlDatabase): void {
  const make = db.prepare('INSERT OR IGNORE INTO edge VALUES (?, ?, 1)');
  db.exec('BEGIN');
  for (let i = 0; i < 6000; i++) {
    const other = `u${(i * 7919) % 6007}${'x'.repeat((i * 31) % 20)}`;
    make.run(other, `f${(i * 104_729) % 6007}`);
    if (i % 10 === 0) make.run(ID, other);
    if (i % 10 === 5) make.run(other, ID);
  }
  db.exec('COMMIT');
  db.prepare('DELETE FROM edge WHERE user = ?1 OR friend = ?1').run(ID);
  db.prepare('DELETE FROM friend_list WHERE user = ?').run(ID);
}

test('a scrub removes the copies that SQLite leaves of moved rows, and no other row', async () => {
  const database = open();
  const scrubber = new Scrubber(database);
  makeAndDelete(database.db);
  const count = database.db.prepare<{ n: number }>('SELECT count(*) AS n FROM edge');
  const before = count.get()?.n;
  expect(scrubber.emptyLog()).toBe(true);
  expect(holdsId()).toBe(true); // otherwise this test shows nothing
  expect(await scrubber.scrub(ID)).toBe(true);
  expect(holdsId()).toBe(false);
  expect(count.get()?.n).toBe(before);
  database.close();
  await scrubber.close();
});

test('a scrub leaves a sound database, also for connections that had its pages in memory and write to them', async () => {
  const database = open();
  const { db } = database;
  const scrubber = new Scrubber(database);
  makeAndDelete(db);
  const rows = db.prepare<{ user: string; friend: string }>('SELECT user, friend FROM edge ORDER BY user, friend');
  const before = rows.all(); // reads every page
  expect(await scrubber.scrub(ID)).toBe(true);
  expect(rows.all()).toEqual(before);
  const move = db.prepare("UPDATE OR IGNORE edge SET friend = friend || 'y' WHERE user = ?");
  db.exec('BEGIN');
  for (const { user } of before) move.run(user);
  db.exec('COMMIT');
  expect(scrubber.emptyLog()).toBe(true);
  expect(holdsId()).toBe(false);
  expect(db.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
  database.close();
  await scrubber.close();
});

test('a scrub waits for a short reader, as the hub is itself while it copies the log', async () => {
  const database = open();
  const scrubber = new Scrubber(database);
  makeAndDelete(database.db);
  const reader = openSqlite(database.file);
  reader.exec('BEGIN');
  reader.prepare('SELECT count(*) FROM edge').get();
  const scrubbed = scrubber.scrub(ID);
  reader.exec('COMMIT');
  expect(await scrubbed).toBe(true);
  expect(holdsId()).toBe(false);
  reader.close();
  database.close();
  await scrubber.close();
});

test('a scrub fails while another program reads, and succeeds afterwards', async () => {
  const database = open();
  const scrubber = new Scrubber(database);
  makeAndDelete(database.db);
  const reader = openSqlite(database.file);
  reader.exec('BEGIN; SELECT count(*) FROM edge');
  expect(await scrubber.scrub(ID)).toBe(false);
  reader.exec('COMMIT');
  reader.close();
  expect(await scrubber.scrub(ID)).toBe(true);
  expect(holdsId()).toBe(false);
  database.close();
  await scrubber.close();
});

test('a database from before deleted rows were overwritten is rewritten once', () => {
  const old = openSqlite(join(folder, 'hub.sqlite'));
  old.exec('PRAGMA secure_delete = OFF');
  migrate(old, steps.slice(0, OVERWRITES_SINCE - 1));
  makeAndDelete(old);
  old.close();
  expect(holdsId()).toBe(true);
  open().close();
  expect(holdsId()).toBe(false);
});

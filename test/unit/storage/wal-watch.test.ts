/** The write-ahead log behind another program that reads for long, with real files. */
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { inTransaction, openSqlite, type SqlDatabase } from '../../../server/storage/sqlite/sqlite.ts';
import { openDatabase, type OpenedDatabase } from '../../../server/storage/sqlite/database.ts';
import { WalWatch, type GrowthCause } from '../../../server/storage/sqlite/wal-watch.ts';

const MIB = 1024 * 1024;
let folder: string;
let database: OpenedDatabase;
let reader: SqlDatabase;
let watch: WalWatch | undefined;
const grown: { readonly bytes: number; readonly cause: GrowthCause }[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hub-wal-'));
  database = openDatabase(folder, { sync: 'normal', wallMs: 1000 });
  database.db.exec('CREATE TABLE load (no INTEGER PRIMARY KEY, bytes TEXT)');
  reader = openSqlite(database.file);
  grown.length = 0;
});
afterEach(async () => {
  await watch?.stop();
  reader.close();
  database.close();
  rmSync(folder, { recursive: true });
});

const walMib = (): number => statSync(`${database.file}-wal`).size / MIB;
/** The same hundred rows again and again, as presence writes them. */
function write(mib: number): void {
  const statement = database.db.prepare<never>('INSERT OR REPLACE INTO load VALUES (?, ?)');
  const bytes = 'x'.repeat(MIB / 100);
  for (let round = 0; round < mib; round++) {
    inTransaction(database.db, () => {
      for (let no = 0; no < 100; no++) statement.run(no, bytes);
    });
  }
}
function startReading(): void {
  reader.exec('BEGIN');
  reader.prepare('SELECT count(*) AS count FROM load').get();
}
const beginWatch = (lookEveryMs = 50): void => {
  watch = new WalWatch({ ...database, lookEveryMs, onGrown: (bytes, cause) => grown.push({ bytes, cause }) });
};

test('is small again once the reader is gone, though nothing more is written, and was warned of once', async () => {
  write(1);
  startReading();
  beginWatch();
  write(40);
  await expect.poll(() => grown.length).toBe(1);
  expect(grown[0]!.cause).toBe('held');
  expect(grown[0]!.bytes).toBeGreaterThan(32_000_000);
  write(5);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(walMib()).toBeGreaterThan(40);
  reader.exec('COMMIT');
  await expect.poll(walMib, { timeout: 15_000 }).toBeLessThanOrEqual(16);
  expect(grown).toHaveLength(1);

  // The next one causes a warning again.
  await new Promise((resolve) => setTimeout(resolve, 200));
  startReading();
  write(40);
  await expect.poll(() => grown.length, { timeout: 5_000 }).toBe(2);
  reader.exec('COMMIT');
  await expect.poll(walMib, { timeout: 15_000 }).toBeLessThanOrEqual(16);
});

test('is small again while writes go on, none of which is lost or fails', async () => {
  write(1);
  startReading();
  beginWatch();
  write(40);
  reader.exec('COMMIT');
  const seeWrite = (): number => {
    write(0.01);
    return walMib();
  };
  await expect.poll(seeWrite, { timeout: 15_000, interval: 20 }).toBeLessThanOrEqual(16);
  expect(database.db.prepare<{ count: number }>('SELECT count(*) AS count FROM load').get()?.count).toBe(100);
});

test('is small again though writes never pause, none of which fails', async () => {
  const pages = database.db.prepare<never>('INSERT OR REPLACE INTO load VALUES (?, ?)');
  let no = 0;
  const writeAnywhere = (): void => {
    inTransaction(database.db, () => {
      for (let row = 0; row < 1500; row++) pages.run((no = (no * 7919 + 13) % 100_000), 'x'.repeat(200));
    });
  };
  for (let round = 0; round < 20; round++) writeAnywhere();
  startReading();
  beginWatch(500);
  while (walMib() < 40) writeAnywhere();
  await expect.poll(() => grown.length).toBe(1);
  reader.exec('COMMIT');
  const end = performance.now() + 20_000;
  while (walMib() > 15 && performance.now() < end) {
    writeAnywhere();
    await new Promise(setImmediate);
  }
  expect(walMib()).toBeLessThanOrEqual(15);
});

test('is not copied by the commits of the hub, which would wait for the disk', async () => {
  beginWatch();
  write(20);
  expect(walMib()).toBeGreaterThan(20);
  await expect.poll(walMib, { timeout: 15_000 }).toBeLessThanOrEqual(8);
  // The thread serves again.
  write(20);
  await expect.poll(walMib, { timeout: 15_000 }).toBeLessThanOrEqual(8);
});

test('is small again after one large transaction, and nobody is said to read', async () => {
  beginWatch();
  inTransaction(database.db, () => {
    const statement = database.db.prepare<never>('INSERT INTO load VALUES (?, ?)');
    for (let no = 0; no < 40; no++) statement.run(no, 'x'.repeat(MIB));
  });
  expect(walMib()).toBeGreaterThan(40);
  await expect.poll(walMib, { timeout: 15_000 }).toBeLessThanOrEqual(15);
  expect(grown).toEqual([]);
});

test('is warned of with the right cause if it cannot be copied', async () => {
  const file = join(folder, 'no.sqlite');
  mkdirSync(file);
  writeFileSync(`${file}-wal`, Buffer.alloc(33_000_000));
  watch = new WalWatch({ ...database, file, lookEveryMs: 50, onGrown: (bytes, cause) => grown.push({ bytes, cause }) });
  await expect.poll(() => grown, { timeout: 15_000 }).toEqual([{ bytes: 33_000_000, cause: 'failed' }]);
});

/**
 * Makes sure that the files of the database hold nothing of a deleted id: empties the write-ahead log, and looks for
 * remains in hub.sqlite. SQLite overwrites deleted rows (secure_delete). But a row that was moved to another page
 * before its deletion may have left a copy in the unused space of its first page (measured: in about 1 of 3 databases
 * with many inserts). Such space is overwritten in the file itself, because a VACUUM would hold up every write for about
 * 1 s per 100 MB. Nobody reads it, so nothing changes for SQLite, whatever else has the database open.
 */
import { readSync, statSync, writeSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { OpenedDatabase } from './database.ts';
import { MEMORY } from './database.ts';
import { versionOf } from './schema.ts';
import { isSqlError, openSqlite, troubleOf } from './sqlite.ts';

const READ_AT_ONCE = 1024 * 1024;
/** How often emptying the log is tried, because the hub itself may be copying it. That takes tens of milliseconds. */
const ATTEMPTS = 10;
const ATTEMPT_EVERY_MS = 30;
/** Pages that are overwritten in one turn of the event loop: about 2 ms. */
const PAGES_A_TURN = 100;

export class Scrubber {
  readonly #database: Pick<OpenedDatabase, 'file'>;
  #opened: Promise<FileHandle> | undefined;

  constructor(database: Pick<OpenedDatabase, 'file'>) {
    this.#database = database;
  }

  /**
   * Removes what is left of deleted rows with this id. @returns false if that is not possible now, because another
   * program reads the database. @throws StorageUnavailable if storage fails.
   */
  async scrub(id: string): Promise<boolean> {
    if (this.#database.file === MEMORY) return true;
    for (let attempt = 1; !this.emptyLog(); attempt++) {
      if (attempt === ATTEMPTS) return false;
      await delay(ATTEMPT_EVERY_MS);
    }
    const bytes = Buffer.from(id);
    const { handle, pageSize, pages } = await this.#pagesWith(bytes);
    for (let i = 0; i < pages.length; i += PAGES_A_TURN) {
      if (!this.#overwrite(handle, pageSize, pages.slice(i, i + PAGES_A_TURN), bytes)) return false;
      await new Promise(setImmediate);
    }
    if (pages.length === 0) return true;
    await handle.datasync();
    return this.emptyLog();
  }

  /** Copies the write-ahead log into the database and empties it. @returns false if a reader prevents it. */
  emptyLog(): boolean {
    const { file } = this.#database;
    if (file === MEMORY) return true;
    let db;
    try {
      // A connection of its own does not wait for readers.
      db = openSqlite(file);
      db.exec('PRAGMA busy_timeout = 0');
      return db.prepare<{ readonly busy: number }>('PRAGMA wal_checkpoint(TRUNCATE)').get()?.busy === 0;
    } catch (error) {
      if (!isSqlError(error)) throw error;
      return false;
    } finally {
      db?.close();
    }
  }

  /** Must not be called before the database is closed: closing any handle of a file drops SQLite's locks of it. */
  async close(): Promise<void> {
    await (await this.#opened)?.close();
  }

  /** Finds pages whose unused space contains these bytes. */
  async #pagesWith(bytes: Buffer): Promise<{ handle: FileHandle; pageSize: number; pages: number[] }> {
    const handle = await (this.#opened ??= open(this.#database.file, 'r+'));
    const buffer = Buffer.alloc(READ_AT_ONCE);
    const pages: number[] = [];
    let pageSize = 0;
    for (let at = 0; ;) {
      const { bytesRead } = await handle.read(buffer, 0, READ_AT_ONCE, at);
      if (at === 0) pageSize = pageSizeOf(buffer);
      for (let from = 0; from + pageSize <= bytesRead; from += pageSize) {
        const page = buffer.subarray(from, from + pageSize);
        if (unusedIn(page, at + from === 0 ? FILE_HEADER : 0).includes(bytes)) pages.push((at + from) / pageSize);
      }
      at += bytesRead;
      if (bytesRead < READ_AT_ONCE) return { handle, pageSize, pages };
    }
  }

  /**
   * Overwrites the unused space of pages, counted from 0, if it still contains these bytes. In one turn and under the lock
   * of writers, so that the file is newer than any copy of these pages. @returns false if another program prevents it.
   */
  #overwrite({ fd }: FileHandle, pageSize: number, pages: readonly number[], bytes: Buffer): boolean {
    if (!this.emptyLog()) return false;
    const { file } = this.#database;
    const db = openSqlite(file);
    try {
      db.exec('PRAGMA busy_timeout = 0; BEGIN IMMEDIATE');
      if (statSync(`${file}-wal`, { throwIfNoEntry: false })?.size) return false;
      const page = Buffer.alloc(pageSize);
      for (const number of pages) {
        if (readSync(fd, page, 0, pageSize, number * pageSize) < pageSize) continue;
        const unused = unusedIn(page, number === 0 ? FILE_HEADER : 0);
        if (!unused.includes(bytes)) continue;
        unused.fill(0);
        writeSync(fd, unused, 0, unused.length, number * pageSize + (unused.byteOffset - page.byteOffset));
      }
      // Any write makes all connections drop the pages that they keep in memory, which have the old contents.
      db.exec(`PRAGMA user_version = ${versionOf(db)}; COMMIT`);
      return true;
    } catch (error) {
      if (isSqlError(error) && troubleOf(error) === 'busy') return false;
      throw error;
    } finally {
      db.close();
    }
  }
}

/** The file format of SQLite (https://www.sqlite.org/fileformat2.html), sections 1.3 and 1.6. */
const FILE_HEADER = 100;
/** The sizes of the headers of pages by their type: pages inside the tree, and leaves. */
const headerSizes: ReadonlyMap<number, number> = new Map([
  [2, 12],
  [5, 12],
  [10, 8],
  [13, 8],
]);

function pageSizeOf(file: Buffer): number {
  const size = file.readUInt16BE(16);
  return size === 1 ? 65_536 : size;
}

/** The space between the cell pointers and the cells of a page. Empty for a page that is not part of a tree. */
function unusedIn(page: Buffer, headerAt: number): Buffer {
  const headerSize = headerSizes.get(page[headerAt] ?? 0);
  if (headerSize === undefined) return page.subarray(0, 0);
  const cells = page.readUInt16BE(headerAt + 3);
  const end = page.readUInt16BE(headerAt + 5) || 65_536;
  return page.subarray(headerAt + headerSize + 2 * cells, end);
}

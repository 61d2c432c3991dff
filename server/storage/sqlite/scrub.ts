/**
 * Makes sure that the files of the database hold nothing of a deleted id: empties the write-ahead log, and looks for
 * remains in hub.sqlite. SQLite overwrites deleted rows (secure_delete). But a row that was moved to another page
 * before its deletion may have left a copy in the unused space of its first page (measured: in about 1 of 3 databases
 * with many inserts). Such remains are removed by rewriting the database, which blocks the loop: about 1 s for 100 MB.
 */
import { open, type FileHandle } from 'node:fs/promises';
import type { OpenedDatabase } from './database.ts';
import { MEMORY } from './database.ts';
import { isSqlError, openSqlite } from './sqlite.ts';

const READ_AT_ONCE = 1024 * 1024;

export class Scrubber {
  readonly #database: Pick<OpenedDatabase, 'db' | 'file'>;
  #opened: Promise<FileHandle> | undefined;

  constructor(database: Pick<OpenedDatabase, 'db' | 'file'>) {
    this.#database = database;
  }

  /**
   * Removes what is left of deleted rows with this id. @returns false if that is not possible now, because another
   * program reads the database. @throws StorageUnavailable if storage fails.
   */
  async scrub(id: string): Promise<boolean> {
    const { db, file } = this.#database;
    if (file === MEMORY) return true;
    if (!this.emptyLog()) return false;
    if (!(await this.#mayHold(Buffer.from(id)))) return true;
    db.exec('VACUUM');
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

  /** Whether the unused space of a page contains these bytes. */
  async #mayHold(bytes: Buffer): Promise<boolean> {
    const handle = await (this.#opened ??= open(this.#database.file, 'r'));
    const buffer = Buffer.alloc(READ_AT_ONCE);
    let pageSize = 0;
    for (let at = 0; ;) {
      const { bytesRead } = await handle.read(buffer, 0, READ_AT_ONCE, at);
      if (at === 0) pageSize = pageSizeOf(buffer);
      for (let from = 0; from + pageSize <= bytesRead; from += pageSize) {
        const page = buffer.subarray(from, from + pageSize);
        if (unusedIn(page, at + from === 0 ? FILE_HEADER : 0).includes(bytes)) return true;
      }
      at += bytesRead;
      if (bytesRead < READ_AT_ONCE) return false;
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

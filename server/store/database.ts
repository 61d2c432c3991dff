/**
 * Opens HUB_DATA: the folder, the lock that keeps a second hub out, hub.sqlite with its settings and its schema.
 * Every way in which that can fail is a StorageError whose one sentence tells an operator the cause and what to do.
 * Must not know what the tables mean. Called by hub.ts at the start; the store and the roster work on what it opens.
 */
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import {
  inTransaction,
  isSqlError,
  openSqlite,
  troubleOf,
  waitOnce,
  type SqlDatabase,
  type SqlTrouble,
} from '../lib/sqlite.ts';
import { StartError } from '../lib/start-error.ts';
import { migrate, NewerSchemaError, steps } from './schema.ts';

export interface DatabaseOptions {
  /** `normal` survives the death of the process, `full` a power cut too (0.25 ms instead of 0.02 ms a commit, measured). */
  readonly sync: 'normal' | 'full';
  readonly wallMs: number;
}

export interface OpenedDatabase {
  readonly db: SqlDatabase;
  /** HUB_DATA as it was given. */
  readonly path: string;
  /** hub.sqlite, or `:memory:`. */
  readonly file: string;
  readonly openedAt: number;
  /** Runs `work` in one transaction that survives a power cut, whatever `sync` says. For the rare write that must. */
  readonly durably: (work: () => void) => void;
  /** Closes the file and lets the next hub in. */
  readonly close: () => void;
}

/** The HUB_DATA of a hub that forgets all at its end. */
export const MEMORY = ':memory:';

/** HUB_DATA can't be opened, or the run can't begin in it. */
export class StorageError extends StartError {}

/** Another hub has HUB_DATA open: in a rolling update, for as long as it takes leave. */
export class DataInUseError extends StorageError {}

/** The database opens, but not all of its pages are sound. */
class BrokenPagesError extends Error {}

/** How long a write waits for another program (a backup, an open sqlite3 shell) before it fails: the loop stands still. */
const BUSY_TIMEOUT_MS = 200;
/** Up to here every page is looked at on opening: 5 ms a MiB, measured. Broken pages of larger files show when read. */
const CHECKED_BYTES = 32 * 1024 * 1024;

/**
 * Opens the folder `path`, or `:memory:`.
 * @throws {StorageError}
 */
export function openDatabase(path: string, options: DatabaseOptions): OpenedDatabase {
  if (path === MEMORY) return openFile(path, path, undefined, options);
  makeFolder(path);
  const lock = takeLock(path);
  try {
    return openFile(path, join(resolve(path), 'hub.sqlite'), lock, options);
  } catch (error) {
    closeQuietly(lock);
    throw error;
  }
}

/** The sentence for an error that came while HUB_DATA was opened or its run begun. */
export function explainStorage(path: string, error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  const { message } = error instanceof Error ? error : new Error(String(error));
  const sentence = (cause: string, remedy: string): StorageError =>
    new StorageError(`HUB_DATA=${path} ${cause}: ${remedy}.`, { cause: error });
  if (error instanceof NewerSchemaError) {
    return sentence(
      `was written by a newer hub (its schema is ${error.found}, this hub knows up to ${error.known})`,
      'start that newer hub, or name another folder',
    );
  }
  switch (error instanceof BrokenPagesError ? 'broken' : (fileTroubles.get(codeOf(error)) ?? troubleOf(error))) {
    case 'busy':
      return sentence('is locked by another program', 'close what has its hub.sqlite open for writing');
    case 'full':
      return sentence('has no room left', 'free some space on its disk');
    case 'broken':
      return sentence(
        `holds a broken hub.sqlite (${message})`,
        'put a backup in its place, or move it away together with hub.sqlite-wal to start anew',
      );
    case 'io':
      return sentence(
        `can't be read or written (${message})`,
        'see that its disk has room and is sound, and that no limit on file sizes is in force (ulimit -f)',
      );
    case 'denied':
    case 'other':
      return sentence(
        `can't be used (${message})`,
        'let the user that runs the hub read and write it and all in it, or name another folder',
      );
  }
}

/** What the system says while the folder is made. */
const fileTroubles: ReadonlyMap<unknown, SqlTrouble> = new Map([
  ['ENOSPC', 'full'],
  ['EDQUOT', 'full'],
  ['EFBIG', 'io'],
  ['EIO', 'io'],
]);

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function makeFolder(path: string): void {
  try {
    makeFolders(resolve(path));
  } catch (error) {
    throw explainStorage(path, error);
  }
  if (!isDirectory(path)) throw new StorageError(`HUB_DATA=${path} is a file: name a folder.`);
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw explainStorage(path, error);
  }
}

/** Not `recursive`: where a folder can't be made in one that is there (/proc), Node 20 tries it for ever. */
function makeFolders(path: string): void {
  if (existsSync(path)) return;
  makeFolders(dirname(path));
  // Who is whose friend is nobody else's business on a shared machine.
  mkdirSync(path, { mode: 0o700 });
}

/**
 * Holds a lock on a file of its own, so that hub.sqlite stays open to readers and backups. The system frees it when the
 * process dies, however it dies.
 */
function takeLock(path: string): SqlDatabase {
  let lock: SqlDatabase | undefined;
  try {
    lock = openSqlite(join(resolve(path), 'hub.lock'));
    lock.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    if (lock !== undefined) closeQuietly(lock);
    const trouble = troubleOf(error);
    if (trouble === 'busy') {
      throw new DataInUseError(
        `HUB_DATA=${path} is in use by another hub: stop that one, or give this one a folder of its own.`,
      );
    }
    if (trouble === 'broken') {
      throw new StorageError(`HUB_DATA=${path} holds a hub.lock that is no lock of a hub: delete that file.`);
    }
    throw explainStorage(path, error);
  }
}

function openFile(
  path: string,
  file: string,
  lock: SqlDatabase | undefined,
  { sync, wallMs }: DatabaseOptions,
): OpenedDatabase {
  let opened: SqlDatabase | undefined;
  try {
    opened = openSqlite(file);
    const db = waitOnce(opened, BUSY_TIMEOUT_MS);
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${sync}`);
    checkPages(db);
    migrate(db, steps);
    return {
      db,
      path,
      file,
      openedAt: wallMs,
      durably(work) {
        db.exec('PRAGMA synchronous = FULL');
        try {
          inTransaction(db, work);
        } finally {
          db.exec(`PRAGMA synchronous = ${sync}`);
        }
      },
      close() {
        try {
          // Not left to SQLite: under Node 20's driver it goes on while a statement lives, and hub.sqlite alone, which
          // is what people copy, would lack what hub.sqlite-wal still holds.
          db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
        } catch (error) {
          // On a full disk. Nothing is lost: the next start reads hub.sqlite-wal too.
          if (!isSqlError(error)) throw error;
        } finally {
          closeQuietly(db);
          if (lock !== undefined) closeQuietly(lock);
        }
      },
    };
  } catch (error) {
    if (opened !== undefined) closeQuietly(opened);
    throw explainStorage(path, error);
  }
}

/** An error of the closing must not hide the one that led to it. */
function closeQuietly(db: SqlDatabase): void {
  try {
    db.close();
  } catch (error) {
    if (!isSqlError(error)) throw error;
  }
}

function checkPages(db: SqlDatabase): void {
  const size = db
    .prepare<{ bytes: number }>('SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size')
    .get();
  if (size === undefined || size.bytes > CHECKED_BYTES) return;
  const verdict = db.prepare<{ quick_check: string }>('PRAGMA quick_check(1)').get()?.quick_check;
  if (verdict !== 'ok') throw new BrokenPagesError(verdict);
}

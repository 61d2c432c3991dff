/**
 * Opens HUB_DATA: the folder, the lock that excludes a second hub, and hub.sqlite with its settings and schema. Every
 * failure is a StorageError whose message gives an operator the cause and the remedy. Must not know what the
 * tables mean.
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
} from './sqlite.ts';
import { StartError } from '../../lib/start-error.ts';
import { migrate, NewerSchemaError, OVERWRITES_SINCE, steps, versionOf } from './schema.ts';

export interface DatabaseOptions {
  /**
   * `normal` survives the end of the process, `full` also a power cut (0.25 ms a commit instead of 0.02 ms, measured).
   */
  readonly sync: 'normal' | 'full';
  readonly wallMs: number;
}

export interface OpenedDatabase {
  readonly db: SqlDatabase;
  /** HUB_DATA as given. */
  readonly path: string;
  /** hub.sqlite, or `:memory:`. */
  readonly file: string;
  readonly openedAt: number;
  /** Runs `work` in one transaction that survives a power cut whatever `sync` is. For the few writes that need it. */
  readonly durably: (work: () => void) => void;
  /** Closes the file and releases the lock. */
  readonly close: () => void;
}

/** The HUB_DATA of a hub that forgets everything when it stops. */
export const MEMORY = ':memory:';

/** HUB_DATA cannot be opened, or the run cannot begin in it. */
export class StorageError extends StartError {}

/** Another hub has HUB_DATA open. In a rolling update this lasts as long as that hub drains. */
export class DataInUseError extends StorageError {}

/** The database opens, but some of its pages are corrupt. */
class BrokenPagesError extends Error {}

/**
 * How long a write waits for another program (a backup, an open sqlite3 shell) before it fails. The loop is blocked
 * meanwhile.
 */
const BUSY_TIMEOUT_MS = 200;
/**
 * Up to this size, every page is checked on opening: 5 ms a MiB, measured. Corrupt pages of larger files are found when
 * read.
 */
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

/** Returns the sentence for an error while HUB_DATA was opened or its run was begun. */
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
      return lockedByOther(path);
    case 'full':
      return sentence('has no room left', 'free some space on its disk');
    case 'broken':
      return sentence(
        `holds a broken hub.sqlite (${message})`,
        'replace it by a backup (presence-hub restore FILE --force), or move it away together with hub.sqlite-wal to start with empty data',
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

export function lockedByOther(path: string): StorageError {
  return new StorageError(
    `HUB_DATA=${path} is locked by another program: close the program that has its hub.sqlite open for writing.`,
  );
}

/** Whether a disk is full or failed, or a limit on file sizes was met. */
export function isDiskTrouble(error: unknown): boolean {
  const trouble = fileTroubles.get(codeOf(error)) ?? troubleOf(error);
  return trouble === 'full' || trouble === 'io';
}

/** Kinds of system errors while the folder is created. */
const fileTroubles: ReadonlyMap<unknown, SqlTrouble> = new Map([
  ['ENOSPC', 'full'],
  ['EDQUOT', 'full'],
  ['EFBIG', 'io'],
  ['EIO', 'io'],
]);

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/** Creates HUB_DATA, also with the folders above it. @throws {StorageError} */
export function makeFolder(path: string): void {
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

/**
 * Creates folders one by one. With `recursive`, Node 20 loops forever if the parent folder does not allow it (/proc).
 */
function makeFolders(path: string): void {
  if (existsSync(path)) return;
  makeFolders(dirname(path));
  // Friend lists are private on a shared machine.
  mkdirSync(path, { mode: 0o700 });
}

/**
 * Locks a separate file, so that hub.sqlite stays open to readers and backups. The system releases the lock when the
 * process ends in any way. @throws {DataInUseError} if another process has it.
 */
export function takeLock(path: string): SqlDatabase {
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
      throw new StorageError(`HUB_DATA=${path} holds a hub.lock that is not a lock of a hub: delete that file.`);
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
    // Deleted rows are overwritten, because they may be those of a user who is erased.
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${sync}; PRAGMA secure_delete = ON`);
    checkPages(db);
    const version = versionOf(db);
    if (version > 0 && version < OVERWRITES_SINCE) db.exec('VACUUM');
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
          // SQLite's own checkpoint on closing is not enough. Under Node 20's driver, the database stays open while a
          // statement exists. hub.sqlite alone, which people copy, would then lack the contents of hub.sqlite-wal.
          db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
        } catch (error) {
          // This happens on a full disk. Nothing is lost, because the next start also reads hub.sqlite-wal.
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

/** An error while closing must not hide the one that led to it. */
export function closeQuietly(db: SqlDatabase): void {
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

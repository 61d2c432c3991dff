/**
 * Copies hub.sqlite into one file while a hub may be using it. Runs in a process of its own: SQLite reads one consistent
 * state, the hub goes on writing, and no turn of its loop waits. Decides nothing about restoring.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  type Stats,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { StartError } from '../../lib/start-error.ts';
import { closeQuietly, explainStorage } from './database.ts';
import { steps, versionOf } from './schema.ts';
import { openSqlite, troubleOf, type SqlDatabase } from './sqlite.ts';

/** What a copy holds. */
export interface Contents {
  readonly users: number;
  /** Entries of friend lists: two for each friendship that is mutual. */
  readonly friends: number;
  readonly bytes: number;
}

/** How long the copy waits for a moment in which the hub does not change the files themselves. */
const BUSY_TIMEOUT_MS = 5000;

/** A backup cannot be made or restored. The message is one sentence for the operator. */
export class BackupError extends StartError {}

/**
 * Copies the database in the folder `data` into `file`, which must not exist unless `mayReplace`. The file appears under
 * its name only when it is complete, checked and on disk. @throws {BackupError | StorageError}
 */
export function backUp(data: string, file: string, mayReplace: boolean): Contents {
  const source = join(resolve(data), 'hub.sqlite');
  if (!existsSync(source)) throw new BackupError(`HUB_DATA=${data} holds no hub.sqlite: name the folder of a hub`);
  if (isSameFile(source, file)) throw new BackupError(`${file} is the hub’s own file: name another one`);
  if (!mayReplace && existsSync(file)) throw new BackupError(`${file} exists: name another file, or give --force`);
  const parts = `${file}.part`;
  const lock = takeParts(parts, file);
  try {
    const part = join(parts, 'copy');
    rmSync(part, { force: true });
    rmSync(`${part}-journal`, { force: true });
    // SQLite accepts an empty file. Created here, it is private from the first byte on.
    closeSync(openSync(part, 'wx', 0o600));
    copyInto({ data, source, part, file });
    const contents = checkCopy(part, (why) => new BackupError(`HUB_DATA=${data} holds no sound data of a hub: ${why}`));
    syncToDisk(part);
    renameSync(part, file);
    syncToDisk(dirname(resolve(file)));
    return contents;
  } catch (error) {
    throw error instanceof StartError ? error : cannotWrite(file, messageOf(error));
  } finally {
    closeQuietly(lock);
    rmSync(parts, { recursive: true, force: true });
  }
}

/**
 * Takes the folder for the copy and all that SQLite writes beside it. A backup that was killed may have left it. The lock
 * excludes another backup into the same file, and ends with the process.
 */
function takeParts(parts: string, file: string): SqlDatabase {
  let lock: SqlDatabase | undefined;
  try {
    if (statOf(parts)?.isDirectory() !== true) mkdirSync(parts, { mode: 0o700 });
    lock = openSqlite(join(parts, 'lock'));
    lock.exec('PRAGMA journal_mode = MEMORY; PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    if (lock !== undefined) closeQuietly(lock);
    if (troubleOf(error) !== 'busy') throw cannotWrite(file, messageOf(error));
    throw new BackupError(`${file} is being written by another backup: wait for its end, or name another file`);
  }
}

function cannotWrite(file: string, why: string): BackupError {
  return new BackupError(
    `${file} can't be written (${why}): name a file on a disk that has room, in a folder of yours`,
  );
}

/**
 * Checks every page of a copy and counts its rows.
 * @throws what `refuse` makes of the reason, on one line, if it is no sound database of a hub.
 */
export function checkCopy(file: string, refuse: (why: string) => BackupError): Contents {
  const no = (why: string): BackupError => refuse(why.replaceAll(/\s*\n\s*/g, ' '));
  let db: SqlDatabase | undefined;
  try {
    db = openSqlite(file);
    // Unlike quick_check, it also compares each index with its table.
    const verdict = db.prepare<{ integrity_check: string }>('PRAGMA integrity_check(1)').get()?.integrity_check;
    if (verdict !== 'ok') throw no(verdict ?? 'it is empty');
    const version = versionOf(db);
    if (version > steps.length)
      throw no(`a newer hub wrote it (schema ${version}, and this one knows ${steps.length})`);
    if (version <= 0 || countIn(db, 'run') !== 1) throw no('it holds no run of a hub');
    return { users: countIn(db, 'entry'), friends: countIn(db, 'edge'), bytes: statSync(file).size };
  } catch (error) {
    throw error instanceof BackupError ? error : no(messageOf(error));
  } finally {
    db?.close();
  }
}

/** Makes sure that a file, or the names in a folder, survive a power cut. */
export function syncToDisk(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

interface Copy {
  readonly data: string;
  readonly source: string;
  readonly part: string;
  readonly file: string;
}

function copyInto({ data, source, part, file }: Copy): void {
  let db: SqlDatabase | undefined;
  try {
    db = openSqlite(source);
    db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    db.prepare('VACUUM INTO ?').run(part);
  } catch (error) {
    switch (troubleOf(error)) {
      case 'full':
        throw cannotWrite(file, messageOf(error));
      case 'io':
        throw new BackupError(
          `${file} can't be written, or HUB_DATA=${data} can't be read (${messageOf(error)}): see that their disks have room and are sound, and that no limit on file sizes is in force (ulimit -f)`,
        );
      default:
        throw explainStorage(data, error);
    }
  } finally {
    db?.close();
  }
}

/** Whether both names lead to one existing file, through links too. */
export function isSameFile(one: string, other: string): boolean {
  const [a, b] = [statOf(one), statOf(other)];
  return a !== undefined && a.dev === b?.dev && a.ino === b.ino;
}

/** Returns undefined for what does not exist or may not be seen. */
export function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

function countIn(db: SqlDatabase, table: 'run' | 'entry' | 'edge'): number {
  return db.prepare<{ count: number }>(`SELECT count(*) AS count FROM ${table}`).get()?.count ?? 0;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

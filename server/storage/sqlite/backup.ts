/**
 * Copies hub.sqlite into one file while a hub may be using it. Runs in a process of its own: SQLite reads one consistent
 * state, the hub goes on writing, and no turn of its loop waits. Decides nothing about restoring.
 */
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { StartError } from '../../lib/start-error.ts';
import { explainStorage } from './database.ts';
import { steps, versionOf } from './schema.ts';
import { openSqlite, type SqlDatabase } from './sqlite.ts';

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
  const part = `${file}.part`;
  try {
    rmSync(part, { force: true });
    // SQLite accepts an empty file. Created here, it is private from the first byte on.
    closeSync(openSync(part, 'wx', 0o600));
    copyInto(data, source, part);
    const contents = checkCopy(part, file);
    syncToDisk(part);
    renameSync(part, file);
    syncToDisk(dirname(resolve(file)));
    return contents;
  } catch (error) {
    rmSync(part, { force: true });
    throw error instanceof StartError ? error : new BackupError(`${file} can't be written (${messageOf(error)})`);
  }
}

/**
 * Checks every page of a copy and counts its rows. `name` is what the operator calls it. @throws {BackupError} if it is
 * no sound database of a hub.
 */
export function checkCopy(file: string, name: string): Contents {
  const no = (why: string): BackupError => new BackupError(`${name} is not a backup of a hub: ${why}`);
  let db: SqlDatabase | undefined;
  try {
    db = openSqlite(file);
    const verdict = db.prepare<{ quick_check: string }>('PRAGMA quick_check(1)').get()?.quick_check;
    if (verdict !== 'ok') throw no(verdict ?? 'it is empty');
    const version = versionOf(db);
    if (version > steps.length)
      throw no(`a newer hub wrote it (schema ${version}, and this one knows ${steps.length})`);
    if (version === 0 || countIn(db, 'run') !== 1) throw no('it holds no run of a hub');
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

function copyInto(data: string, source: string, part: string): void {
  let db: SqlDatabase | undefined;
  try {
    db = openSqlite(source);
    db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    db.prepare('VACUUM INTO ?').run(part);
  } catch (error) {
    throw explainStorage(data, error);
  } finally {
    db?.close();
  }
}

/** Whether both names lead to one existing file, through links too. */
function isSameFile(one: string, other: string): boolean {
  const [a, b] = [statSync(one), statSync(other, { throwIfNoEntry: false })];
  return a.dev === b?.dev && a.ino === b.ino;
}

function countIn(db: SqlDatabase, table: 'run' | 'entry' | 'edge'): number {
  return db.prepare<{ count: number }>(`SELECT count(*) AS count FROM ${table}`).get()?.count ?? 0;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

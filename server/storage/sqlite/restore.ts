/**
 * Puts a backup into a data folder that no hub uses. The next run continues as after an unclean end: its versions are
 * above every version that any run of this folder or of the backup has issued, so that none goes back for a client that
 * has seen later ones.
 */
import { copyFileSync, constants, existsSync, chmodSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { StartError } from '../../lib/start-error.ts';
import { BackupError, checkCopy, isSameFile, messageOf, statOf, syncToDisk, type Contents } from './backup.ts';
import { closeQuietly, explainStorage, isDiskTrouble, lockedByOther, makeFolder, takeLock } from './database.ts';
import { migrate, steps } from './schema.ts';
import { isSqlError, openSqlite, troubleOf, type SqlDatabase } from './sqlite.ts';

export interface Restored extends Contents {
  /** The hub clock up to which versions may have been issued, in ms since 1970. The next run begins above it. */
  readonly ceiling: number;
}

/** How far the last moment of which a run was sure may be before its ceiling. */
const CEILING_AHEAD_MS = 1000;

/**
 * Restores `file` into the folder `data`, which may hold data only if `mayReplace`.
 * @throws {BackupError | StorageError} and then `data` is as before.
 */
export function restore(file: string, data: string, mayReplace: boolean): Restored {
  checkFile(file, data);
  makeFolder(data);
  const lock = takeLock(data);
  const target = join(resolve(data), 'hub.sqlite');
  // A folder, because what SQLite has left beside the copy of a restore that was killed must not be applied to this one.
  const parts = `${target}.restoring`;
  const part = join(parts, 'copy');
  try {
    if (existsSync(target) && !mayReplace) {
      throw new BackupError(`HUB_DATA=${data} holds data: name an empty folder, or give --force to replace that data`);
    }
    rmSync(parts, { recursive: true, force: true });
    mkdirSync(parts, { mode: 0o700 });
    copyFileSync(file, part, constants.COPYFILE_EXCL);
    chmodSync(part, 0o600);
    const contents = checkCopy(part, (why) => notABackup(file, why));
    const ceiling = markUnclean(part, settle(target, data));
    syncToDisk(part);
    // A log of the old database must not be applied to the new one.
    for (const rest of [`${target}-wal`, `${target}-shm`]) rmSync(rest, { force: true });
    renameSync(part, target);
    syncToDisk(resolve(data));
    return { ...contents, ceiling };
  } catch (error) {
    if (error instanceof StartError) throw error;
    if (isDiskTrouble(error)) throw explainStorage(data, error);
    if (isSqlError(error)) throw notABackup(file, messageOf(error));
    throw new BackupError(`${file} can't be restored (${messageOf(error)})`);
  } finally {
    rmSync(parts, { recursive: true, force: true });
    closeQuietly(lock);
  }
}

/** @throws {BackupError} if it is no file that is complete by itself. */
function checkFile(file: string, data: string): void {
  const stats = statOf(file);
  if (stats === undefined) throw new BackupError(`${file} does not exist: ${REMEDY}`);
  if (!stats.isFile()) throw new BackupError(`${file} is not a file: ${REMEDY}`);
  if (isSameFile(file, join(resolve(data), 'hub.sqlite'))) {
    throw new BackupError(`${file} is the file of HUB_DATA=${data} itself: ${REMEDY}`);
  }
  if ((statOf(`${file}-wal`)?.size ?? 0) > 0) {
    throw new BackupError(
      `${file} is not complete, because the rest is in ${file}-wal: make a backup of its folder with presence-hub backup, and restore that`,
    );
  }
}

const REMEDY = 'name a file that presence-hub backup has made';

function notABackup(file: string, why: string): BackupError {
  return new BackupError(`${file} is not a backup of a hub: ${why}; ${REMEDY}`);
}

/** Returns up to which version a database may have issued; 0 if there is none, or it cannot be read. */
export function ceilingOf(file: string): number {
  try {
    return existsSync(file) ? using(file, lastOf) : 0;
  } catch (error) {
    if (isSqlError(error)) return 0;
    throw error;
  }
}

/**
 * Brings the database that is to be replaced into its one file, because hub.sqlite-wal is removed first. Returns its
 * ceiling; 0 if there is none, or it is broken, which is a good reason to restore.
 * @throws {StorageError} if it cannot be read for another reason.
 */
function settle(target: string, data: string): number {
  try {
    return existsSync(target) ? using(target, settled(data)) : 0;
  } catch (error) {
    const trouble = troubleOf(error);
    // `other`: it has no table of runs.
    if (isSqlError(error) && (trouble === 'broken' || trouble === 'other')) return 0;
    throw explainStorage(data, error);
  }
}

const settled =
  (data: string) =>
  (db: SqlDatabase): number => {
    const last = lastOf(db);
    const state = db.prepare<{ log: number; checkpointed: number }>('PRAGMA wal_checkpoint(PASSIVE)').get();
    if (state === undefined || state.checkpointed < state.log) throw lockedByOther(data);
    return last;
  };

function lastOf(db: SqlDatabase): number {
  return db.prepare<{ last: number }>('SELECT max(ceiling, coalesce(ended_at, 0)) AS last FROM run').get()?.last ?? 0;
}

function using<T>(file: string, use: (db: SqlDatabase) => T): T {
  const db = openSqlite(file);
  try {
    return use(db);
  } finally {
    closeQuietly(db);
  }
}

/**
 * Marks the last run as not cleanly ended, because later ones may have followed that the backup does not know. The next
 * run then trusts no stored version, and answers a `since` of a client with a full snapshot.
 */
function markUnclean(file: string, least: number): number {
  const db = openSqlite(file);
  try {
    // In one file, also if FILE is a copy of hub.sqlite itself.
    db.exec('PRAGMA journal_mode = DELETE');
    migrate(db, steps);
    db.prepare(
      `UPDATE run SET sure_until = coalesce(sure_until, ended_at, ceiling - ${CEILING_AHEAD_MS}),
         ceiling = max(ceiling, coalesce(ended_at, 0), ?), ended_at = NULL`,
    ).run(least);
    return db.prepare<{ ceiling: number }>('SELECT ceiling FROM run').get()?.ceiling ?? least;
  } finally {
    db.close();
  }
}

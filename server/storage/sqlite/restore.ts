/**
 * Puts a backup into a data folder that no hub uses. The next run continues as after an unclean end: its versions are
 * above every version that any run of this folder or of the backup has issued, so that none goes back for a client that
 * has seen later ones.
 */
import { copyFileSync, constants, existsSync, chmodSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { StartError } from '../../lib/start-error.ts';
import { BackupError, checkCopy, syncToDisk, type Contents } from './backup.ts';
import { closeQuietly, makeFolder, takeLock } from './database.ts';
import { migrate, steps } from './schema.ts';
import { isSqlError, openSqlite } from './sqlite.ts';

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
  if (!existsSync(file)) throw new BackupError(`${file} does not exist: name a file that presence-hub backup has made`);
  makeFolder(data);
  const lock = takeLock(data);
  const target = join(resolve(data), 'hub.sqlite');
  const part = `${target}.restoring`;
  try {
    if (existsSync(target) && !mayReplace) {
      throw new BackupError(`HUB_DATA=${data} holds data: name an empty folder, or give --force to replace that data`);
    }
    rmSync(part, { force: true });
    copyFileSync(file, part, constants.COPYFILE_EXCL);
    chmodSync(part, 0o600);
    const contents = checkCopy(part, file);
    const ceiling = markUnclean(part, ceilingOf(target));
    syncToDisk(part);
    // A log of the old database must not be applied to the new one.
    for (const rest of [`${target}-wal`, `${target}-shm`]) rmSync(rest, { force: true });
    renameSync(part, target);
    syncToDisk(resolve(data));
    return { ...contents, ceiling };
  } catch (error) {
    rmSync(part, { force: true });
    throw error instanceof StartError ? error : new BackupError(`${file} can't be restored (${String(error)})`);
  } finally {
    closeQuietly(lock);
  }
}

/** Returns up to which version a database may have issued; 0 if there is none, or it cannot be read. */
export function ceilingOf(file: string): number {
  if (!existsSync(file)) return 0;
  let db;
  try {
    db = openSqlite(file);
    const run = db.prepare<{ last: number }>('SELECT max(ceiling, coalesce(ended_at, 0)) AS last FROM run').get();
    return run?.last ?? 0;
  } catch (error) {
    if (isSqlError(error)) return 0; // a broken database is a good reason to restore
    throw error;
  } finally {
    if (db !== undefined) closeQuietly(db);
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

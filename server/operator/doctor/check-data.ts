/** Checks the data folder: whether it can be used, who else can read it, who uses it, and the room on its disk. */
import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Config } from '../../config/config.ts';
import { configOfWorker } from '../../config/worker-config.ts';
import { StartError } from '../../lib/start-error.ts';
import { DataInUseError, MEMORY, takeLock } from '../../storage/sqlite/database.ts';
import { asFinding, error, fine, warning, type Finding } from './finding.ts';

const MEGABYTE = 1_000_000;
/** Below this the hub may fail to store within the day. */
const FEW_BYTES = 50 * MEGABYTE;
/** A rewrite of hub.sqlite (erasure, upgrade) needs as much room as the file has, and the log some more. */
const SPARE_BYTES = 200 * MEGABYTE;

/** Of all workers, if there are several. */
export function checkData(config: Config, isRunning: boolean): readonly Finding[] {
  const { workers, data } = config;
  if (workers === 1 || data === MEMORY) return checkOne(data, isRunning);
  return Array.from({ length: workers }, (_, i) => checkOne(configOfWorker(config, i + 1).data, isRunning)).flat();
}

function checkOne(data: string, isRunning: boolean): readonly Finding[] {
  if (data === MEMORY) {
    return [warning('data', 'HUB_DATA is :memory:, so all is lost when the hub stops', 'set HUB_DATA to a folder')];
  }
  const folder = resolve(data);
  return existsSync(folder) ? checkFolder(data, folder, isRunning) : checkMissing(data, folder);
}

function checkMissing(data: string, folder: string): readonly Finding[] {
  let parent = dirname(folder);
  while (!existsSync(parent)) parent = dirname(parent);
  if (!statSync(parent).isDirectory() || !mayUse(parent)) {
    const remedy = 'create it for the user that runs the hub, or set HUB_DATA to another folder';
    return [error('data', `HUB_DATA=${data} does not exist and can't be created in ${parent}`, remedy)];
  }
  return [fine('data', `HUB_DATA=${data} does not exist yet: the start creates it`), checkDisk(parent, 0)];
}

function checkFolder(data: string, folder: string, isRunning: boolean): readonly Finding[] {
  if (!statSync(folder).isDirectory()) return [error('data', `HUB_DATA=${data} is a file`, 'name a folder')];
  const file = join(folder, 'hub.sqlite');
  if (!mayUse(folder) || (existsSync(file) && !mayUse(file, constants.R_OK | constants.W_OK))) {
    const remedy = 'let the user that runs the hub read and write it and all in it, and run doctor as that user';
    return [error('data', `HUB_DATA=${data} can't be read and written`, remedy)];
  }
  const bytes = existsSync(file) ? statSync(file).size : 0;
  return [checkRights(data, folder), ...checkLock(data, folder, isRunning), checkDisk(folder, bytes)];
}

function checkRights(data: string, folder: string): Finding {
  const others = statSync(folder).mode & 0o077;
  if (others === 0) return fine('data', `HUB_DATA=${data} is private, and can be read and written`);
  return warning('data', `HUB_DATA=${data} is open to other users of this machine`, `chmod 700 ${folder}`);
}

function checkLock(data: string, folder: string, isRunning: boolean): readonly Finding[] {
  // Without a lock file no hub has run here, and doctor leaves none behind.
  if (!existsSync(join(folder, 'hub.lock'))) return [fine('lock', `no hub uses HUB_DATA=${data}`)];
  try {
    takeLock(data).close();
    return [fine('lock', `no hub uses HUB_DATA=${data}`)];
  } catch (problem) {
    if (!(problem instanceof StartError)) throw problem;
    if (!(problem instanceof DataInUseError)) return [asFinding('lock', 'error', problem.message)];
    if (isRunning) return [fine('lock', `a running hub uses HUB_DATA=${data}`)];
    const says = `a hub uses HUB_DATA=${data}, but none answers at HUB_HOST and HUB_PORT`;
    return [warning('lock', says, 'run doctor with the settings of that hub, or stop it')];
  }
}

function checkDisk(folder: string, bytes: number): Finding {
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const says = `${Math.floor(free / MEGABYTE)} MB free for ${Math.ceil(bytes / MEGABYTE)} MB of data`;
  const remedy = 'free some space on the disk of HUB_DATA';
  if (free < FEW_BYTES) return error('disk', says, remedy);
  return free < bytes + SPARE_BYTES ? warning('disk', says, remedy) : fine('disk', says);
}

function mayUse(path: string, mode = constants.R_OK | constants.W_OK | constants.X_OK): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

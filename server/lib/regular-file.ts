/**
 * Reads a file that a setting names again, when it may have become something else. A plain read of a pipe that nobody
 * writes to would block a thread forever, and with it the end of the process; a device or a huge file would fill the
 * memory. For the first read at a start, pipes are allowed: `HUB_TLS_KEY=<(decrypt key)` is one.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';

const MAX_MIB = 16;
/** Opening a pipe returns at once. The constant is missing on Windows. */
const FLAGS = constants.O_RDONLY | ((constants.O_NONBLOCK as number | undefined) ?? 0);

/** @throws an error of the system, or one whose message completes "it can't be read". */
export async function readRegularFile(path: string): Promise<Buffer> {
  const file = await open(path, FLAGS);
  try {
    refuseUnlessRegular(await file.stat());
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/** Like `readRegularFile`. */
export function readRegularFileSync(path: string): Buffer {
  const descriptor = openSync(path, FLAGS);
  try {
    refuseUnlessRegular(fstatSync(descriptor));
    return readFileSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function refuseUnlessRegular(stats: { readonly size: number; isFile(): boolean }): void {
  if (!stats.isFile()) throw new Error('it is not a regular file');
  if (stats.size > MAX_MIB * 2 ** 20) throw new Error(`it is larger than ${MAX_MIB} MiB`);
}

/** Paths of files. dist/bench/lib is as deep below the repository as test/bench/lib, so one path fits both. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../..', import.meta.url));
export const hubMain = join(root, 'dist/server/main.js');

/**
 * Vitest's global setup for tests that start processes: builds dist/ if it is out of date, so that no test's own time
 * includes it. A failed build does not end the run: the tests that need dist/ start the hub through launch.mjs, which
 * builds again and says what is wrong, and all others can still be judged.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export function setup(): void {
  const build = fileURLToPath(new URL('../../server/build.mjs', import.meta.url));
  spawnSync(process.execPath, [build], { stdio: 'inherit' });
}

/**
 * The pages' half of the build: Vite makes of client/page and client/dashboard what the hub serves, hashed files in
 * `assets/` beside an `index.html` that holds no script and no style of its own (pages.ts forbids both). Types are tsc's
 * matter. Called by build.mjs as a process, since it is slow to load and a start with a fresh dist/ should not pay for it.
 */
import { existsSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** The friend page's addresses are relative; the dashboard is at `/admin`, which is no folder to a browser. */
const PAGES = [
  { room: 'client/page', base: './' },
  { room: 'client/dashboard', base: '/admin/' },
];

const { build } = await import('vite').catch((error) => {
  const [what] = String(error.message).split('\n');
  process.stderr.write(
    `presence-hub: the build needs Vite, which does not load (${what}): run npm ci without --omit; ` +
      'SECURITY.md says how to leave out uWebSockets.js\n',
  );
  process.exit(1);
});

for (const { room, base } of PAGES.filter((page) => existsSync(join(root, page.room, 'index.html')))) {
  const output = join(root, 'dist', room);
  // Not the whole folder: the compiler writes declarations there, which the tests read.
  for (const name of ['index.html', 'assets']) rmSync(join(output, name), { recursive: true, force: true });
  await build({
    root: join(root, room),
    base,
    configFile: false,
    publicDir: false,
    envDir: false,
    logLevel: 'warn',
    clearScreen: false,
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    // A worker of the SDK is a module too.
    worker: { format: 'es' },
    build: {
      outDir: output,
      emptyOutDir: false,
      // What is written into the page would be against its own policy.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
    },
  });
}

/**
 * The part of the build that needs a bundler. Vite turns client/page and client/dashboard into what the hub serves: hashed
 * files in `assets/` beside an `index.html` that contains no script and no style (pages.ts forbids both). client/docs becomes
 * the template that server/docs fills with the documentation. Vite also turns the SDK's worker into one file. Checks no types: tsc does. A process of its own, because Vite is slow to load and a start
 * with a fresh dist/ does not need it.
 */
import { existsSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/**
 * All addresses are relative, so that a proxy may serve the hub below a path. The dashboard is at `admin`, which is no
 * folder to a browser, so its page names the folder of its files.
 */
const PAGES = [
  { room: 'client/page', base: './' },
  { room: 'client/dashboard', base: './', folder: 'admin/' },
  { room: 'client/docs', base: './' },
];

const { build } = await import('vite').catch((error) => {
  const [what] = String(error.message).split('\n');
  process.stderr.write(
    `presence-hub: the build needs Vite, which does not load (${what}): run npm ci without --omit; ` +
      'SECURITY.md says how to leave out uWebSockets.js\n',
  );
  process.exit(1);
});

for (const { room, base, folder = '' } of PAGES.filter((page) => existsSync(join(root, page.room, 'index.html')))) {
  const output = join(root, 'dist', room);
  // Not the whole folder: the compiler writes declarations there, which the tests read.
  for (const name of ['index.html', 'assets']) rmSync(join(output, name), { recursive: true, force: true });
  await build({
    root: join(root, room),
    base,
    experimental: {
      renderBuiltUrl: (name, { hostType }) => (hostType === 'html' ? `./${folder}${name}` : { relative: true }),
    },
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

if (existsSync(join(root, 'client/docs/index.html'))) {
  const { buildDocs } = await import('./docs/site.mjs');
  buildDocs(root, join(root, 'dist/client/docs'));
}

// Without imports and exports, because most bundlers make a classic script of a worker, and some only copy the file.
const worker = join(root, 'client/sdk/worker.ts');
if (existsSync(worker)) {
  await build({
    root,
    configFile: false,
    publicDir: false,
    envDir: false,
    logLevel: 'warn',
    clearScreen: false,
    build: {
      target: 'es2023',
      outDir: join(root, 'dist/client/sdk'),
      emptyOutDir: false,
      minify: false,
      reportCompressedSize: false,
      rolldownOptions: {
        input: worker,
        output: { format: 'iife', codeSplitting: false, entryFileNames: 'worker.bundle.js' },
      },
    },
  });
}

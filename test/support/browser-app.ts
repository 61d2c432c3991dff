/**
 * Small pages for tests in a browser: built by Vite from an entry among the tests, in React's development mode (StrictMode
 * does nothing in the other), into a folder that a test serves.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { serveFolders } from './static-server.ts';

export interface BrowserApp {
  readonly origin: string;
  /** The same page at a path, with this in its body before the script runs. */
  page(name: string, body: string): void;
  stop(): Promise<void>;
}

/** Builds and serves `test/browser/apps/ENTRY`. */
export async function startBrowserApp(entry: string): Promise<BrowserApp> {
  const folder = mkdtempSync(join(tmpdir(), 'hub-app-'));
  const name = basename(entry, extname(entry));
  await build({
    configFile: false,
    logLevel: 'error',
    mode: 'development',
    define: { 'process.env.NODE_ENV': '"development"' },
    publicDir: false,
    build: {
      outDir: folder,
      emptyOutDir: true,
      minify: false,
      modulePreload: false,
      rolldownOptions: {
        input: fileURLToPath(new URL(`../browser/apps/${entry}`, import.meta.url)),
        output: { entryFileNames: `${name}.js` },
      },
    },
  });
  const server = await serveFolders([folder]);
  const page: BrowserApp['page'] = (path, body) =>
    writeFileSync(
      join(folder, path),
      `<!doctype html><html lang="en"><title>${name}</title><link rel="icon" href="data:,">${body}<script type="module" src="/${name}.js"></script></html>`,
    );
  page('index.html', '<main id="root"></main>');
  return {
    origin: server.origin,
    page,
    stop: async () => {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/**
 * The package as it would be published: what is in it, that its entries resolve with their types, and what they weigh.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { publint } from 'publint';
import { build, type Rolldown } from 'vite';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { packInto, run } from '../support/packed.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

const repository = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;
let tarball: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hub-package-'));
  tarball = await packInto(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('holds what is run and read, and nothing of how it is made', async () => {
  const names = (await run('tar', ['-tzf', tarball], folder)).split('\n').map((name) => name.replace(/^package\//, ''));
  const { exports, bin } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
    exports: Record<string, string | { types: string; default: string }>;
    bin: Record<string, string>;
  };
  const entries = Object.values(exports).flatMap((entry) =>
    typeof entry === 'string' ? [entry] : Object.values(entry),
  );
  const pages = [
    'README.md',
    'client/README.md',
    'shared/PROTOCOL.md',
    'shared/CLUSTER.md',
    'shared/ERRORS.md',
    'shared/GLOSSARY.md',
    'shared/WEBHOOKS.md',
    'shared/LEGACY-CLIENTS.md',
    'shared/INSTALL.md',
    'shared/OPERATING.md',
    'deploy/systemd/presence-hub.service',
    'shared/PROXIES.md',
    'shared/SECURE-SETUP.md',
    'shared/SIZING.md',
    'LICENSE',
  ];
  for (const path of [
    ...entries,
    ...Object.values(bin),
    ...pages,
    'dist/client/page/index.html',
    'dist/client/docs/errors/forbidden.html',
  ])
    expect(names).toContain(path.replace(/^\.\//, ''));
  expect(names.filter((name) => /^test\/|tsbuildinfo|dist\/\.|\.tsx?$/.test(name.replace(/\.d\.ts$/, '')))).toEqual([]);
});

it('publint finds nothing to say', async () => {
  const bytes = new Uint8Array(readFileSync(tarball));
  const { messages } = await publint({ pack: { tarball: bytes.buffer }, strict: true });
  // `browser` repeats `exports` for resolvers that do not know `exports`.
  expect(messages.filter(({ code }) => code !== 'USE_EXPORTS_OR_IMPORTS_BROWSER')).toEqual([]);
});

it('its types are right for ES modules: with Node, with bundlers, and for resolvers that do not know exports', async () => {
  const attw = join(repository, 'node_modules/@arethetypeswrong/cli/dist/index.js');
  // Exits with 1 if it finds a problem.
  const output = await run(
    process.execPath,
    [attw, tarball, '--ignore-rules', 'cjs-resolves-to-esm', '--no-color'],
    folder,
  );
  for (const entry of ['', '/client', '/react', '/element', '/shared'])
    expect(output).toContain(`"presence-hub${entry}"`);
});

// Bytes of what each layer adds to an app that has the SDK (and React) already, minified and gzipped. Raise one with a
// reason. The last one: the element says ages in the words of the friend page (110 bytes).
it.each([
  ['react', 1800],
  ['element', 3020],
])('%s adds at most %i bytes', async (layer, most) => {
  const output = (await build({
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      modulePreload: false,
      rolldownOptions: {
        input: join(repository, 'dist/client', layer, 'index.js'),
        external: [/sdk\/index\.js$/, 'react'],
        preserveEntrySignatures: 'strict',
      },
    },
  })) as Rolldown.RolldownOutput;
  const chunks = output.output.flatMap((one) => (one.type === 'chunk' ? [one.code] : []));
  const bytes = gzipSync(chunks.join('\n'), { level: 9 }).length;
  process.stdout.write(`${layer}: ${bytes} bytes gzip\n`);
  expect(bytes).toBeLessThanOrEqual(most);
});

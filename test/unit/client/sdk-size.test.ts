/** The SDK's size, as an app that bundles and minifies it pays for it: held here, printed always. */
import { basename } from 'node:path';
import { gzipSync } from 'node:zlib';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { expect, test } from 'vitest';

/** Raise it with a reason. The last one: errors that say how to write an id, and the hub's time for "last seen". */
const MAX_CORE_BYTES = 5_300;
const MAX_SHARING_BYTES = 3_000;

const sdk = fileURLToPath(new URL('../../../client/sdk/', import.meta.url));

/** Minified and zipped; what is loaded later is left out, and of `known` what is in the core already. */
async function sizeOf(entry: string, known: readonly string[] = []): Promise<number> {
  const bundle = await rolldown({
    input: sdk + entry,
    platform: 'browser',
    transform: { target: 'es2022' },
    external: (id, importer) => importer !== undefined && [...known, ...later].includes(basename(id)),
  });
  const { output } = await bundle.generate({ format: 'es', minify: true, codeSplitting: false });
  // The notes to the minifier that the last minifier drops.
  return gzipSync(output[0].code.replaceAll('/* @__PURE__ */', ''), { level: 9 }).length;
}

/** What the core imports when it is needed. */
const later = ['tabs.ts', 'page-lifecycle.ts', 'iterate.ts', 'tokens.ts', 'token-question.ts', 'check.ts'];
/** What the core has, and what shares imports of it. */
const inCore = ['hub-link.ts', 'chunks.ts', 'error.ts', 'timers.ts'];

test('the core and what shares are as small as was promised', async () => {
  const sizes = {
    core: await sizeOf('index.ts'),
    sharing: await sizeOf('tabs/tabs.ts', inCore),
    'page-lifecycle': await sizeOf('link/page-lifecycle.ts'),
    tokens: await sizeOf('link/tokens.ts', ['error.ts']),
    tokenQuestion: await sizeOf('link/token-question.ts'),
    check: await sizeOf('link/check.ts'),
    iterate: await sizeOf('iterate.ts', ['fold.ts']),
    worker: await sizeOf('worker.ts'),
  };
  process.stdout.write(`SDK, bytes minified and gzipped: ${JSON.stringify(sizes)}\n`);
  expect(sizes.core).toBeGreaterThan(1_000);
  expect(sizes.core).toBeLessThanOrEqual(MAX_CORE_BYTES);
  expect(sizes.sharing).toBeLessThanOrEqual(MAX_SHARING_BYTES);
});

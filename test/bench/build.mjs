/**
 * Builds what `npm run bench` and `npm run fuzz` run: the hub where it is stale (unless another hub is named with --hub),
 * and the tools of test/bench and test/fuzz into dist/bench and dist/fuzz, file by file and without a look at types, which
 * `npm run types` has. Plain JavaScript, since it runs before anything is built. Called by bench.mjs and fuzz.mjs.
 */
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildIfStale } from '../../server/build.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const ROOMS = ['bench', 'fuzz'];
/** What the tests have too, without a library for tests. */
const SHARED = ['support/redis/fault-proxy.ts'];

export async function buildTools(args) {
  const namesHub = args.some((arg) => arg === '--hub' || arg.startsWith('--hub='));
  if (!namesHub && !(await buildIfStale())) return false;
  for (const sources of [...ROOMS.map(sourcesIn), SHARED]) {
    const stale = sources.filter((source) => !isFresh(source));
    // Loading the compiler takes most of a second.
    const ts = stale.length > 0 ? (await import('typescript')).default : undefined;
    for (const source of stale) emit(ts, source);
  }
  return true;
}

function sourcesIn(room) {
  return fs
    .readdirSync(join(root, 'test', room), { recursive: true })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => join(room, path));
}

const sourceFile = (source) => join(root, 'test', source);
const outputFile = (source) => join(root, 'dist', source.replace(/\.ts$/, '.js'));

function isFresh(source) {
  const { mtimeMs } = fs.statSync(sourceFile(source));
  // Times are written in whole milliseconds at best.
  return Math.abs((fs.statSync(outputFile(source), { throwIfNoEntry: false })?.mtimeMs ?? 0) - mtimeMs) < 2;
}

function emit(ts, source) {
  const [from, to] = [sourceFile(source), outputFile(source)];
  const savedAt = fs.statSync(from).mtimeMs;
  const { outputText } = ts.transpileModule(fs.readFileSync(from, 'utf8'), {
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
    },
  });
  fs.mkdirSync(dirname(to), { recursive: true });
  // Renamed into place: another run may be reading the old one.
  const unfinished = `${to}.${process.pid}`;
  fs.writeFileSync(unfinished, outputText);
  fs.utimesSync(unfinished, savedAt / 1000, savedAt / 1000);
  fs.renameSync(unfinished, to);
}

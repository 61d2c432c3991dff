/**
 * The build into dist/: `tsc --build`, and at the same time the pages (build-pages.mjs). Does nothing if the sources are those
 * of the last build. Holds a lock, so that two starts at the same time do not overwrite each other. Plain JavaScript, because
 * it runs before anything is built.
 */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
/** What the last complete build was made of. */
const record = join(dist, '.built');
const compiler = join(root, 'node_modules/typescript/bin/tsc');
const ROOMS = ['shared', 'server', 'client'];
const PAGES = ['client/page', 'client/dashboard', 'client/docs'];
const SOURCE = /\.(ts|tsx|html|css|svg|md)$|^tsconfig\.json$/;
/** What the build depends on beside the sources. */
const TOOLS = [
  ...['tsconfig.json', 'tsconfig.base.json', 'server/build-pages.mjs', 'README.md', 'SECURITY.md'],
  ...['markdown', 'pages', 'site'].map((name) => `server/docs/${name}.mjs`),
  ...['typescript', 'vite', 'preact', 'uplot', 'marked', 'minisearch'].map(
    (name) => `node_modules/${name}/package.json`,
  ),
];
const MAX_LOCK_WAIT_MS = 600_000;

/** Builds if dist/ is stale. Returns whether dist/ now matches the sources. */
export async function buildIfStale() {
  try {
    if (isFresh()) return true;
    fs.mkdirSync(dist, { recursive: true });
    fs.accessSync(dist, fs.constants.W_OK);
    if (!fs.existsSync(compiler)) {
      process.stderr.write('presence-hub: the build needs the compiler: run npm ci first\n');
      return false;
    }
    return await withLock(async () => isFresh() || (await build()));
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS'].includes(error.code)) throw error;
    process.stderr.write(
      `presence-hub: the build may not write to ${error.path} (${error.code}): let the owner of this folder run ` +
        '`npm run build`, or give it to the user that runs the hub\n',
    );
    return false;
  }
}

/** SQLite locks the file through the kernel, which releases the lock when the process ends, however it ends. */
async function withLock(work) {
  const { DatabaseSync } = await import('@photostructure/sqlite');
  const lock = new DatabaseSync(join(dist, '.build-lock'));
  try {
    try {
      lock.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
    } catch {
      process.stdout.write('waiting for another build…\n');
      lock.exec(`PRAGMA busy_timeout = ${MAX_LOCK_WAIT_MS}; BEGIN EXCLUSIVE`);
    }
    return await work();
  } finally {
    lock.close();
  }
}

async function build() {
  const startedAt = performance.now();
  // Listed before the compiler reads, so that a source that is saved in the meantime makes this build stale.
  const sources = describeSources();
  if (mustStartOver(sources)) {
    for (const room of ROOMS) fs.rmSync(join(dist, room), { recursive: true, force: true });
  }
  fs.writeFileSync(record, `unfinished\n${sources}`);
  process.stdout.write('building… ');
  const { code, output } = await compile();
  if (code !== 0) {
    process.stdout.write('failed\n');
    process.stderr.write(output.endsWith('\n') ? output : `${output}\n`);
    return false;
  }
  // Replaces the compiler's version, which has imports.
  const worker = join(dist, 'client/sdk/worker');
  if (fs.existsSync(`${worker}.bundle.js`)) fs.renameSync(`${worker}.bundle.js`, `${worker}.js`);
  // The compiler goes by times and could miss a source that was saved while it ran, so the next build starts over.
  if (describeSources() === sources) fs.writeFileSync(record, sources);
  else fs.rmSync(record);
  process.stdout.write(`done in ${((performance.now() - startedAt) / 1000).toFixed(1)} s\n`);
  return true;
}

function isFresh() {
  return isWhole() && readRecord() === describeSources();
}

/** Whether the files that are run and opened exist. The rest of dist/ is taken on trust. */
function isWhole() {
  const entries = PAGES.map((page) => `${page}/index.html`).filter((path) => fs.existsSync(join(root, path)));
  return ['server/main.js', ...entries].every((path) => fs.existsSync(join(dist, path)));
}

/**
 * Whether an incremental build would be wrong: the compiler trusts its notes more than the files in dist/, and neither it
 * nor Vite removes the outputs of sources that no longer exist.
 */
function mustStartOver(sources) {
  const before = readRecord();
  const paths = new Set(sources.split('\n').map(pathIn));
  const isGone = (line) => line !== 'unfinished' && !paths.has(pathIn(line));
  return before === '' || !isWhole() || before.split('\n').some(isGone);
}

/** The path in a line of the record, which ends with the size and the time. */
function pathIn(line) {
  return line.split(' ').slice(0, -2).join(' ');
}

/** What a build depends on, as text that is equal if nothing has changed: a line per file. */
function describeSources() {
  const paths = ROOMS.flatMap((room) => listFiles(join(root, room))).filter((path) =>
    SOURCE.test(path.split('/').at(-1)),
  );
  paths.push(...TOOLS.map((name) => join(root, name)));
  return paths
    .sort()
    .map((path) => {
      const stats = fs.statSync(path, { throwIfNoEntry: false });
      return `${relative(root, path)} ${stats?.size ?? '-'} ${stats?.mtimeMs ?? '-'}`;
    })
    .join('\n');
}

/** Runs the compiler and Vite at the same time, because neither reads what the other writes. */
async function compile() {
  const children = [[compiler, '--build', root], [join(root, 'server/build-pages.mjs')]].map((args) =>
    spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] }),
  );
  // A compiler that outlives this process would write without the lock.
  const stop = () => {
    for (const child of children) child.kill();
    process.exit(1);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, stop);
  const ends = await Promise.all(children.map(endOf));
  for (const signal of signals) process.off(signal, stop);
  return ends.find(({ code }) => code !== 0) ?? { code: 0, output: '' };
}

function endOf(child) {
  return new Promise((resolve, reject) => {
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

function listFiles(directory) {
  if (!fs.existsSync(directory)) return [];
  return fs
    .readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((found) => found.isFile())
    .map((found) => join(found.parentPath ?? found.path, found.name));
}

function readRecord() {
  return fs.existsSync(record) ? fs.readFileSync(record, 'utf8') : '';
}

// By its real path, because a clone may be reached through a link.
const isCommand = process.argv[1] !== undefined && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url);
if (isCommand && !(await buildIfStale())) process.exitCode = 1;

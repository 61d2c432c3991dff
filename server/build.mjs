/**
 * The build into dist/: `tsc --build` and beside it the pages (build-pages.mjs). Does nothing where the sources are those of the last
 * build, and holds a lock so that two starts at once do not write over each other. Called by launch.mjs, by `npm run build`
 * and by the tests' global setup. Plain JavaScript, since it runs before anything is built.
 */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const ROOMS = ['shared', 'server', 'client'];
const PAGES = ['client/page', 'client/dashboard'];
const SOURCE = /\.(ts|tsx|html|css|svg)$|^tsconfig\.json$/;
/** What the build is made with and what is built in, beside the sources. */
const INGREDIENTS = [
  ...['tsconfig.json', 'tsconfig.base.json', 'server/build-pages.mjs'],
  ...['typescript', 'vite', 'preact', 'uplot'].map((name) => `node_modules/${name}/package.json`),
];
const LOCK_POLL_MS = 50;
/** A holder touches its lock every second; one that has not for this long is gone, whoever has its process id now. */
const LOCK_TIMEOUT_MS = 10_000;

/** Builds where dist/ is stale, and says whether it now is what the sources say. */
export async function buildIfStale() {
  try {
    if (isFresh()) return true;
    fs.mkdirSync(join(root, 'dist'), { recursive: true });
    const unlock = await takeLock(join(root, 'dist', '.lock'));
    try {
      return isFresh() || (await build());
    } finally {
      unlock();
    }
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS'].includes(error.code)) throw error;
    process.stderr.write(
      `presence-hub: the build may not write to ${error.path} (${error.code}): let the owner of this folder run ` +
        '`npm run build`, or give it to the user that runs the hub\n',
    );
    return false;
  }
}

async function build() {
  const startedAt = performance.now();
  const record = join(root, 'dist', '.built');
  // Without a record nobody knows what dist/ holds, and tsc believes its own notes more than what is there.
  if (!fs.existsSync(record) || !isWhole()) {
    for (const room of ROOMS) fs.rmSync(join(root, 'dist', room), { recursive: true, force: true });
  }
  // Listed before the compiler reads: a source that is saved meanwhile makes this build stale, as it should.
  const sources = describeSources();
  fs.writeFileSync(record, 'unfinished\n');
  process.stdout.write('building… ');
  const { code, output } = await compile();
  // The compiler goes by times: a source that was saved while it ran may be older than its notes, and it would never read it.
  if (describeSources() !== sources) {
    const outputs = ROOMS.flatMap((room) => listFiles(join(root, 'dist', room)));
    for (const path of outputs.filter((name) => name.endsWith('.tsbuildinfo'))) fs.rmSync(path);
  }
  if (code !== 0) {
    process.stdout.write('failed\n');
    process.stderr.write(output.endsWith('\n') ? output : `${output}\n`);
    return false;
  }
  // Replaces the compiler's version, which has imports.
  const worker = join(root, 'dist/client/sdk/worker');
  if (fs.existsSync(`${worker}.bundle.js`)) fs.renameSync(`${worker}.bundle.js`, `${worker}.js`);
  pruneOutputs();
  fs.writeFileSync(record, sources);
  process.stdout.write(`done in ${((performance.now() - startedAt) / 1000).toFixed(1)} s\n`);
  return true;
}

function isFresh() {
  return isWhole() && readText(join(root, 'dist/.built')) === describeSources();
}

/** Whether what is run and opened is there; all else of dist/ is taken on trust. */
function isWhole() {
  const entries = PAGES.map((page) => `${page}/index.html`).filter((path) => fs.existsSync(join(root, path)));
  return ['server/main.js', ...entries].every((path) => fs.existsSync(join(root, 'dist', path)));
}

/** What a build depends on, as text that is equal when nothing has changed. */
function describeSources() {
  const paths = ROOMS.flatMap((room) => listFiles(join(root, room))).filter((path) =>
    SOURCE.test(path.split('/').at(-1)),
  );
  paths.push(...INGREDIENTS.map((name) => join(root, name)));
  return paths
    .sort()
    .map((path) => {
      const stats = fs.statSync(path, { throwIfNoEntry: false });
      return `${relative(root, path)} ${stats?.size ?? '-'} ${stats?.mtimeMs ?? '-'}\n`;
    })
    .join('');
}

/** Runs the compiler and Vite at once, because neither reads what the other writes. The compiler's problems go first. */
async function compile() {
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  if (!fs.existsSync(compiler)) {
    return { code: 1, output: 'presence-hub: the build needs the compiler: run npm ci first' };
  }
  const children = [[compiler, '--build', root], [join(root, 'server/build-pages.mjs')]].map((args) =>
    spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] }),
  );
  // A compiler that outlives its launcher would write without the lock.
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

/** Removes what an earlier build made of sources that are gone; of a page that is still there, Vite has done so. */
function pruneOutputs() {
  for (const path of ROOMS.flatMap((room) => listFiles(join(root, 'dist', room)))) {
    const place = relative(join(root, 'dist'), path);
    const source = join(root, place).replace(/(\.d\.ts|\.js)$/, '');
    const isPage = PAGES.some(
      (page) =>
        (place === `${page}/index.html` || place.startsWith(`${page}/assets/`)) &&
        fs.existsSync(join(root, page, 'index.html')),
    );
    const isOutput = isPage || place.endsWith('.tsbuildinfo') || [`${source}.ts`, `${source}.tsx`].some(fs.existsSync);
    if (!isOutput) fs.rmSync(path);
  }
}

function listFiles(directory) {
  if (!fs.existsSync(directory)) return [];
  return fs
    .readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((found) => found.isFile())
    .map((found) => join(found.parentPath ?? found.path, found.name));
}

/** Waits for its turn and answers what gives the lock back. */
async function takeLock(lock) {
  const owner = join(lock, 'pid');
  for (let isFirst = true; !tryMkdir(lock); isFirst = false) {
    if (isFirst) process.stdout.write('waiting for another build…\n');
    if (isAbandoned(lock)) stealLock(lock);
    else await sleep(LOCK_POLL_MS);
  }
  fs.writeFileSync(owner, String(process.pid));
  const touch = setInterval(() => fs.utimes(owner, new Date(), new Date(), () => undefined), 1000);
  const unlock = () => fs.rmSync(lock, { recursive: true, force: true });
  process.once('exit', unlock);
  return () => {
    clearInterval(touch);
    process.off('exit', unlock);
    unlock();
  };
}

function isAbandoned(lock) {
  const owner = join(lock, 'pid');
  const touchedAt = (fs.statSync(owner, { throwIfNoEntry: false }) ?? fs.statSync(lock, { throwIfNoEntry: false }))
    ?.mtimeMs;
  if (touchedAt === undefined) return false;
  if (Date.now() - touchedAt > LOCK_TIMEOUT_MS) return true;
  const pid = Number(readText(owner) || Number.NaN);
  if (Number.isNaN(pid)) return false;
  // Its own id in a lock that it does not hold: the process of an earlier container.
  if (pid === process.pid) return true;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

/** Renaming first lets only one of several waiters win, and what it removes is what it has renamed. */
function stealLock(lock) {
  const mine = `${lock}.${process.pid}`;
  try {
    fs.renameSync(lock, mine);
  } catch {
    return;
  }
  // Another waiter may have stolen and taken it between the look and the rename: then it goes back.
  if (isAbandoned(mine)) fs.rmSync(mine, { recursive: true, force: true });
  else fs.renameSync(mine, lock);
}

function tryMkdir(path) {
  try {
    fs.mkdirSync(path);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

function readText(path) {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

// By its real path: a clone may be reached through a link.
const isCommand = process.argv[1] !== undefined && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url);
if (isCommand && !(await buildIfStale())) process.exitCode = 1;

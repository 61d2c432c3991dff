/**
 * The build: `tsc --build`, then the pages' own files, into dist/. Does nothing where the sources are those of the last
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
const SOURCE = /\.(ts|tsx|html|css|svg|ico)$|^tsconfig\.json$/;
const COPIED = /\.(html|css|svg|ico)$/;
const LOCK_POLL_MS = 50;
/** A holder touches its lock every second; one that has not for this long is gone, whoever has its process id now. */
const LOCK_TIMEOUT_MS = 10_000;

/** Builds where dist/ is stale, and says whether it now is what the sources say. */
export async function buildIfStale() {
  if (isFresh()) return true;
  fs.mkdirSync(join(root, 'dist'), { recursive: true });
  const unlock = await takeLock(join(root, 'dist', '.lock'));
  try {
    return isFresh() || (await build());
  } finally {
    unlock();
  }
}

async function build() {
  const startedAt = performance.now();
  const record = join(root, 'dist', '.built');
  // Without a record nobody knows what dist/ holds, and tsc believes its own notes more than what is there.
  if (!fs.existsSync(record) || !fs.existsSync(join(root, 'dist/server/main.js'))) {
    for (const room of ROOMS) fs.rmSync(join(root, 'dist', room), { recursive: true, force: true });
  }
  // Listed before the compiler reads: a source that is saved meanwhile makes this build stale, as it should.
  const sources = describeSources();
  fs.writeFileSync(record, 'unfinished\n');
  process.stdout.write('building… ');
  const { code, output } = await compile();
  // The compiler goes by times: a source that was saved while it ran may be older than its notes, and it would never read it.
  if (describeSources() !== sources) {
    for (const room of ROOMS) fs.rmSync(join(root, 'dist', room, '.tsbuildinfo'), { force: true });
  }
  if (code !== 0) {
    process.stdout.write('failed\n');
    process.stderr.write(output.endsWith('\n') ? output : `${output}\n`);
    return false;
  }
  copyPages();
  pruneOutputs();
  fs.writeFileSync(record, sources);
  process.stdout.write(`done in ${((performance.now() - startedAt) / 1000).toFixed(1)} s\n`);
  return true;
}

function isFresh() {
  return fs.existsSync(join(root, 'dist/server/main.js')) && readText(join(root, 'dist/.built')) === describeSources();
}

/** What a build depends on, as text that is equal when nothing has changed. */
function describeSources() {
  const paths = ROOMS.flatMap((room) => listFiles(join(root, room))).filter((path) =>
    SOURCE.test(path.split('/').at(-1)),
  );
  paths.push(
    ...['tsconfig.json', 'tsconfig.base.json', 'node_modules/typescript/package.json'].map((name) => join(root, name)),
  );
  return paths
    .sort()
    .map((path) => {
      const stats = fs.statSync(path, { throwIfNoEntry: false });
      return `${relative(root, path)} ${stats?.size ?? '-'} ${stats?.mtimeMs ?? '-'}\n`;
    })
    .join('');
}

function compile() {
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  if (!fs.existsSync(compiler)) {
    return Promise.resolve({ code: 1, output: 'presence-hub: the build needs the compiler: run npm ci first' });
  }
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [compiler, '--build', root], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    // A compiler that outlives its launcher would write without the lock.
    const stop = () => {
      child.kill();
      process.exit(1);
    };
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const signal of signals) process.on(signal, stop);
    child.on('error', reject);
    child.on('close', (code) => {
      for (const signal of signals) process.off(signal, stop);
      resolve({ code: code ?? 1, output });
    });
  });
}

function copyPages() {
  for (const path of listFiles(join(root, 'client')).filter((name) => COPIED.test(name))) {
    const target = join(root, 'dist', relative(root, path));
    fs.mkdirSync(dirname(target), { recursive: true });
    fs.copyFileSync(path, target);
  }
}

/** Removes what an earlier build made of sources that are gone. */
function pruneOutputs() {
  for (const room of ROOMS) {
    for (const path of listFiles(join(root, 'dist', room))) {
      const source = join(root, relative(join(root, 'dist'), path)).replace(/(\.d\.ts|\.js)$/, '');
      const isOutput = path.endsWith('.tsbuildinfo') || [source, `${source}.ts`, `${source}.tsx`].some(fs.existsSync);
      if (!isOutput) fs.rmSync(path);
    }
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

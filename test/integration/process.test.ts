/** The hub as a process: signals that would end or stop it, and readers of its output that do not read. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants as fsConstants, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { endHubProcesses, freePort, startHubProcess, startLine } from '../support/hub-process.ts';
import { needing } from '../support/needs.ts';

vi.setConfig({ testTimeout: 60_000 });
/** Process groups that npm leads. */
const groups: number[] = [];
const pipes: { readonly fd: number; readonly folder: string }[] = [];
afterEach(async () => {
  await endHubProcesses();
  for (const group of groups.splice(0)) {
    try {
      process.kill(-group, 'SIGKILL');
    } catch {
      // Nothing is left of it, as it should be.
    }
  }
  for (const { fd, folder } of pipes.splice(0)) {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  }
});

const launcher = fileURLToPath(new URL('../../server/launch.mjs', import.meta.url));
const builtLog = new URL('../../dist/server/lib/log/log.js', import.meta.url).href;
const known = (signal: string): boolean => signal in constants.signals;

describe('a signal', () => {
  test('that wants the process to end stops the hub cleanly (L20)', async () => {
    const ends = (['SIGQUIT', 'SIGABRT', 'SIGPWR', 'SIGXCPU'] as const).filter(known).map(async (signal) => {
      const hub = startHubProcess({ HUB_TRANSPORT: 'ws' });
      await hub.started;
      hub.child.kill(signal);
      const { code, signal: endedBy } = await hub.exited;
      return { signal, code, endedBy };
    });
    for (const end of await Promise.all(ends)) expect(end).toMatchObject({ code: 0, endedBy: null });
  });

  test('that means nothing to a hub is ignored with a line in the log, and opens no inspector (L20)', async () => {
    const hub = startHubProcess({ HUB_TRANSPORT: 'ws' });
    const page = startLine(await hub.started, 'page');
    const signals = [
      'SIGUSR1',
      'SIGUSR2',
      'SIGALRM',
      'SIGVTALRM',
      'SIGPROF',
      'SIGIO',
      'SIGSTKFLT',
      'SIGTSTP',
      'SIGTTIN',
    ] as const;
    for (const signal of signals.filter(known)) {
      hub.child.kill(signal);
      expect((await fetch(`${page}healthz`)).status).toBe(200);
    }
    hub.child.kill('SIGINT');
    const { code, stderr } = await hub.exited;
    expect(code).toBe(0);
    expect(stderr).toContain('"signal":"SIGUSR1"');
    expect(stderr).not.toMatch(/debugger|inspector/i);
  });
});

/** A pipe that is full, and whose reader lives and does not read. Undone after the test. */
function fullPipe(): number {
  const folder = mkdtempSync(join(tmpdir(), 'hub-pipe-'));
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);
  const fd = openSync(path, fsConstants.O_RDWR | fsConstants.O_NONBLOCK);
  pipes.push({ fd, folder });
  try {
    for (;;) writeSync(fd, 'x'.repeat(4096));
  } catch (error) {
    expect(error).toMatchObject({ code: 'EAGAIN' });
  }
  return fd;
}

function startWith(stdout: 'ignore' | number, stderr: 'ignore' | number, port: number) {
  const env = { ...process.env, HUB_PORT: String(port), HUB_TCP_PORT: '0', HUB_DATA: ':memory:', HUB_TRANSPORT: 'ws' };
  return spawn(process.execPath, [launcher], { env, stdio: ['ignore', stdout, stderr] });
}

async function isServing(port: number): Promise<void> {
  const healthz = () => fetch(`http://127.0.0.1:${port}/healthz`).then(({ status }) => status);
  await expect.poll(healthz, { timeout: 30_000 }).toBe(200);
}

describe('a reader that never reads', needing('POSIX'), () => {
  test('of stderr freezes nothing, and the hub ends as it should (S16)', async () => {
    const port = await freePort();
    const child = startWith('ignore', fullPipe(), port);
    await isServing(port);
    const exited = once(child, 'exit');
    child.kill('SIGUSR2'); // a line in the log
    await isServing(port);
    child.kill('SIGINT');
    expect(await exited).toEqual([0, null]);
  });

  test('of stdout does not keep the hub from starting', async () => {
    const port = await freePort();
    const child = startWith(fullPipe(), 'ignore', port);
    await isServing(port);
    const exited = once(child, 'exit');
    child.kill('SIGINT');
    expect(await exited).toEqual([0, null]);
  });
});

test('log lines beyond what can wait are dropped and counted; one line says so, and the last line before an exit is there (S16)', async () => {
  const source = `
    import { createLog, droppedLogLines, stderrLines } from ${JSON.stringify(builtLog)};
    process.on('exit', () => stderrLines().drain(5000));
    const log = createLog('error');
    for (let n = 0; n < 5000; n++) log.error({ n }, 'x'.repeat(1000));
    process.stdout.write(String(droppedLogLines()));
    process.stdin.once('data', () => {
      log.fatal('the last one');
      process.exit(1);
    });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: 'pipe' });
  const [dropped] = (await once(child.stdout, 'data')) as [Buffer];
  expect(Number(dropped)).toBeGreaterThan(1000);
  let stderr = '';
  const notifiedOfDrops = new Promise<void>((resolve) => {
    child.stderr.on('data', (text: Buffer) => {
      stderr += String(text);
      if (stderr.includes('log lines were dropped')) resolve();
    });
  });
  await notifiedOfDrops;
  child.stdin.write('end');
  const [code] = (await once(child, 'close')) as [number];
  expect(code).toBe(1);
  const lines = stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { msg: string; dropped?: number });
  expect(lines.at(-2)).toMatchObject({ dropped: Number(dropped) });
  expect(lines.at(-1)).toMatchObject({ msg: 'the last one' });
  expect(lines).toHaveLength(5000 - Number(dropped) + 2);
});

describe('a hub that npm has started', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('ends with npm, at %s: its port and its data are free', async (signal) => {
    const folder = mkdtempSync(join(tmpdir(), 'hub-npm-'));
    const port = await freePort();
    const settings = { HUB_PORT: String(port), HUB_TCP_PORT: '0', HUB_DATA: folder, HUB_DRAIN_MS: '100' };
    const root = fileURLToPath(new URL('../..', import.meta.url));
    // A group of its own, so that what npm leaves behind can be ended, too.
    const npm = spawn('npm', ['start'], { cwd: root, env: { ...process.env, ...settings }, detached: true });
    groups.push(npm.pid!);
    const ended = once(npm, 'exit');
    let printed = '';
    for await (const text of npm.stdout.setEncoding('utf8')) {
      printed += String(text);
      if (printed.includes('Ctrl-C stops\n')) break;
    }
    npm.kill(signal);
    await ended;
    const isServing = () =>
      fetch(`http://127.0.0.1:${port}/healthz`).then(
        () => true,
        () => false,
      );
    await expect.poll(isServing, { timeout: 10_000 }).toBe(false);
    expect(await startHubProcess({ HUB_DATA: folder }).started).toContain(folder);
    await endHubProcesses();
    rmSync(folder, { recursive: true });
  });
});

/**
 * The hub as the server under test: a process of its own with an environment that holds only what the workload says, on
 * free ports, with its data in a folder that goes with it. Collects its log. Speaks none of the hub's formats.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hubMain } from './places.ts';
import { cpuMs, rssBytes } from './proc.ts';
import type { Place, Server } from './server.ts';

export interface HubOptions {
  /** The hub's main.js; this repository's own where none is given. */
  readonly main?: string | undefined;
  /** `auto`, `uws` or `ws`. */
  readonly transport: string;
  /** The core that it has to itself, or null. */
  readonly core: number | null;
  readonly settings: Readonly<Record<string, string>>;
  /** Where an earlier one was: its ports and its data. */
  readonly place?: Place | undefined;
}

const START_WITHIN_MS = 20_000;
const STOP_WITHIN_MS = 10_000;
const LEVEL_ERROR = 50;
const ERRORS_KEPT = 20;
const running = new Set<ChildProcess>();

export async function startHub({ main = hubMain, transport, core, settings, place }: HubOptions): Promise<Server> {
  const folder = place?.folder ?? mkdtempSync(join(tmpdir(), 'presence-hub-load-'));
  const tcpPort = place?.tcpPort ?? (await freePort());
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('HUB_'));
  const env = {
    ...Object.fromEntries(inherited),
    HUB_PORT: String(place?.port ?? 0),
    HUB_TCP_PORT: String(tcpPort),
    HUB_DATA: folder,
    HUB_LOG_LEVEL: 'warn',
    HUB_TRANSPORT: transport,
    ...settings,
  };
  const command = core === null ? [process.execPath, main] : ['taskset', '-c', String(core), process.execPath, main];
  const child = spawn(command[0] ?? '', command.slice(1), { env, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  const errors: string[] = [];
  collectErrors(child, errors);
  let end: string | null = null;
  let hasNext = false;
  const ended = new Promise<void>((resolve) => {
    child.on('close', (code, signal) => {
      end = signal ?? `exit code ${code ?? '?'}`;
      running.delete(child);
      if (!hasNext) rmSync(folder, { recursive: true, force: true });
      resolve();
    });
  });
  const port = await listeningPort(child, ended, errors);
  const pid = child.pid ?? 0;
  return {
    name: 'hub',
    pid,
    port,
    tcpPort,
    errors,
    ended: () => end,
    // taskset becomes the hub: the process is the same.
    cpuMs: () => cpuMs(pid),
    rssBytes: () => rssBytes(pid),
    freeze: () => child.kill('SIGSTOP'),
    thaw: () => child.kill('SIGCONT'),
    crash: async () => {
      hasNext = true;
      child.kill('SIGKILL');
      await ended;
      return { folder, port, tcpPort };
    },
    stop: async () => {
      child.kill('SIGINT');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** For the end of a run that failed half-way. */
export function killHubs(): void {
  for (const child of running) child.kill('SIGKILL');
}

function collectErrors(child: ChildProcess, errors: string[]): void {
  let rest = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (errors.length < ERRORS_KEPT && isError(line)) errors.push(line);
  });
}

/** A line that is no log line at all (a warning of Node, a stack) is an error, too: nobody wrote it on purpose. */
function isError(line: string): boolean {
  if (line.trim() === '') return false;
  try {
    const { level } = JSON.parse(line) as { level?: unknown };
    return typeof level !== 'number' || level >= LEVEL_ERROR;
  } catch {
    return true;
  }
}

function listeningPort(child: ChildProcess, ended: Promise<void>, errors: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    let stdout = '';
    const fail = (): void => reject(new Error(`the hub did not start: ${errors.join(' ')} ${stdout}`));
    const timer = setTimeout(fail, START_WITHIN_MS);
    void ended.then(fail);
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      const page = /^ +page +http:\/\/[^:]+:(\d+)\/$/m.exec(stdout);
      if (page === null || !stdout.includes('Ctrl-C stops\n')) return;
      clearTimeout(timer);
      resolve(Number(page[1]));
    });
  });
}

/** The hub says no TCP port of its own choice: 0 switches it off. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}

/**
 * A hub as its users run it: a process of its own, through the launcher, with an environment that holds only what the
 * test says. Starts, waits for the start's lines, sends signals and collects what was printed. Knows no wire format.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

const launcher = fileURLToPath(new URL('../../server/launch.mjs', import.meta.url));
const running = new Set<ChildProcess>();

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface HubProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<Exit>;
  /** Resolves with all of stdout once the hub prints that it runs; rejects if it ends before. */
  readonly started: Promise<string>;
}

/**
 * Starts `presence-hub ARGS` with HUB_ settings of the test alone; in memory and on free ports unless it says
 * otherwise.
 */
export function startHubProcess(
  settings: Readonly<Record<string, string>> = {},
  args: readonly string[] = [],
  /** The limit on file descriptors. */
  maxFiles?: number,
): HubProcess {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('HUB_'));
  const env = {
    ...Object.fromEntries(inherited),
    HUB_PORT: '0',
    HUB_TCP_PORT: '0',
    HUB_DATA: ':memory:',
    ...settings,
  };
  const command = [process.execPath, launcher, ...args] as const;
  const [file, ...rest] =
    maxFiles === undefined ? command : (['sh', '-c', `ulimit -n ${maxFiles} && exec "$0" "$@"`, ...command] as const);
  const child = spawn(file, rest, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let stdout = '';
  let stderr = '';
  const exited = new Promise<Exit>((resolve) => {
    child.on('close', (code, signal) => {
      running.delete(child);
      resolve({ code, signal, stdout, stderr });
    });
  });
  const started = new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      if (stdout.includes('Ctrl-C stops\n')) resolve(stdout);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    void exited.then((exit) => reject(new Error(`the hub ended before it ran: ${JSON.stringify(exit)}`)));
  });
  // A test that expects the end awaits only `exited`.
  started.catch(() => undefined);
  return { child, exited, started };
}

/** The value of one of the start's lines, such as `page` or `tcp + xml`. */
export function startLine(stdout: string, name: string): string {
  const line = stdout.split('\n').find((one) => one.startsWith(`  ${name} `));
  if (line === undefined) throw new Error(`no line "${name}" in ${stdout}`);
  return line.slice(name.length + 2).trim();
}

/** Ends what a test left running; for `afterEach`. */
export async function endHubProcesses(): Promise<void> {
  const ends = [...running].map((child) => {
    const end = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    return end;
  });
  await Promise.all(ends);
}

const FREE_PORTS = { from: 20_000, count: 12_000 } as const;
let nextFree = randomInt(FREE_PORTS.count);

/**
 * A port that nobody holds right now, another one each time, below those that systems hand out: one of theirs may be
 * the next connection's own end before the hub under test takes it.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FREE_PORTS.from + (nextFree++ % FREE_PORTS.count);
    try {
      const { close } = await holdPort(port);
      await close();
      return port;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
}

/** Takes a port of 127.0.0.1 (default: any), and keeps it. @throws the system's error if it is taken. */
export async function holdPort(named = 0): Promise<{ readonly port: number; readonly close: () => Promise<void> }> {
  const server = createServer();
  server.listen(named, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return {
    port: address.port,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

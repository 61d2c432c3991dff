/**
 * A server under test as a process: started on a core of its own, its errors collected, frozen, thawed and stopped.
 * Knows neither the hub nor the references; those are hub-server.ts and references.ts.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { cpuMs, rssBytes } from './proc.ts';

const START_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 10_000;
const LEVEL_ERROR = 50;
const ERRORS_KEPT = 20;
const running = new Set<ChildProcess>();

export interface ServerProcess {
  readonly pid: number;
  /** Lines of the log at level error or fatal, the oldest first. */
  readonly errors: readonly string[];
  /** Null while it runs; else how it ended. */
  readonly ended: () => string | null;
  readonly whenEnded: Promise<void>;
  cpuMs(): number;
  rssBytes(): number;
  freeze(): void;
  thaw(): void;
  kill(): void;
  /** SIGTERM. */
  drain(): void;
  stop(): Promise<void>;
}

export interface ProcessOptions<Start> {
  readonly name: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The core that it has to itself, or null. */
  readonly core: number | null;
  /** Finds its addresses in what it has printed; undefined until it has printed them. */
  readonly startedWith: (stdout: string) => Start | undefined;
}

/** Resolves when it reports that it has started. */
export async function startProcess<Start>(
  options: ProcessOptions<Start>,
): Promise<{ readonly server: ServerProcess; readonly start: Start }> {
  const { command, env, core } = options;
  // taskset becomes the server: the process is the same.
  const [program = '', ...args] = core === null ? command : ['taskset', '-c', String(core), ...command];
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  const errors: string[] = [];
  collectErrors(child, errors);
  let end: string | null = null;
  const whenEnded = new Promise<void>((resolve) => {
    child.on('error', (error) => errors.push(error.message));
    child.on('close', (code, signal) => {
      end = signal ?? `exit code ${code ?? '?'}`;
      running.delete(child);
      resolve();
    });
  });
  const start = await whenStarted(child, whenEnded, errors, options);
  const pid = child.pid ?? 0;
  const server: ServerProcess = {
    pid,
    errors,
    ended: () => end,
    whenEnded,
    cpuMs: () => cpuMs(pid),
    rssBytes: () => rssBytes(pid),
    freeze: () => child.kill('SIGSTOP'),
    thaw: () => child.kill('SIGCONT'),
    kill: () => child.kill('SIGKILL'),
    drain: () => child.kill('SIGTERM'),
    stop: async () => {
      child.kill('SIGINT');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
      await whenEnded;
      clearTimeout(timer);
    },
  };
  return { server, start };
}

/** For the end of a run that failed half-way. */
export function killServers(): void {
  for (const child of running) child.kill('SIGKILL');
}

function whenStarted<Start>(
  child: ChildProcess,
  whenEnded: Promise<void>,
  errors: readonly string[],
  { name, startedWith }: ProcessOptions<Start>,
): Promise<Start> {
  return new Promise((resolve, reject) => {
    let stdout = '';
    const fail = (): void => reject(new Error(`${name} did not start: ${errors.join(' ')} ${stdout}`));
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fail();
    }, START_WITHIN_MS);
    void whenEnded.then(() => {
      clearTimeout(timer);
      fail();
    });
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      const start = startedWith(stdout);
      if (start === undefined) return;
      clearTimeout(timer);
      resolve(start);
    });
  });
}

function collectErrors(child: ChildProcess, errors: string[]): void {
  let rest = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (errors.length < ERRORS_KEPT && isError(line)) errors.push(line);
  });
}

/** A line that is not a log line (a warning of Node, a stack) counts as an error too. */
function isError(line: string): boolean {
  if (line.trim() === '') return false;
  try {
    const { level } = JSON.parse(line) as { level?: unknown };
    return typeof level !== 'number' || level >= LEVEL_ERROR;
  } catch {
    return true;
  }
}

/**
 * What a process costs, read from /proc if there is one: CPU time (user and system) and resident memory; NaN elsewhere.
 * Also pins a process to a core if `taskset` is installed.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** Linux counts in hundredths of a second wherever Node runs. */
const TICK_MS = 10;

/** Run time of all live threads, in nanoseconds from the scheduler, or in ticks if that is not available. */
export function cpuMs(pid: number): number {
  const times = threadsOf(pid).map((thread) => Number(read(`/proc/${pid}/task/${thread}/schedstat`)?.split(' ')[0]));
  const ns = times.reduce((sum, time) => sum + (Number.isNaN(time) ? 0 : time), 0);
  return ns > 0 ? ns / 1e6 : tickedCpuMs(pid);
}

/**
 * How long the main thread was ready to run and had no core, in milliseconds: what a busy machine takes from a server.
 */
export function starvedMs(pid: number): number {
  return Number(read(`/proc/${pid}/schedstat`)?.split(' ')[1]) / 1e6;
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function tickedCpuMs(pid: number): number {
  // The name in brackets may hold blanks and brackets; behind it come the fields from the third on.
  const fields = read(`/proc/${pid}/stat`)?.split(') ').at(-1)?.split(' ');
  return fields === undefined ? Number.NaN : (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

export function rssBytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`) ?? '');
  return line === null ? Number.NaN : Number(line[1]) * 1024;
}

export function megabytes(bytes: number): number {
  return Number((bytes / 1_048_576).toFixed(1));
}

/** How many files this process may hold open; connections are files. */
export function openFilesLimit(): number {
  const line = /^Max open files\s+(\d+)/m.exec(read('/proc/self/limits') ?? '');
  return line === null ? 1024 : Number(line[1]);
}

export const canPin =
  availableParallelism() > 1 && spawnSync('taskset', ['-c', '0', 'true'], { stdio: 'ignore' }).status === 0;

/** Moves this process and all that it starts from now on to one core. */
export function pinSelf(core: number): void {
  spawnSync('taskset', ['-a', '-p', '-c', String(core), String(process.pid)], { stdio: 'ignore' });
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

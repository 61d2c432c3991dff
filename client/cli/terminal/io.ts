/**
 * What a command gets from its process: streams, the environment, the signal to stop, and a way to start a hub. Commands
 * use nothing else of the process, so a test can run them with its own streams.
 */
import type { Environment } from '../../../shared/environment.ts';
import type { Result } from '../../../shared/result.ts';

/** An output stream. It has a size if it is a terminal. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): boolean;
  on(event: 'error' | 'resize', listener: () => void): unknown;
  off(event: 'error' | 'resize', listener: () => void): unknown;
}

export interface Io {
  readonly stdin: AsyncIterable<Uint8Array | string>;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Environment;
  /** Aborted by the first Ctrl-C or similar signal. The command must then end soon. */
  readonly interrupted: AbortSignal;
  /** Starts a hub in this process that stores nothing. */
  readonly startHub: (env: Environment) => Promise<Result<OwnHub>>;
}

interface OwnHub {
  /** Whether users need no token. */
  readonly isOpen: boolean;
  stop(): Promise<void>;
}

export const EXIT_OK = 0;
/** The command line was valid, but the command failed, at least in part. */
export const EXIT_FAILED = 1;
/** The command line is invalid. */
export const EXIT_USAGE = 2;
/** The shell convention for a command that Ctrl-C ended before it was done. */
export const EXIT_INTERRUPTED = 130;

export function say(io: Pick<Io, 'stdout'>, text: string): void {
  io.stdout.write(`${text}\n`);
}

/** Prints one line on standard error and returns the exit code. */
export function exitWith(io: Pick<Io, 'stderr'>, problem: string, exitCode: number = EXIT_FAILED): number {
  io.stderr.write(`presence-hub: ${problem}\n`);
  return exitCode;
}

/** Resolves at Ctrl-C, or when the reader of the output is gone (`watch 42 | head`). */
export function untilStopped({ interrupted, stdout }: Pick<Io, 'interrupted' | 'stdout'>): Promise<void> {
  return new Promise((resolve) => {
    const stop = () => {
      interrupted.removeEventListener('abort', stop);
      stdout.off('error', stop);
      resolve();
    };
    if (interrupted.aborted) return resolve();
    interrupted.addEventListener('abort', stop);
    stdout.on('error', stop);
  });
}

const USUAL_SIZE = { columns: 80, rows: 24 };

/**
 * Returns the size of a terminal. One that does not know its size reports 0, as in some containers and on serial lines.
 */
export function sizeOf({ columns = 0, rows = 0 }: Output): { columns: number; rows: number } {
  return columns > 0 && rows > 0 ? { columns, rows } : USUAL_SIZE;
}

/** Returns whether to use color: on terminals, unless NO_COLOR is set (https://no-color.org). */
export function wantsColour({ stdout, env }: Pick<Io, 'stdout' | 'env'>): boolean {
  return stdout.isTTY === true && (env['NO_COLOR'] ?? '') === '';
}

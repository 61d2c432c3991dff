/**
 * What a command is handed of its process: streams, environment, and the wish of whoever runs it that it end.
 * Commands read nothing of the process themselves, so a test can run them with streams of its own. Called by every command.
 */
import type { Environment } from '../config.ts';

/** A stream to write to; the sizes are there where it is a terminal. */
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
  /** Aborted by the first Ctrl-C or its like: the command then ends by itself, soon. */
  readonly interrupted: AbortSignal;
}

export const EXIT_OK = 0;
/** The command was understood and could not be done, or not wholly. */
export const EXIT_FAILED = 1;
/** The command line asks for what is not there. */
export const EXIT_USAGE = 2;
/** What shells say of a command that Ctrl-C ended before its work was done. */
export const EXIT_INTERRUPTED = 130;

export function say(io: Pick<Io, 'stdout'>, text: string): void {
  io.stdout.write(`${text}\n`);
}

/** One line on standard error; answers the exit code, so that a command can return it. */
export function exitWith(io: Pick<Io, 'stderr'>, problem: string, exitCode: number = EXIT_FAILED): number {
  io.stderr.write(`presence-hub: ${problem}\n`);
  return exitCode;
}

/** Resolves at Ctrl-C, or when nobody reads the output any more (`watch 42 | head`). */
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

/** The size of a terminal. One that does not know its own says 0, as in some containers and on serial lines. */
export function sizeOf({ columns = 0, rows = 0 }: Output): { columns: number; rows: number } {
  return columns > 0 && rows > 0 ? { columns, rows } : USUAL_SIZE;
}

/** Colours are for terminals, and not for whoever asked for none (https://no-color.org). */
export function wantsColour({ stdout, env }: Pick<Io, 'stdout' | 'env'>): boolean {
  return stdout.isTTY === true && (env['NO_COLOR'] ?? '') === '';
}

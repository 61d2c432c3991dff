/**
 * The log: JSON lines on stderr, so that stdout stays for people. Never a line per heartbeat, and never a token in one.
 * Made once by main.ts; every room that has something to say is handed it. It never waits for its reader (line-sink.ts).
 */
import { stderr } from 'node:process';
import { pino, type LevelWithSilent, type Logger as PinoLogger } from 'pino';
import { LineSink } from './line-sink.ts';

export type Logger = Pick<PinoLogger, 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'isLevelEnabled'>;

/** One for the process: lines of two logs must not get into each other. */
let errors: LineSink | undefined;

export function createLog(level: LevelWithSilent): Logger {
  return pino({ level }, stderrLines());
}

/** Lines of the log that were dropped since the process began, because its reader did not read. */
export function droppedLogLines(): number {
  return errors?.dropped ?? 0;
}

/** Stderr, for the log and for the sentence with which a start fails. Whoever ends the process drains it. */
export function stderrLines(): LineSink {
  if (errors !== undefined) return errors;
  // A reader of the log that has gone away is no reason to stop serving. To use it also keeps a pipe from waiting.
  stderr.on('error', () => undefined);
  const sink = new LineSink(2, {
    onDropped: (dropped) => {
      warnings.warn({ dropped }, 'log lines were dropped, because the reader of stderr did not read');
    },
  });
  const warnings = pino({ level: 'warn' }, sink);
  errors = sink;
  return sink;
}

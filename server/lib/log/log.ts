/**
 * The log: JSON lines on stderr, so that stdout stays for people. It must have no line per heartbeat, and never a token
 * in a line. It never waits for its reader (see line-sink.ts).
 */
import { stderr } from 'node:process';
import { pino, type LevelWithSilent, type Logger as PinoLogger } from 'pino';
import { LineSink } from './line-sink.ts';

export type Logger = Pick<
  PinoLogger,
  'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'isLevelEnabled' | 'level'
>;

/** One sink per process, so that lines of two logs do not mix. */
let errors: LineSink | undefined;

/** `facts` are in every line. */
export function createLog(level: LevelWithSilent, facts?: Readonly<Record<string, number>>): Logger {
  const log = pino({ level }, stderrLines());
  return facts === undefined ? log : log.child(facts);
}

/** Number of log lines dropped since the process began, because the reader did not read. */
export function droppedLogLines(): number {
  return errors?.dropped ?? 0;
}

/** Stderr, for the log and for the message of a failed start. It must be drained before the process exits. */
export function stderrLines(): LineSink {
  if (errors !== undefined) return errors;
  // A closed log reader does not stop the hub. Using `stderr` also makes a pipe non-blocking.
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

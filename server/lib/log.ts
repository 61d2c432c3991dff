/**
 * The log: JSON lines on stderr, so that stdout stays for people. Never a line per heartbeat, and never a token in one.
 * Made once by main.ts; every room that has something to say is handed it.
 */
import { destination, pino, type LevelWithSilent, type Logger as PinoLogger } from 'pino';

export type Logger = Pick<PinoLogger, 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace'>;

export function createLog(level: LevelWithSilent): Logger {
  // Synchronous: the line that says why the process ends must be out before it does.
  const stderr = destination({ dest: 2, sync: true });
  // A reader of the log that has gone away is no reason to stop serving.
  stderr.on('error', () => undefined);
  return pino({ level }, stderr);
}

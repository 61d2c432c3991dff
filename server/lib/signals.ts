/**
 * Handles signals whose default action ends or stops a process. On each, the hub stops cleanly or ignores it with a
 * line in the log. main.ts handles SIGTERM, SIGINT and SIGHUP.
 *
 * Some signals keep their default action: SIGKILL and SIGSTOP, which cannot be caught; SIGILL, SIGBUS, SIGFPE, SIGSEGV,
 * SIGSYS and SIGTRAP, after which the state of the process is unknown; SIGTTOU, which a terminal would repeat forever
 * if it were caught; the real-time signals, which Node.js cannot catch. Node.js itself ignores SIGPIPE and SIGXFSZ.
 */
import { closeSync, openSync } from 'node:fs';
import { constants, platform } from 'node:os';
import { isatty } from 'node:tty';

/** Requests to end the process: from a keyboard, a watchdog, a power supply, or a limit on CPU time. */
const endings = ['SIGQUIT', 'SIGABRT', 'SIGPWR', 'SIGXCPU', 'SIGBREAK'] as const;
/**
 * Signals without a use for the hub. By default SIGUSR1 would open the inspector, and SIGTSTP (Ctrl-Z) would stop the
 * hub for all clients.
 */
const useless = [
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

/**
 * Returns whether the process was started on a terminal that has since been closed. SIGHUP then means that nobody is
 * left to use the program, as it does for every other program.
 */
export function watchTerminal(): () => boolean {
  const wasOnTerminal = isatty(0);
  return () => platform() === 'win32' || (wasOnTerminal && !hasTerminal());
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

interface SignalSource {
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
}

interface SignalOptions {
  readonly stop: () => void;
  readonly onIgnored: (signal: NodeJS.Signals) => void;
  /** Whether Node.js runs with its profiler, which uses SIGPROF. */
  readonly isProfiled: boolean;
}

export function handleSignals(source: SignalSource, { stop, onIgnored, isProfiled }: SignalOptions): void {
  const known = (signal: NodeJS.Signals): boolean => signal in constants.signals;
  for (const signal of endings.filter(known)) source.on(signal, stop);
  for (const signal of useless.filter(known)) {
    if (signal !== 'SIGPROF' || !isProfiled) source.on(signal, onIgnored);
  }
}

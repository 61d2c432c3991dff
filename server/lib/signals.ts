/**
 * Signals whose default action ends or stops a process: for each, whether the hub stops cleanly or ignores it with a line in
 * the log. SIGTERM, SIGINT and SIGHUP are main.ts's own.
 *
 * Left as they are: SIGKILL and SIGSTOP, which nobody can catch; SIGILL, SIGBUS, SIGFPE, SIGSEGV, SIGSYS and SIGTRAP, after
 * which the state of the process is unknown; SIGTTOU, which a terminal would send again without end if it were caught;
 * the real-time signals, which Node.js can't catch. Node.js itself ignores SIGPIPE and SIGXFSZ.
 */
import { constants } from 'node:os';

/** Somebody wants the process to end: from a keyboard, a watchdog, a power supply, a limit on CPU time. */
const endings = ['SIGQUIT', 'SIGABRT', 'SIGPWR', 'SIGXCPU', 'SIGBREAK'] as const;
/** A hub has no use for these. SIGUSR1 would open the inspector, SIGTSTP (Ctrl-Z) would stop the hub for everybody. */
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

interface SignalSource {
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
}

interface SignalOptions {
  readonly stop: () => void;
  readonly onIgnored: (signal: NodeJS.Signals) => void;
  /** Node.js was started with its profiler, which lives on SIGPROF. */
  readonly isProfiled: boolean;
}

export function handleSignals(source: SignalSource, { stop, onIgnored, isProfiled }: SignalOptions): void {
  const known = (signal: NodeJS.Signals): boolean => signal in constants.signals;
  for (const signal of endings.filter(known)) source.on(signal, stop);
  for (const signal of useless.filter(known)) {
    if (signal !== 'SIGPROF' || !isProfiled) source.on(signal, onIgnored);
  }
}

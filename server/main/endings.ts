/** How a process ends: which signal does what, and within what time. */
import { handleSignals, watchTerminal } from '../lib/signals.ts';
import type { Logger } from '../lib/log/log.ts';
import { QuietLog } from '../lib/log/quiet-log.ts';
import { systemClock } from '../lib/time/system-clock.ts';
import type { ExitCode, Service } from './service.ts';

export const STOP_WITHIN_MS = 2000;

/** Ways to end the process at once. */
export interface Exits {
  readonly exit: (code: number) => never;
  /** Prints one line. */
  readonly fail: (problem: string) => never;
  readonly failOnBug: (error: unknown) => never;
}

interface EndingOptions {
  readonly interruptStart: () => void;
  /** HUB_DRAIN_MS as it is now. */
  readonly drainMs: () => number;
  /** Time in addition to what a hub may take. */
  readonly spareMs: number;
  readonly exits: Exits;
}

/**
 * Drains or stops the service, once it has started, and then ends the process. A repeated call changes nothing, because
 * npm forwards a second signal and an impatient operator sends more.
 */
export class Endings {
  readonly #starting: Promise<Service>;
  readonly #options: EndingOptions;
  #isDraining = false;
  #isStopping = false;

  constructor(starting: Promise<Service>, options: EndingOptions) {
    this.#starting = starting;
    this.#options = options;
  }

  get hasBegun(): boolean {
    return this.#isDraining || this.#isStopping;
  }

  drain(): void {
    if (this.hasBegun) return;
    this.#isDraining = true;
    this.#endWithin(this.#options.drainMs() + STOP_WITHIN_MS, (service) => service.drain());
  }

  /** Cuts a drain short. */
  stop(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#endWithin(STOP_WITHIN_MS, (service) => service.stop());
  }

  #endWithin(ownMs: number, end: (service: Service) => Promise<ExitCode>): void {
    const { interruptStart, spareMs, exits } = this.#options;
    interruptStart();
    const ms = ownMs + spareMs;
    setTimeout(() => exits.fail(`the hub did not stop within ${ms} ms and was cut off`), ms).unref();
    // `serve` reports a start that failed.
    this.#starting.then(
      (service) => end(service).then((code) => exits.exit(code), exits.failOnBug),
      () => undefined,
    );
  }
}

interface SignalOptions {
  readonly endings: Endings;
  readonly reload: () => Promise<void>;
  readonly log: Logger;
  readonly isProfiled: boolean;
  readonly exits: Exits;
}

/**
 * SIGTERM drains. SIGINT stops at once, also during a drain. SIGHUP reloads the settings, unless the terminal of the hub
 * was closed.
 */
export function handleEndSignals(
  source: Parameters<typeof handleSignals>[0],
  { endings, reload, log, isProfiled, exits }: SignalOptions,
): void {
  const isTerminalGone = watchTerminal();
  let reloading = Promise.resolve();
  const stop = (): void => endings.stop();
  source.on('SIGTERM', () => endings.drain());
  source.on('SIGINT', stop);
  source.on('SIGHUP', () => {
    if (isTerminalGone()) stop();
    else if (!endings.hasBegun) reloading = reloading.then(reload).catch(exits.failOnBug);
  });
  const quiet = new QuietLog(systemClock);
  handleSignals(source, {
    stop,
    onIgnored: (signal) => {
      quiet.maybe((leftOut) => {
        log.warn({ signal, leftOut }, 'a signal was ignored: SIGTERM or Ctrl-C stops the hub');
      });
    },
    isProfiled,
  });
}

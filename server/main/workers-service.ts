/** The service of a parent of workers, and that of a worker. */
import type { Config } from '../config/config.ts';
import { configOfWorker } from '../config/worker-config.ts';
import { createLog, droppedLogLines, type Logger } from '../lib/log/log.ts';
import { StartError } from '../lib/start-error.ts';
import { fork } from '../workers/fork.ts';
import type { WorkerLink } from '../workers/worker-link.ts';
import { nothingReloaded } from '../hub/reload.ts';
import { Workers } from '../workers/workers.ts';
import { Endings, handleEndSignals, STOP_WITHIN_MS, type Exits } from './endings.ts';
import { startHubService } from './hub-service.ts';
import type { Service } from './service.ts';
import { startProblem } from './start-problem.ts';

interface ParentOptions {
  readonly log: Logger;
  /** Aborted when the process is told to stop, so that a start stops waiting. */
  readonly interrupted: AbortSignal;
  readonly exits: Exits;
}

/** @throws {StartError} with one sentence for the operator. */
export async function startWorkersService(
  config: Config,
  { log, interrupted, exits }: ParentOptions,
  warnings: readonly string[],
): Promise<Service> {
  let { drainMs } = config;
  const workers = new Workers({
    config,
    warnings,
    log,
    fork,
    after: (ms, run) => {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
    nowMs: () => performance.now(),
    onLost: (problem) => exits.fail(problem),
  });
  const stop = (): ReturnType<Service['stop']> => workers.end('stop', STOP_WITHIN_MS);
  const interrupt = (): void => void stop();
  interrupted.addEventListener('abort', interrupt);
  const lines = await workers.start();
  interrupted.removeEventListener('abort', interrupt);
  return {
    lines,
    reload: async (next) => {
      // Not at the start, because the parent needs no other part of the hub.
      const { withLiveSettings } = await import('../hub/context.ts');
      try {
        workers.reload(next, withLiveSettings);
      } catch (error) {
        if (!(error instanceof StartError)) throw error;
        log.error(nothingReloaded(error.message));
        return false;
      }
      log.level = next.logLevel;
      ({ drainMs } = next);
      return true;
    },
    drain: () => workers.end('drain', drainMs + STOP_WITHIN_MS),
    stop,
  };
}

/** Serves as one of several workers until the parent or a signal ends it. */
export async function serveAsWorker(
  link: WorkerLink,
  signals: Parameters<typeof handleEndSignals>[0],
  {
    exits,
    endOnBugs,
    isProfiled,
  }: { readonly exits: Exits; readonly endOnBugs: (log: Logger) => void; readonly isProfiled: boolean },
): Promise<void> {
  const start = await link.start;
  const { number, warnings } = start;
  const config = configOfWorker(start.config, number);
  const log = createLog(config.logLevel, { worker: number });
  endOnBugs(log);
  const interrupt = new AbortController();
  const options = { log, droppedLogLines, interrupted: interrupt.signal, worker: link.contextOf(start) };
  const starting = startHubService(config, options, warnings);
  let { drainMs } = config;
  const endings = new Endings(starting, {
    interruptStart: () => interrupt.abort(),
    drainMs: () => drainMs,
    spareMs: 0,
    exits,
  });
  link.setCommands({
    reload: (next) => {
      void starting.then(
        (hub) =>
          hub.reload(configOfWorker(next, number)).then((applies) => {
            if (applies) ({ drainMs } = next);
          }, exits.failOnBug),
        () => undefined,
      );
    },
    drain: () => endings.drain(),
    stop: () => endings.stop(),
    parentDied: () => {
      log.error('the parent process has died: this worker stops');
      endings.stop();
    },
  });
  // The parent reads the settings for all of them.
  handleEndSignals(signals, { endings, reload: () => Promise.resolve(), log, isProfiled, exits });
  try {
    const { port, lines } = await starting;
    link.reportServing(port, lines);
  } catch (error) {
    if (interrupt.signal.aborted && error instanceof StartError) exits.exit(0);
    await link.reportFailure(startProblem(error) ?? exits.failOnBug(error));
    exits.exit(1);
  }
}

/**
 * The workers of a parent process: starts them, restarts those that end or hang, and stops all. The parent handles no
 * client and stores nothing. `fork` makes the processes.
 */
import type { Config } from '../config/config.ts';
import type { Logger } from '../lib/log/log.ts';
import { StartError } from '../lib/start-error.ts';
import type { ToParent, ToWorker } from './messages.ts';
import { Relay } from './relay.ts';

/** 1 if a worker had to be killed. */
export type ExitCode = 0 | 1;

export interface WorkerEvents {
  message(message: ToParent): void;
  ended(code: number | null, signal: string | null): void;
}

export interface WorkerProcess {
  readonly pid: number;
  /** Does nothing if the process has ended. */
  send(message: ToWorker): void;
  /** Ends it at once. */
  kill(): void;
}

interface WorkersOptions {
  readonly config: Config;
  readonly warnings: readonly string[];
  readonly log: Logger;
  readonly fork: (events: WorkerEvents) => WorkerProcess;
  readonly after: (ms: number, run: () => void) => () => void;
  readonly nowMs: () => number;
  /** Ends the parent, because the workers can no longer serve what the start has printed. */
  readonly onLost: (problem: string) => void;
}

/** The delay before a worker is restarted: at first, and at most. It doubles with each end. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 10_000;
/** After a worker has run for this long, the delay starts at its first value again. */
const SOUND_AFTER_MS = 30_000;
/** The time limit for the end of the other workers after a failed start. */
const UNDONE_WITHIN_MS = 2000;
/** A worker that takes longer than its own time limit by this much is killed. */
const CUT_AFTER_MS = 500;
/** How often each worker is asked for a sign of life, from the end of the parent's start on. */
const PING_EVERY_MS = 5000;
/**
 * A worker that leaves this many in a row unanswered hangs. Pings are counted, not time: if this process stood still, it
 * has not read the answers yet.
 */
const HUNG_AFTER_PINGS = 6;

interface Slot {
  readonly number: number;
  child: WorkerProcess | null;
  /** Whether it was sent its start, so that an end may cut something off. */
  hasStarted: boolean;
  isServing: boolean;
  /** Pings since its last answer. */
  unanswered: number;
  startedAtMs: number;
  /** Ends in a row. */
  ends: number;
  /** Why its start failed. */
  problem: string | undefined;
  cancelWait: () => void;
  /** While the parent starts. */
  starting: { resolve: (serving: Serving) => void; reject: (error: StartError) => void } | undefined;
}

interface Serving {
  readonly port: number;
  readonly lines: string;
}

export class Workers {
  readonly #options: WorkersOptions;
  readonly #slots: readonly Slot[];
  readonly #relay: Relay;
  #config: Config;
  #takenPort: number | null = null;
  #cancelPing: () => void = () => undefined;
  #ending: { code: ExitCode; readonly resolve: (code: ExitCode) => void } | undefined;
  #allEnded: Promise<ExitCode> | undefined;

  constructor(options: WorkersOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#relay = new Relay(options.after);
    this.#slots = Array.from({ length: options.config.workers }, (_, i) => emptySlot(i + 1));
  }

  /**
   * Starts the first worker and then the others, so that a wrong setting or a port that is taken fails once. Returns the
   * lines of the start. @throws {StartError} with one sentence for the operator; no worker is left then.
   */
  async start(): Promise<string> {
    const [first, ...others] = this.#slots;
    if (first === undefined) throw new Error('no workers');
    try {
      const { port, lines } = await this.#startFirst(first);
      this.#takenPort = port;
      await Promise.all(others.map((slot) => this.#startFirst(slot)));
      this.#pingLater();
      return lines;
    } catch (error) {
      await this.end('stop', UNDONE_WITHIN_MS);
      throw error;
    }
  }

  /**
   * Has all workers reload. `merge` returns what applies after that, also to workers that start later. If it throws,
   * nothing changes.
   */
  reload(next: Config, merge: (config: Config, next: Config) => Config): void {
    this.#config = merge(this.#config, next);
    for (const { child } of this.#slots) child?.send({ type: 'reload', config: next });
  }

  /** Ends all workers, which may take `withinMs` by themselves. Resolves when none is left. The last call counts. */
  end(how: 'drain' | 'stop', withinMs: number): Promise<ExitCode> {
    this.#allEnded ??= new Promise((resolve) => (this.#ending = { code: 0, resolve }));
    this.#cancelPing();
    for (const slot of this.#slots) {
      slot.cancelWait();
      slot.child?.send({ type: how });
    }
    this.#options.after(withinMs + CUT_AFTER_MS, () => {
      for (const { child } of this.#slots) child?.kill();
    });
    this.#resolveIfAllEnded();
    return this.#allEnded;
  }

  #startFirst(slot: Slot): Promise<Serving> {
    if (this.#ending !== undefined) throw new StartError('the start was interrupted');
    return new Promise((resolve, reject) => {
      slot.starting = { resolve, reject };
      this.#fork(slot);
    });
  }

  #fork(slot: Slot): void {
    if (this.#ending !== undefined) return;
    const { fork, nowMs } = this.#options;
    slot.startedAtMs = nowMs();
    slot.hasStarted = false;
    slot.unanswered = 0;
    slot.problem = undefined;
    const child = fork({
      message: (message) => this.#receive(slot, child, message),
      ended: (code, signal) => this.#childEnded(slot, child, code, signal),
    });
    slot.child = child;
  }

  #sendStart(slot: Slot, child: WorkerProcess): void {
    if (this.#ending !== undefined) {
      child.kill();
      return;
    }
    slot.hasStarted = true;
    const { number } = slot;
    const { warnings, config } = this.#options;
    const takenPort = this.#takenPort;
    child.send({ type: 'start', number, count: config.workers, takenPort, config: this.#config, warnings });
  }

  #receive(slot: Slot, child: WorkerProcess, message: ToParent): void {
    switch (message.type) {
      case 'ready':
        this.#sendStart(slot, child);
        break;
      case 'serving':
        this.#markServing(slot, message);
        break;
      case 'failed':
        slot.problem = message.problem;
        break;
      case 'pong':
        slot.unanswered = 0;
        break;
      case 'ask':
        this.#relay.ask(child, message.id, message.question, this.#othersOf(slot));
        break;
      case 'answer':
        this.#relay.answer(child, message.id, message.answer);
        break;
    }
  }

  #markServing(slot: Slot, serving: Serving): void {
    slot.isServing = true;
    const { starting } = slot;
    slot.starting = undefined;
    if (starting !== undefined) {
      starting.resolve(serving);
      return;
    }
    const { log, onLost } = this.#options;
    log.info({ worker: slot.number, workerPid: slot.child?.pid }, 'the worker serves again');
    // With HUB_PORT=0 the port is lost if no worker is left that has it.
    if (serving.port === this.#takenPort) return;
    onLost(`all workers ended at once, and HUB_PORT=0 gave another port than ${this.#takenPort ?? 0}: start again`);
  }

  #pingLater(): void {
    this.#cancelPing = this.#options.after(PING_EVERY_MS, () => {
      for (const slot of this.#slots) this.#ping(slot);
      this.#pingLater();
    });
  }

  #ping(slot: Slot): void {
    const { number, child } = slot;
    if (child === null) return;
    if (slot.unanswered === HUNG_AFTER_PINGS) {
      const silentMs = HUNG_AFTER_PINGS * PING_EVERY_MS;
      this.#options.log.warn(
        { worker: number, workerPid: child.pid, silentMs },
        'a worker does not answer: it is killed',
      );
      child.kill();
    } else {
      slot.unanswered++;
      child.send({ type: 'ping' });
    }
  }

  #othersOf(asker: Slot): WorkerProcess[] {
    return this.#slots.flatMap(({ number, child, isServing }) =>
      number === asker.number || !isServing || child === null ? [] : [child],
    );
  }

  #childEnded(slot: Slot, child: WorkerProcess, code: number | null, signal: string | null): void {
    slot.child = null;
    slot.isServing = false;
    this.#relay.ended(child);
    const { starting, problem } = slot;
    slot.starting = undefined;
    starting?.reject(
      new StartError(
        problem ??
          `worker ${slot.number} ended at its start (${signal ?? `exit code ${code ?? 0}`}): its lines above say why`,
      ),
    );
    if (this.#ending !== undefined) {
      if (code !== 0 && slot.hasStarted) this.#ending.code = 1;
      this.#resolveIfAllEnded();
    } else if (starting === undefined) this.#startAgain(slot, { workerPid: child.pid, code, signal });
  }

  #startAgain(
    slot: Slot,
    end: { readonly workerPid: number; readonly code: number | null; readonly signal: string | null },
  ): void {
    const { log, after, nowMs } = this.#options;
    if (nowMs() - slot.startedAtMs >= SOUND_AFTER_MS) slot.ends = 0;
    const inMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** slot.ends++);
    const { number, problem } = slot;
    log.warn(
      { worker: number, ...end, ...(problem !== undefined && { problem }), inMs },
      'a worker ended: it is started again',
    );
    slot.cancelWait = after(inMs, () => this.#fork(slot));
  }

  #resolveIfAllEnded(): void {
    if (this.#slots.every(({ child }) => child === null)) this.#ending?.resolve(this.#ending.code);
  }
}

function emptySlot(number: number): Slot {
  return {
    number,
    child: null,
    hasStarted: false,
    isServing: false,
    unanswered: 0,
    startedAtMs: 0,
    ends: 0,
    problem: undefined,
    cancelWait: () => undefined,
    starting: undefined,
  };
}

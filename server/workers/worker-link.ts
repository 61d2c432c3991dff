/** The channel to the parent, in a worker. */
import cluster, { type Worker } from 'node:cluster';
import type { Config } from '../config/config.ts';
import type { Question, ToParent, ToWorker, WorkerStart } from './messages.ts';
import { ANSWERED_WITHIN_MS } from './relay.ts';
import type { WorkerContext } from './worker-context.ts';

/** The parent answers earlier, unless it is busy itself. */
const GIVE_UP_AFTER_MS = 2 * ANSWERED_WITHIN_MS;

/** Runs the commands of the parent. */
export interface WorkerCommands {
  reload(next: Config): void;
  drain(): void;
  stop(): void;
  /** The parent has died. */
  parentDied(): void;
}

type LaterMessage = Exclude<ToWorker, { type: 'start' | 'ping' }>;

export class WorkerLink {
  readonly start: Promise<WorkerStart>;
  readonly #worker: Worker;
  readonly #answers = new Map<Question, () => unknown>();
  readonly #asked = new Map<number, (answers: readonly unknown[]) => void>();
  #lastId = 0;
  #commands: WorkerCommands | undefined;
  /** Messages that arrived before the commands were set. */
  #early: LaterMessage[] = [];

  /** Returns null if this process is not a worker. */
  static open(): WorkerLink | null {
    return cluster.worker === undefined ? null : new WorkerLink(cluster.worker);
  }

  private constructor(worker: Worker) {
    this.#worker = worker;
    this.start = new Promise((resolve) => {
      worker.on('message', (message: ToWorker) => {
        if (message.type === 'start') resolve(message);
        else if (message.type === 'ping') this.#send({ type: 'pong' });
        else if (this.#commands === undefined) this.#early.push(message);
        else this.#receive(this.#commands, message);
      });
    });
    this.#send({ type: 'ready' });
    worker.on('disconnect', () => {
      // Otherwise Node.js ends the process right after this.
      worker.exitedAfterDisconnect = true;
      this.#commands?.parentDied();
    });
  }

  /** From now on, the commands of the parent are run, first those that arrived earlier. */
  setCommands(commands: WorkerCommands): void {
    this.#commands = commands;
    for (const message of this.#early.splice(0)) this.#receive(commands, message);
    if (!this.#worker.isConnected()) commands.parentDied();
  }

  reportServing(port: number, lines: string): void {
    this.#send({ type: 'serving', port, lines });
  }

  /** Resolves when it is sent, or cannot be sent. */
  reportFailure(problem: string): Promise<void> {
    return new Promise((resolve) => {
      if (this.#worker.isConnected()) this.#worker.send({ type: 'failed', problem }, () => resolve());
      else resolve();
    });
  }

  contextOf({ number, count, takenPort }: WorkerStart): WorkerContext {
    return {
      number,
      count,
      takenPort,
      ask: (question) => this.#ask(question),
      onAsked: (question, answer) => void this.#answers.set(question, answer),
    };
  }

  #ask(question: Question): Promise<readonly unknown[]> {
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      const finish = (answers: readonly unknown[]): void => {
        clearTimeout(timer);
        this.#asked.delete(id);
        resolve(answers);
      };
      const timer = setTimeout(() => finish([]), GIVE_UP_AFTER_MS);
      this.#asked.set(id, finish);
      this.#send({ type: 'ask', id, question });
    });
  }

  #receive(commands: WorkerCommands, message: LaterMessage): void {
    switch (message.type) {
      case 'reload':
        commands.reload(message.config);
        break;
      case 'drain':
        commands.drain();
        break;
      case 'stop':
        commands.stop();
        break;
      case 'asked':
        void this.#answer(message.id, message.question);
        break;
      case 'answers':
        this.#asked.get(message.id)?.(message.answers);
        break;
    }
  }

  async #answer(id: number, question: Question): Promise<void> {
    const answer = this.#answers.get(question);
    if (answer !== undefined) this.#send({ type: 'answer', id, answer: await answer() });
  }

  #send(message: ToParent): void {
    // The channel may close at any moment. `parentDied` follows.
    if (this.#worker.isConnected()) this.#worker.send(message, () => undefined);
  }
}

/** The worker's end of the channel to its parent. */
import cluster, { type Worker } from 'node:cluster';
import type { Config } from '../config/config.ts';
import type { Beginning, Question, ToParent, ToWorker } from './messages.ts';
import { ANSWERED_WITHIN_MS } from './relay.ts';
import type { Seat } from './seat.ts';

/** The parent answers earlier, unless it is busy itself. */
const GIVE_UP_AFTER_MS = 2 * ANSWERED_WITHIN_MS;

/** What a worker does on its parent's order. */
export interface WorkerOrders {
  reload(next: Config): void;
  drain(): void;
  stop(): void;
  /** The parent is gone without a word. */
  orphaned(): void;
}

type LaterMessage = Exclude<ToWorker, { type: 'begin' }>;

export class WorkerLink {
  readonly beginning: Promise<Beginning>;
  readonly #worker: Worker;
  readonly #answers = new Map<Question, () => unknown>();
  readonly #asked = new Map<number, (answers: readonly unknown[]) => void>();
  #lastId = 0;
  #orders: WorkerOrders | undefined;
  /** What came before the worker could obey. */
  #early: LaterMessage[] = [];

  /** Returns null if this process is no worker. */
  static open(): WorkerLink | null {
    return cluster.worker === undefined ? null : new WorkerLink(cluster.worker);
  }

  private constructor(worker: Worker) {
    this.#worker = worker;
    this.beginning = new Promise((resolve) => {
      worker.on('message', (message: ToWorker) => {
        if (message.type === 'begin') resolve(message);
        else if (this.#orders === undefined) this.#early.push(message);
        else this.#hear(this.#orders, message);
      });
    });
    this.#send({ type: 'ready' });
    worker.on('disconnect', () => {
      // Otherwise Node.js ends the process right after this.
      worker.exitedAfterDisconnect = true;
      this.#orders?.orphaned();
    });
  }

  obey(orders: WorkerOrders): void {
    this.#orders = orders;
    for (const message of this.#early.splice(0)) this.#hear(orders, message);
    if (!this.#worker.isConnected()) orders.orphaned();
  }

  serves(port: number, lines: string): void {
    this.#send({ type: 'serves', port, lines });
  }

  /** Resolves when it is said, or when nobody is there to hear it. */
  failed(problem: string): Promise<void> {
    return new Promise((resolve) => {
      if (this.#worker.isConnected()) this.#worker.send({ type: 'failed', problem }, () => resolve());
      else resolve();
    });
  }

  seat({ number, count, takenPort }: Beginning): Seat {
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

  #hear(orders: WorkerOrders, message: LaterMessage): void {
    switch (message.type) {
      case 'reload':
        orders.reload(message.config);
        break;
      case 'drain':
        orders.drain();
        break;
      case 'stop':
        orders.stop();
        break;
      case 'ping':
        this.#send({ type: 'pong' });
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
    // The channel may close at any moment. `orphaned` follows.
    if (this.#worker.isConnected()) this.#worker.send(message, () => undefined);
  }
}

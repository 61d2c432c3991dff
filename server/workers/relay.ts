/** Forwards a worker's question to the others, and their answers back to it. */
import type { Question, ToWorker } from './messages.ts';

/** A worker that is busy for longer is left out of the answer. */
export const ANSWERED_WITHIN_MS = 1000;

interface Receiver {
  send(message: ToWorker): void;
}

interface Asked {
  readonly by: Receiver;
  readonly id: number;
  readonly answers: unknown[];
  /** Those that have not answered yet. */
  readonly open: Set<Receiver>;
  readonly cancel: () => void;
}

export class Relay {
  readonly #after: (ms: number, run: () => void) => () => void;
  readonly #asked = new Map<number, Asked>();
  #lastId = 0;

  constructor(after: (ms: number, run: () => void) => () => void) {
    this.#after = after;
  }

  /** `id`: the asker's own number of the question. */
  ask(by: Receiver, id: number, question: Question, others: readonly Receiver[]): void {
    const ownId = ++this.#lastId;
    const cancel = this.#after(ANSWERED_WITHIN_MS, () => this.#finish(ownId));
    this.#asked.set(ownId, { by, id, answers: [], open: new Set(others), cancel });
    for (const other of others) other.send({ type: 'asked', id: ownId, question });
    if (others.length === 0) this.#finish(ownId);
  }

  answer(from: Receiver, ownId: number, answer: unknown): void {
    const asked = this.#asked.get(ownId);
    if (asked?.open.delete(from) !== true) return;
    asked.answers.push(answer);
    if (asked.open.size === 0) this.#finish(ownId);
  }

  /** The worker has ended, so it will not answer. */
  ended(receiver: Receiver): void {
    for (const [ownId, { by, open }] of this.#asked) {
      if (by === receiver || (open.delete(receiver) && open.size === 0)) this.#finish(ownId);
    }
  }

  #finish(ownId: number): void {
    const asked = this.#asked.get(ownId);
    if (asked === undefined) return;
    this.#asked.delete(ownId);
    asked.cancel();
    asked.by.send({ type: 'answers', id: asked.id, answers: asked.answers });
  }
}

/**
 * Shares each turn of the event loop among all HTTP requests of a port. A request is answered at once if the turn has time
 * left; otherwise it waits for a later turn, and connections take turns with one request each. Knows no engine.
 */

/** How much of a turn is for requests: most cost 20 to 100 µs. */
const TURN_MS = 10;
/** Requests of a turn that are answered even if its time is over, so that a busy machine does not delay a few. */
const LEAST_REQUESTS = 64;

interface RequestTurnsOptions {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Calls back when the loop has seen to its other work: `setImmediate`. */
  readonly afterTurn: (run: () => void) => void;
}

type Answer = () => void;

export class RequestTurns {
  readonly #options: RequestTurnsOptions;
  /** What waits, for each connection in order. */
  readonly #waiting = new Map<object, Answer[]>();
  /** When this turn's time for requests is over; `null` if this turn has had none. */
  #endsAt: number | null = null;
  #answered = 0;

  constructor(options: RequestTurnsOptions) {
    this.#options = options;
  }

  /** Answers now or in a later turn. @returns whether it waits. */
  run(connection: object, answer: Answer): boolean {
    this.#begin();
    const before = this.#waiting.get(connection);
    if (before === undefined && this.#hasTime) {
      this.#answered++;
      answer();
      return false;
    }
    if (before === undefined) this.#waiting.set(connection, [answer]);
    else before.push(answer);
    return true;
  }

  /** What waits of a connection that has closed is answered no more. */
  forget(connection: object): void {
    this.#waiting.delete(connection);
  }

  get #hasTime(): boolean {
    return this.#endsAt === null || this.#answered < LEAST_REQUESTS || this.#options.now() < this.#endsAt;
  }

  #begin(): void {
    if (this.#endsAt !== null) return;
    this.#endsAt = this.#options.now() + TURN_MS;
    this.#options.afterTurn(() => this.#end());
  }

  #end(): void {
    this.#endsAt = null;
    this.#answered = 0;
    if (this.#waiting.size === 0) return;
    this.#begin();
    for (const [connection, answers] of this.#waiting) {
      if (!this.#hasTime) return;
      this.#waiting.delete(connection);
      const answer = answers.shift();
      // Behind the others: one request each.
      if (answers.length > 0) this.#waiting.set(connection, answers);
      this.#answered++;
      answer?.();
    }
  }
}

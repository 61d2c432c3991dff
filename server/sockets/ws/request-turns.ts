/**
 * Shares each turn of the event loop among all HTTP connections of a port. A task of a connection runs at once if the
 * turn has time left. Otherwise it waits for a later turn. A connection with one request does not wait behind those
 * that send requests without end (see `#end`). Knows no engine.
 */

/** A connection that had a task within this time is not a newcomer. */
const RECENT_MS = 100;

interface RequestTurnsOptions {
  /** Time of a turn for requests, in ms. Most requests cost 20 to 100 µs. */
  readonly turnMs: number;
  /** Minimum tasks of a turn, even if its time is over, so that a busy machine does not delay a few requests. */
  readonly leastTasks: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Calls back after the loop has done its other work: `setImmediate`. */
  readonly afterTurn: (run: () => void) => void;
}

/** A part of the work for a connection: to read some of what it sent, or to answer a request. */
type Task = () => void;

export class RequestTurns {
  readonly #options: RequestTurnsOptions;
  /** Waiting tasks of each connection, in order. Newcomers had no recent task. */
  readonly #newcomers = new Map<object, Task[]>();
  readonly #regulars = new Map<object, Task[]>();
  /** Connections that had a task since `#recentSince`. */
  #recent = new WeakSet();
  #recentSince = 0;
  /** When this turn's time is over; `null` if this turn has had no task. */
  #endsAt: number | null = null;
  #done = 0;
  /** A connection was accepted in this turn. */
  #hasAccepted = false;
  /** A connection was accepted in this turn or in the last one, so this turn runs one task only. */
  #isShort = false;

  constructor(options: RequestTurnsOptions) {
    this.#options = options;
  }

  /** Runs the task now, or in a later turn after all waiting tasks of the connection. @returns whether it waits. */
  run(connection: object, task: Task): boolean {
    this.#begin();
    const before = this.#regulars.get(connection) ?? this.#newcomers.get(connection);
    if (before === undefined && this.#hasTime && !this.#isShort) {
      this.#do(connection, task);
      return false;
    }
    if (before !== undefined) before.push(task);
    else if (this.#recent.has(connection)) this.#regulars.set(connection, [task]);
    else this.#newcomers.set(connection, [task]);
    return true;
  }

  /**
   * Makes this turn and the next as short as possible, because a connection was accepted. More of them may wait, and
   * libuv accepts only one in each turn of the loop: a hundred that arrive at once would delay the next one by a
   * hundred full turns.
   */
  hurry(): void {
    this.#begin();
    this.#hasAccepted = true;
    this.#isShort = true;
  }

  /** Drops the waiting tasks of a closed connection. */
  forget(connection: object): void {
    this.#newcomers.delete(connection);
    this.#regulars.delete(connection);
  }

  get #hasTime(): boolean {
    if (this.#endsAt === null || this.#done === 0) return true;
    if (this.#isShort) return false;
    return this.#done < this.#options.leastTasks || this.#options.now() < this.#endsAt;
  }

  #begin(): void {
    if (this.#endsAt !== null) return;
    const now = this.#options.now();
    this.#endsAt = now + this.#options.turnMs;
    if (now - this.#recentSince > RECENT_MS) {
      this.#recent = new WeakSet();
      this.#recentSince = now;
    }
    this.#options.afterTurn(() => this.#end());
  }

  /**
   * Begins the next turn with the waiting tasks. A newcomer and a regular alternate, each with one task, so that
   * neither kind blocks the other. A connection with more tasks goes behind the regulars.
   */
  #end(): void {
    this.#endsAt = null;
    this.#done = 0;
    while (this.#newcomers.size + this.#regulars.size > 0) {
      this.#begin();
      this.#doFirstOf(this.#newcomers);
      this.#doFirstOf(this.#regulars);
      if (!this.#hasTime) break;
    }
    this.#isShort = this.#hasAccepted;
    this.#hasAccepted = false;
  }

  #doFirstOf(queue: Map<object, Task[]>): void {
    const [first] = queue;
    if (first === undefined || !this.#hasTime) return;
    const [connection, [task, ...others]] = first;
    queue.delete(connection);
    if (others.length > 0) this.#regulars.set(connection, others);
    if (task !== undefined) this.#do(connection, task);
  }

  #do(connection: object, task: Task): void {
    this.#done++;
    this.#recent.add(connection);
    task();
  }
}

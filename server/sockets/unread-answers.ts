/**
 * Limits the memory of HTTP answers that wait for their clients to read them, of all connections together. A request of
 * a few bytes may ask for megabytes, and a client that reads slowly, or never, keeps them in memory. Beyond the limit,
 * connections that have waited for a second are cut: the oldest of the address with the most waiting bytes first. Knows
 * no engine.
 */

/** Answers up to this size are not counted: the engines limit how many of them a connection has. */
export const SMALL_ANSWER_BYTES = 16 * 1024;
const MAX_BYTES = 64 * 1024 * 1024;
/** A client that reads has its answer within this time. */
const PATIENCE_MS = 1000;
/** Beyond so many times the limit, connections are cut without patience. */
const HARD_LIMIT = 4;
const CHECK_EVERY_MS = 250;

interface UnreadOptions {
  readonly maxBytes?: number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

interface Unread {
  readonly bytes: number;
  readonly since: number;
  /** Cuts the connection, in a later turn if it must. */
  readonly cut: () => void;
}

interface Account {
  bytes: number;
  /** In the order in which they were sent. */
  readonly answers: Set<Unread>;
}

export class UnreadAnswers {
  readonly #maxBytes: number;
  readonly #now: () => number;
  readonly #accounts = new Map<string, Account>();
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor({ maxBytes = MAX_BYTES, now = () => performance.now() }: UnreadOptions = {}) {
    this.#maxBytes = maxBytes;
    this.#now = now;
  }

  /** Waiting bytes of all connections. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Counts an answer that waits for a client of this address. @returns a function that ends this, once the answer is
   * read or its connection has ended. It may be called more than once.
   */
  hold(address: string, bytes: number, cut: () => void): () => void {
    const account = this.#accounts.get(address) ?? { bytes: 0, answers: new Set<Unread>() };
    this.#accounts.set(address, account);
    const unread = { bytes, since: this.#now(), cut };
    account.answers.add(unread);
    account.bytes += bytes;
    this.#bytes += bytes;
    if (this.#bytes > this.#maxBytes) this.check();
    return () => this.#drop(address, account, unread);
  }

  /** Cuts connections while there are too many bytes. Repeats itself until there are not. */
  check(): void {
    clearTimeout(this.#timer);
    while (this.#bytes > this.#maxBytes) {
      const [address, account, oldest] = this.#nextToCut() ?? [];
      if (address === undefined || account === undefined || oldest === undefined) {
        this.#timer = setTimeout(() => this.check(), CHECK_EVERY_MS).unref();
        return;
      }
      this.#drop(address, account, oldest);
      oldest.cut();
    }
  }

  #nextToCut(): [string, Account, Unread] | undefined {
    const isHard = this.#bytes > HARD_LIMIT * this.#maxBytes;
    const before = isHard ? Infinity : this.#now() - PATIENCE_MS;
    let found: [string, Account, Unread] | undefined;
    for (const [address, account] of this.#accounts) {
      const [oldest] = account.answers;
      if (oldest === undefined || oldest.since > before) continue;
      if (found === undefined || account.bytes > found[1].bytes) found = [address, account, oldest];
    }
    return found;
  }

  #drop(address: string, account: Account, unread: Unread): void {
    if (!account.answers.delete(unread)) return;
    account.bytes -= unread.bytes;
    this.#bytes -= unread.bytes;
    if (account.answers.size === 0) this.#accounts.delete(address);
  }
}

/**
 * The room for messages in one loop turn, for all flushes of the turn together. Half of it is for users with very many
 * watchers. Must not know which users are sent.
 */
import type { Outbox } from './outbox.ts';

interface FlushTurnOptions {
  /** Half of the messages of one turn. */
  readonly largeAudience: number;
  /** Calls back after the loop's other work. */
  readonly afterTurn: (run: () => void) => void;
}

/** The work of one flush until now. */
interface FlushWork {
  readonly touched: readonly Outbox[];
  /** Connections that were checked, whether or not they are sent a message. */
  readonly checks: number;
}

const AUDIENCES_PER_TURN = 2;
/** Watches checked for each message. Most need no message; a check takes 0.1 to 0.3 µs. */
const CHECKS_PER_MESSAGE = 10;
/** Below this, the end of a turn is not observed, and its messages count for the next turn too. */
const UNOBSERVED_MESSAGES = 128;
const UNOBSERVED_CHECKS = 10 * UNOBSERVED_MESSAGES;

export class FlushTurn {
  readonly #options: FlushTurnOptions;
  #messages = 0;
  #checks = 0;
  #isObserved = false;

  constructor(options: FlushTurnOptions) {
    this.#options = options;
  }

  /** Whether the turn has room for that many watchers, apart from a reserved part of its messages. */
  hasRoom({ touched, checks }: FlushWork, watchers = 1, reserved = 0): boolean {
    const messages = AUDIENCES_PER_TURN * this.#options.largeAudience;
    const messagesLeft = messages - this.#messages - touched.length - reserved;
    const checksLeft = CHECKS_PER_MESSAGE * messages - this.#checks - checks;
    return watchers <= messagesLeft && watchers <= checksLeft;
  }

  /** Counts the work of a flush. `isMoreDue`: it had no room for everything. */
  use({ touched, checks }: FlushWork, isMoreDue: boolean): void {
    this.#messages += touched.length;
    this.#checks += checks;
    const isLittle = this.#messages < UNOBSERVED_MESSAGES && this.#checks < UNOBSERVED_CHECKS && !isMoreDue;
    if (this.#isObserved || isLittle) return;
    this.#isObserved = true;
    this.#options.afterTurn(() => {
      this.#isObserved = false;
      this.#messages = 0;
      this.#checks = 0;
    });
  }
}

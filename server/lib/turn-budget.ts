/**
 * Bounds the heavy work of one turn of the event loop, whichever connection or request it is for. Work within the budget
 * is done at once. What exceeds it waits in line for a later turn, so that sockets and timers are served in between.
 * Longer work takes its budget in parts. Knows nothing of the work.
 */

/**
 * In users touched: a user that is in memory costs 0.5 to 1 µs in a snapshot, one that storage is asked for 3 to 4 µs (and
 * counts as two), a message to a socket about 6 µs (and counts as four). So a turn takes 3 to 10 ms.
 */
export const UNITS_PER_TURN = 2000;

interface Waiting {
  readonly units: number;
  readonly goOn: () => void;
}

export class TurnBudget {
  readonly #afterTurn: (run: () => void) => void;
  readonly #line: Waiting[] = [];
  #left = UNITS_PER_TURN;
  #isTurnWatched = false;

  /** @param afterTurn calls back when the loop has seen its other work. */
  constructor(afterTurn: (run: () => void) => void = setImmediate) {
    this.#afterTurn = afterTurn;
  }

  /** Takes budget for work of so many units. @returns what to wait for first; undefined if the work may be done at once. */
  take(units: number): Promise<void> | undefined {
    if (this.#left > 0 && this.#line.length === 0) {
      this.spend(units);
      return undefined;
    }
    return new Promise((goOn) => {
      this.#line.push({ units, goOn });
    });
  }

  /** Counts work that is too small to wait, or can't. */
  spend(units: number): void {
    this.#left -= units;
    if (this.#isTurnWatched) return;
    this.#isTurnWatched = true;
    this.#afterTurn(this.#begin);
  }

  /** Gives a new turn its budget. Work that alone is more than a turn's budget gets a turn for itself. */
  readonly #begin = (): void => {
    this.#isTurnWatched = false;
    this.#left = UNITS_PER_TURN;
    let count = 0;
    for (; count < this.#line.length && this.#left > 0; count++) {
      const { units, goOn } = this.#line[count] as Waiting;
      this.spend(units);
      goOn();
    }
    this.#line.splice(0, count);
  };
}

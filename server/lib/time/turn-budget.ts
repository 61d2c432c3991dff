/**
 * Bounds the heavy work of one loop turn, for all connections and requests together. Work within the budget runs at
 * once. Work beyond it waits in order for a later turn, so that sockets and timers are served in between. Long work
 * takes its budget in parts. Knows nothing of the work.
 */

/**
 * Units are users touched. In a snapshot, a user in memory costs 0.5 to 1 µs. One that is read from storage costs 3 to
 * 4 µs and counts as two. A message to a socket costs about 6 µs and counts as four. So a turn takes 3 to 10 ms.
 */
export const UNITS_PER_TURN = 2000;

interface Waiting {
  readonly units: number;
  readonly resolve: () => void;
}

export class TurnBudget {
  readonly #afterTurn: (run: () => void) => void;
  readonly #queue: Waiting[] = [];
  #left = UNITS_PER_TURN;
  #isTurnWatched = false;

  /** @param afterTurn calls back after the loop's other work. */
  constructor(afterTurn: (run: () => void) => void = setImmediate) {
    this.#afterTurn = afterTurn;
  }

  /**
   * Takes budget for work of this many units. @returns a promise to wait for first; undefined if the work may run at
   * once.
   */
  take(units: number): Promise<void> | undefined {
    if (this.#left > 0 && this.#queue.length === 0) {
      this.spend(units);
      return undefined;
    }
    return new Promise((resolve) => {
      this.#queue.push({ units, resolve });
    });
  }

  /** Counts work that is too small to wait, or cannot wait. */
  spend(units: number): void {
    this.#left -= units;
    if (this.#isTurnWatched) return;
    this.#isTurnWatched = true;
    this.#afterTurn(this.#begin);
  }

  /** Renews the budget in a new turn. Work larger than the whole budget gets a turn of its own. */
  readonly #begin = (): void => {
    this.#isTurnWatched = false;
    this.#left = UNITS_PER_TURN;
    let count = 0;
    for (; count < this.#queue.length && this.#left > 0; count++) {
      const { units, resolve } = this.#queue[count] as Waiting;
      this.spend(units);
      resolve();
    }
    this.#queue.splice(0, count);
  };
}

/** Promises that wait until a condition holds. Knows no time: the conditions are evaluated at each `check`. */
export class Conditions {
  #waiting: (() => boolean)[] = [];

  /** Resolved at the first check at which the condition holds. */
  until(isMet: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(() => {
        if (!isMet()) return false;
        resolve();
        return true;
      });
    });
  }

  check(): void {
    this.#waiting = this.#waiting.filter((isDone) => !isDone());
  }

  /** Forgets all: those promises stay pending. */
  clear(): void {
    this.#waiting = [];
  }
}

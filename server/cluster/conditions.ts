/** Promises that wait until a condition holds. Has no timer: `check` evaluates the conditions. */
export class Conditions {
  #waiting: (() => boolean)[] = [];

  /** Resolves at the first `check` at which the condition holds. */
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

  /** Drops all conditions. Their promises stay pending. */
  clear(): void {
    this.#waiting = [];
  }
}

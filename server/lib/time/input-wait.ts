/**
 * How long the input that is handled now has waited in the hub, for its rate or for its turn. Nearly all input is handled
 * as soon as it is read, so only the parts that let input wait say anything here, and the usual path costs nothing.
 */
export class InputWait {
  #ms = 0;

  /** Real milliseconds; 0 for input that has not waited. */
  get ms(): number {
    return this.#ms;
  }

  /** Handles input that has waited since this reading of `performance.now()`. */
  since(waitingSince: number, handle: () => void): void {
    this.#ms = performance.now() - waitingSince;
    try {
      handle();
    } finally {
      this.#ms = 0;
    }
  }
}

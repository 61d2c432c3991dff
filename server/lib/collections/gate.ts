/** Lets a limited number of tasks run at the same time. The others wait in their order. Knows nothing of the tasks. */
export class Gate {
  readonly #places: number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  constructor(places: number) {
    this.#places = places;
  }

  get isEmpty(): boolean {
    return this.#inside === 0;
  }

  /** Takes a place until `leave`. @returns a promise to wait for first; undefined if there is a free place. */
  enter(): Promise<void> | undefined {
    if (this.#inside < this.#places) {
      this.#inside++;
      return undefined;
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Gives the place to the task that has waited longest. */
  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#inside--;
    else next();
  }
}

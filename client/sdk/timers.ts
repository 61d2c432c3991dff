/** Timers by name, at most one of each: setting one anew replaces it, and none is left when they are stopped. */

/** Browsers take a longer one for none. */
const LONGEST_MS = 2 ** 31 - 1;

export class Timers<Name extends string> {
  readonly #running = new Map<Name, ReturnType<typeof setTimeout>>();

  has(name: Name): boolean {
    return this.#running.has(name);
  }

  set(name: Name, ms: number, run: () => void): void {
    this.stop(name);
    const id = setTimeout(
      () => {
        this.#running.delete(name);
        run();
      },
      Math.min(Math.max(0, ms), LONGEST_MS),
    );
    this.#running.set(name, id);
  }

  stop(name: Name): void {
    clearTimeout(this.#running.get(name));
    this.#running.delete(name);
  }
}

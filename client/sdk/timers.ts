/** Timers by name, at most one of each: setting one anew replaces it, and none is left when they are stopped. */

export class Timers<Name extends string> {
  readonly #running = new Map<Name, ReturnType<typeof setTimeout>>();

  has(name: Name): boolean {
    return this.#running.has(name);
  }

  /** `run` hears how late it is: this process may have stood still. */
  set(name: Name, ms: number, run: (lateMs: number) => void): void {
    this.stop(name);
    const dueAt = performance.now() + ms;
    const id = setTimeout(() => {
      this.#running.delete(name);
      run(performance.now() - dueAt);
    }, ms);
    this.#running.set(name, id);
  }

  stop(...names: Name[]): void {
    for (const name of names) {
      clearTimeout(this.#running.get(name));
      this.#running.delete(name);
    }
  }
}

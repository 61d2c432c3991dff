/** Named timers, at most one per name. Setting a timer again replaces it, and no timer remains after `stop`. */

export class Timers<Name extends string> {
  readonly #running = new Map<Name, ReturnType<typeof setTimeout>>();

  has(name: Name): boolean {
    return this.#running.has(name);
  }

  /** `run` receives how late it is, because the process may have been suspended. */
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

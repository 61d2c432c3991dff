/** One value that is watched: what the rooms of this page tell its view. Holds no history. */

export interface Signal<T> {
  get(): T;
  /** Tells the watchers where it is another value. */
  set(next: T): void;
  watch(listener: () => void): () => void;
}

export function createSignal<T>(initial: T): Signal<T> {
  const listeners = new Set<() => void>();
  let value = initial;
  return {
    get: () => value,
    set: (next) => {
      if (Object.is(next, value)) return;
      value = next;
      for (const listener of [...listeners]) listener();
    },
    watch: (listener) => {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
  };
}

/** One value that can be watched: how the modules of this page notify the view. Keeps no history. */

export interface Signal<T> {
  get(): T;
  /** Notifies the watchers if the value is different. */
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

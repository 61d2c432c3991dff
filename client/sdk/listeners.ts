/**
 * Who listens to what: the `on` of clients and views, which extend this. A listener that throws takes nothing from the
 * others; its error goes where uncaught ones go.
 */
import type { ListenOptions } from './types.ts';

export class Listeners<Events> {
  readonly #byType = new Map<keyof Events, Set<(event: never) => void>>();

  on<K extends keyof Events>(type: K, listener: (event: Events[K]) => void, options: ListenOptions = {}): () => void {
    const { signal } = options;
    // Its own function, so that one listener given twice ends twice.
    const own = (event: Events[K]): void => listener(event);
    const off = (): void => {
      this.#of(type).delete(own);
      signal?.removeEventListener('abort', off);
    };
    if (signal?.aborted !== true) {
      this.#of(type).add(own);
      signal?.addEventListener('abort', off);
    }
    return off;
  }

  emit<K extends keyof Events>(type: K, event: Events[K]): void {
    for (const listener of [...this.#of(type)] as ((event: Events[K]) => void)[]) {
      try {
        listener(event);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  silence(): void {
    this.#byType.clear();
  }

  #of(type: keyof Events): Set<(event: never) => void> {
    const there = this.#byType.get(type) ?? new Set();
    this.#byType.set(type, there);
    return there;
  }
}

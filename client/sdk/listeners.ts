/**
 * Who listens to what: the `on` of clients and views, which extend this. A listener that throws takes nothing from the
 * others; its error goes where uncaught ones go.
 */
import type { ListenOptions } from './types.ts';

export class Listeners<Events> {
  /** Frameworks that wrap plain objects, such as Vue, leave alone what has a tag of its own: a proxy has no private fields. */
  readonly [Symbol.toStringTag] = 'Presence';
  /** Each with an object of its own, so that one listener given twice ends twice. */
  readonly #all = new Set<{ readonly type: keyof Events; readonly hear: (event: never) => void }>();

  on<K extends keyof Events>(type: K, hear: (event: Events[K]) => void, { signal }: ListenOptions = {}): () => void {
    const one = { type, hear };
    const off = (): void => {
      this.#all.delete(one);
      signal?.removeEventListener('abort', off);
    };
    if (signal?.aborted !== true) {
      this.#all.add(one);
      signal?.addEventListener('abort', off);
    }
    return off;
  }

  emit<K extends keyof Events>(type: K, event: Events[K]): void {
    for (const one of [...this.#all]) {
      try {
        if (one.type === type) one.hear(event as never);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  silence(): void {
    this.#all.clear();
  }
}

/**
 * Event listeners: the `on` of clients and views, which extend this class. A listener that throws does not affect the
 * others; its error is reported as uncaught.
 */
import type { ListenOptions } from './types.ts';

export class Listeners<Events> {
  /**
   * Frameworks that wrap plain objects in proxies, such as Vue, skip objects with their own tag. A proxy cannot access
   * private fields.
   */
  readonly [Symbol.toStringTag] = 'Presence';
  /** Each listener has its own object, so that a listener that is added twice is removed separately. */
  readonly #all = new Set<{ readonly type: keyof Events; readonly listener: (event: never) => void }>();

  on<K extends keyof Events>(
    type: K,
    listener: (event: Events[K]) => void,
    { signal }: ListenOptions = {},
  ): () => void {
    const one = { type, listener };
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
        if (one.type === type) one.listener(event as never);
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

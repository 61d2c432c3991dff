/**
 * Who listens to what: `on` of clients and views. A listener that throws takes nothing from the others; its error goes where
 * uncaught ones go.
 */
import type { ListenOptions } from './types.ts';

export class Listeners<Events> {
  readonly #byType = new Map<keyof Events, Set<(event: never) => void>>();

  readonly on = <K extends keyof Events>(
    type: K,
    listener: (event: Events[K]) => void,
    { signal }: ListenOptions = {},
  ): (() => void) => {
    // Its own function, so that one listener given twice ends twice.
    const own = (event: Events[K]): void => listener(event);
    const off = (): void => {
      this.#byType.get(type)?.delete(own);
      signal?.removeEventListener('abort', off);
    };
    if (signal?.aborted === true) return off;
    let all = this.#byType.get(type);
    if (all === undefined) this.#byType.set(type, (all = new Set()));
    all.add(own);
    signal?.addEventListener('abort', off);
    return off;
  };

  emit<K extends keyof Events>(type: K, event: Events[K]): void {
    for (const listener of [...(this.#byType.get(type) ?? [])]) {
      try {
        (listener as (event: Events[K]) => void)(event);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  clear(): void {
    this.#byType.clear();
  }
}

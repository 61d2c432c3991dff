/**
 * The changes to announce in a screen reader: in bulk, in one sentence at a time, and only if they are still true.
 * Remembers the last announced status of each friend. The caller decides when to announce.
 */
import type { Entry } from '../sdk/index.ts';
import { statusOrder } from '../ui/order.ts';
import type { Status } from './words.ts';

/** More changes than this are counted instead of named. */
const NAMED = 3;

export class News {
  readonly #told = new Map<string, Status>();
  readonly #untold = new Map<string, Status>();

  get isEmpty(): boolean {
    return this.#untold.size === 0;
  }

  /** A user that is seen for the first time is not announced. */
  hear(changed: readonly Entry[], removed: readonly string[]): void {
    for (const { user, status } of changed) {
      const told = this.#told.get(user);
      if (told === undefined) this.#told.set(user, status);
      else if (told === status) this.#untold.delete(user);
      else this.#untold.set(user, status);
    }
    for (const user of removed) {
      this.#told.delete(user);
      this.#untold.delete(user);
    }
  }

  /** Returns all pending changes in one sentence and marks them as announced. */
  tell(): string {
    const news = [...this.#untold];
    this.#untold.clear();
    for (const [user, status] of news) this.#told.set(user, status);
    if (news.length <= NAMED) return news.map(([user, status]) => `${user} is ${status}`).join('. ');
    const parts = statusOrder.flatMap((wanted) => {
      const count = news.filter(([, status]) => status === wanted).length;
      return count === 0 ? [] : `${count} ${wanted === 'online' ? 'now online' : wanted}`;
    });
    return `${news.length} friends changed: ${parts.join(', ')}`;
  }
}

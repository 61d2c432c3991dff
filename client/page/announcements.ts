/**
 * The changes to announce in a screen reader: in bulk, in one sentence at a time, and only if they are still true.
 * Remembers the last announced status of each friend. The caller decides when to announce.
 */
import type { Entry } from '../sdk/index.ts';
import { statusOrder } from '../ui/order.ts';
import type { Status } from './descriptions.ts';

/** More changes than this are counted instead of named. */
const NAMED = 3;

export class Announcements {
  readonly #announced = new Map<string, Status>();
  readonly #pending = new Map<string, Status>();

  get isEmpty(): boolean {
    return this.#pending.size === 0;
  }

  /** A user that is seen for the first time is not announced. */
  add(changed: readonly Entry[], removed: readonly string[]): void {
    for (const { user, status } of changed) {
      const announced = this.#announced.get(user);
      if (announced === undefined) this.#announced.set(user, status);
      else if (announced === status) this.#pending.delete(user);
      else this.#pending.set(user, status);
    }
    for (const user of removed) {
      this.#announced.delete(user);
      this.#pending.delete(user);
    }
  }

  /** Returns all pending changes in one sentence and marks them as announced. */
  take(): string {
    const news = [...this.#pending];
    this.#pending.clear();
    for (const [user, status] of news) this.#announced.set(user, status);
    if (news.length <= NAMED) return news.map(([user, status]) => `${user} is ${status}`).join('. ');
    const parts = statusOrder.flatMap((wanted) => {
      const count = news.filter(([, status]) => status === wanted).length;
      return count === 0 ? [] : `${count} ${wanted === 'online' ? 'now online' : wanted}`;
    });
    return `${news.length} friends changed: ${parts.join(', ')}`;
  }
}

/**
 * A walk through all connections that watch one user. It may pause and continue in a later loop turn. It visits every
 * connection that watches during the whole walk, some of them more than once, and none that has stopped watching.
 * Notifies nobody.
 */
import type { User } from '../../presence/user.ts';
import { audienceOf, type WatchedList } from './watched-list.ts';
import type { Outbox } from '../delivery/outbox.ts';

export class AudienceWalk {
  readonly #user: User;
  readonly #circles: Iterator<WatchedList> | undefined;
  /** The list whose watchers are being walked; null for the connections that watch the user by id. */
  #circle: WatchedList | null = null;
  #watchers: Iterator<Outbox>;

  constructor(user: User) {
    const audience = audienceOf(user);
    this.#user = user;
    this.#watchers = audience.walk();
    this.#circles = audience.circles?.walk();
  }

  /** Returns the next connection that watches the user; undefined at the end. */
  next(): Outbox | undefined {
    for (;;) {
      const watcher = this.#watchers.next();
      if (watcher.done !== true) {
        if (this.#stillWatches(watcher.value)) return watcher.value;
        continue;
      }
      const circle = this.#circles?.next();
      if (circle === undefined || circle.done === true) return undefined;
      this.#circle = circle.value;
      this.#watchers = circle.value.watchers.walk();
    }
  }

  #stillWatches(outbox: Outbox): boolean {
    const circle = this.#circle;
    if (circle === null) return outbox.users.has(this.#user);
    return circle.friends.has(this.#user) && outbox.circles.has(circle);
  }
}

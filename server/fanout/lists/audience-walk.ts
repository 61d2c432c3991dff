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
  readonly #lists: Iterator<WatchedList> | undefined;
  /** The list whose watchers are being walked; null for the connections that watch the user by id. */
  #list: WatchedList | null = null;
  #watchers: Iterator<Outbox>;

  constructor(user: User) {
    const audience = audienceOf(user);
    this.#user = user;
    this.#watchers = audience.walk();
    this.#lists = audience.lists?.walk();
  }

  /** Returns the next connection that watches the user; undefined at the end. */
  next(): Outbox | undefined {
    for (;;) {
      const watcher = this.#watchers.next();
      if (watcher.done !== true) {
        if (this.#stillWatches(watcher.value)) return watcher.value;
        continue;
      }
      const list = this.#lists?.next();
      if (list === undefined || list.done === true) return undefined;
      this.#list = list.value;
      this.#watchers = list.value.watchers.walk();
    }
  }

  #stillWatches(outbox: Outbox): boolean {
    const list = this.#list;
    if (list === null) return outbox.users.has(this.#user);
    return list.friends.has(this.#user) && outbox.lists.has(list);
  }
}

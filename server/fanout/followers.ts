/**
 * The connections that watch users by id because these are friends of theirs, by the user whose friends they are: the end
 * of a friendship ends their watch. An edit of a list finds them here, and need not search all who watch a user.
 */
import { SmallSet } from '../lib/small-set.ts';
import type { Outbox } from './outbox.ts';

export class Followers {
  readonly #byUser = new Map<string, SmallSet<Outbox>>();

  /** The connection watches somebody by id, or looks with other rights. */
  note(outbox: Outbox): void {
    const { follower, mayObserve } = outbox.viewer;
    if (mayObserve || follower === null || outbox.users.size === 0) return;
    const here = this.#byUser.get(follower);
    if (here !== undefined) here.add(outbox);
    else {
      const first = new SmallSet<Outbox>();
      first.addNew(outbox);
      this.#byUser.set(follower, first);
    }
  }

  /** The connection ends. */
  forget(outbox: Outbox): void {
    const { follower } = outbox.viewer;
    if (follower === null) return;
    const here = this.#byUser.get(follower);
    if (here?.delete(outbox) === true && here.size === 0) this.#byUser.delete(follower);
  }

  has(user: string): boolean {
    return this.#byUser.has(user);
  }

  /** Those whose watches depend on the friends of this user. */
  of(user: string): Outbox[] {
    return Array.from(this.#byUser.get(user) ?? []).filter(({ viewer }) => !viewer.mayObserve);
  }
}

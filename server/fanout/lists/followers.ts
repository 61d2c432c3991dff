/**
 * Connections that watch users by id because these are friends of a certain user, indexed by that user. The end of the
 * friendship ends the watch. With this index, an edit of a list does not need to search all watchers of a friend.
 */
import { SmallSet } from '../../lib/collections/small-set.ts';
import type { Outbox } from '../delivery/outbox.ts';

export class Followers {
  readonly #byUser = new Map<string, SmallSet<Outbox>>();

  /** Updates the index after the connection watches users by id or changes its viewer. */
  note(outbox: Outbox): void {
    const { follower, mayObserve } = outbox.viewer;
    if (mayObserve || follower === null || outbox.users.size === 0) return;
    const connections = this.#byUser.get(follower);
    if (connections !== undefined) connections.add(outbox);
    else {
      const first = new SmallSet<Outbox>();
      first.addNew(outbox);
      this.#byUser.set(follower, first);
    }
  }

  /** Removes a closed connection. */
  forget(outbox: Outbox): void {
    const { follower } = outbox.viewer;
    if (follower === null) return;
    const connections = this.#byUser.get(follower);
    if (connections?.delete(outbox) === true && connections.size === 0) this.#byUser.delete(follower);
  }

  has(user: string): boolean {
    return this.#byUser.has(user);
  }

  /** Returns the connections whose watches depend on the friends of this user. */
  of(user: string): Outbox[] {
    return Array.from(this.#byUser.get(user) ?? []).filter(({ viewer }) => !viewer.mayObserve);
  }
}

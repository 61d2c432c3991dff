/**
 * The watch graph of fan-out. A watched list is one friend list, shared by all connections that watch it. An audience
 * is every watcher of one user. A change goes from the user's audience to its lists and their watchers. So no
 * connection holds a subscription per friend, and only the graph of what is watched on this hub is in memory.
 */
import { SmallSet } from '../../lib/collections/small-set.ts';
import type { Audience, User } from '../../presence/user.ts';
import type { Outbox } from '../delivery/outbox.ts';

/** The friends of `owner`, and the connections that watch them on this hub. */
export class WatchedList {
  readonly owner: string;
  readonly friends = new SmallSet<User>();
  readonly watchers = new SmallSet<Outbox>();

  constructor(owner: string) {
    this.owner = owner;
  }
}

/**
 * All watchers of one user. The object is itself the set of connections that watch the user by id, because each step
 * between objects is a cache miss when ten thousand clients reconnect at once. Its fields hold the rarer kinds of
 * watchers. They are null until needed, because one connection may watch ten thousand otherwise unknown users.
 */
export class UserAudience extends SmallSet<Outbox> implements Audience {
  /** The watched lists that contain the user. */
  lists: SmallSet<WatchedList> | null = null;
  /** The user's own connections that asked for `self`. */
  selfWatchers: SmallSet<Outbox> | null = null;
  /** When a change of the user was last reported; 0 for never. */
  reportedAt = 0;

  get isEmpty(): boolean {
    return this.size === 0 && isNone(this.lists) && isNone(this.selfWatchers);
  }
}

function isNone(set: SmallSet<unknown> | null): boolean {
  return set === null || set.size === 0;
}

/** Returns the audience of a user, and creates it if there is none. */
export function audienceOf(user: User): UserAudience {
  if (user.audience instanceof UserAudience) return user.audience;
  const audience = new UserAudience();
  user.audience = audience;
  return audience;
}

/** Every connection with a watch that covers the user. A connection with several such watches appears several times. */
export function* watchersOf({ audience }: User): Generator<Outbox> {
  if (!(audience instanceof UserAudience)) return;
  yield* audience;
  for (const { watchers } of audience.lists ?? []) yield* watchers;
}

/** Returns how many watches cover the user. Stops counting beyond `enough`. */
export function audienceSize({ audience }: User, enough: number): number {
  if (!(audience instanceof UserAudience)) return 0;
  const { lists } = audience;
  if (lists === null) return audience.size;
  let size = audience.size;
  // Each list has a watcher, or had one a moment ago.
  if (size + lists.size > enough) return size + lists.size;
  for (const { watchers } of lists) size += watchers.size;
  return size;
}

/**
 * Whether any watch of the connection covers the user. Walks the shorter of two lists: the lists that the connection
 * watches, and the watched lists that contain the user. Either may be ten thousand long.
 */
export function covers(outbox: Outbox, user: User): boolean {
  if (outbox.users.has(user)) return true;
  const holding = audienceOf(user).lists;
  if (holding === null) return false;
  if (outbox.lists.size < holding.size) {
    for (const list of outbox.lists) if (list.friends.has(user)) return true;
  } else {
    for (const list of holding) if (outbox.lists.has(list)) return true;
  }
  return false;
}

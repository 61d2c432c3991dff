/**
 * What fan-out keeps about who is told of whom. A circle is one watched friend list, shared by all who watch it; an
 * audience is everybody to be told of one user. A change goes from the user's audience to its circles and their
 * watchers: no connection holds a subscription for each friend, and only the graph of who is watched here is in memory.
 */
import { SmallSet } from '../lib/small-set.ts';
import type { Audience, User } from '../presence/user.ts';
import type { Outbox } from './outbox.ts';

/** The friends of `owner`, and who watches them here. */
export class WatchedList {
  readonly owner: string;
  readonly friends = new Set<User>();
  readonly watchers = new SmallSet<Outbox>();

  constructor(owner: string) {
    this.owner = owner;
  }
}

/**
 * Everybody who is to be told of one user. It is itself the set of those who watch the user by id, since each step from
 * object to object is a cache miss where ten thousand come back at once; its fields are the rarer ways to be told, and null
 * until somebody uses them: one connection may watch ten thousand users of whom nothing else is known.
 */
export class UserAudience extends SmallSet<Outbox> implements Audience {
  /** The watched lists that hold the user. */
  circles: SmallSet<WatchedList> | null = null;
  /** The user's own connections that asked for `self`. */
  selves: SmallSet<Outbox> | null = null;
  /** When a change of the user was last told; 0 for never. */
  toldAt = 0;

  get isEmpty(): boolean {
    return this.size === 0 && isNone(this.circles) && isNone(this.selves);
  }
}

function isNone(set: SmallSet<unknown> | null): boolean {
  return set === null || set.size === 0;
}

/** The audience of a user, made when there is none. */
export function audienceOf(user: User): UserAudience {
  if (user.audience instanceof UserAudience) return user.audience;
  const audience = new UserAudience();
  user.audience = audience;
  return audience;
}

/** Every connection with a watch that covers the user; more than once if several do. */
export function* watchersOf({ audience }: User): Generator<Outbox> {
  if (!(audience instanceof UserAudience)) return;
  yield* audience;
  for (const { watchers } of audience.circles ?? []) yield* watchers;
}

/** How many watches cover the user; more than `enough` are not counted. */
export function audienceSize({ audience }: User, enough: number): number {
  if (!(audience instanceof UserAudience)) return 0;
  const { circles } = audience;
  if (circles === null) return audience.size;
  let size = audience.size;
  // Each list has a watcher, or had one a moment ago.
  if (size + circles.size > enough) return size + circles.size;
  for (const { watchers } of circles) size += watchers.size;
  return size;
}

/**
 * Whether any watch of the connection covers the user. Asks the shorter of two lists: those that the connection watches,
 * and the watched ones that hold the user. Either may be ten thousand long.
 */
export function covers(outbox: Outbox, user: User): boolean {
  if (outbox.users.has(user)) return true;
  const holding = audienceOf(user).circles;
  if (holding === null) return false;
  if (outbox.circles.size < holding.size) {
    for (const circle of outbox.circles) if (circle.friends.has(user)) return true;
  } else {
    for (const circle of holding) if (outbox.circles.has(circle)) return true;
  }
  return false;
}

/**
 * Has a connection watch users by id. Both ends hold the watch or neither does: so one search is enough, and none where the
 * connection watched nobody, since whoever is named twice then has it as its last watcher.
 * @returns them, each once.
 */
export function watchEach(users: User[], outbox: Outbox): User[] {
  const isFirstWatch = outbox.users.size === 0;
  let isRepeated = false;
  // In two steps for the reason that IdTable.getAll gives: 3 µs less for 50 where 10,000 clients come at once (2026-11-27).
  const audiences = users.map(audienceOf);
  for (let i = 0; i < users.length; i++) {
    const audience = audiences[i] as UserAudience;
    if (isFirstWatch ? audience.hasAsLast(outbox) : !outbox.users.add(users[i] as User)) isRepeated = true;
    else audience.addNew(outbox);
  }
  const different = isRepeated ? [...new Set(users)] : users;
  if (isFirstWatch) outbox.users.fill(different);
  return different;
}

/**
 * Notifies watchers of changed friend lists, one edit after another. An edit may change ten thousand friends of a list
 * with ten thousand watchers, so it takes as many loop turns as needed, and only one if that is enough. Formats only
 * `friend` messages; `WatcherMessages` formats all others.
 */
import type { TurnBudget } from '../../lib/time/turn-budget.ts';
import type { User } from '../../presence/user.ts';
import type { Users } from '../../presence/users.ts';
import type { Edge, RosterChange } from '../../roster/port.ts';
import type { WatchedList } from './watched-list.ts';
import type { Followers } from './followers.ts';
import type { Outbox } from '../delivery/outbox.ts';
import type { WatcherMessages } from '../delivery/watcher-messages.ts';
import type { WatchedLists } from './watched-lists.ts';

interface RosterTellingOptions {
  readonly presence: Users;
  readonly turns: TurnBudget;
  readonly lists: WatchedLists;
  readonly followers: Followers;
  readonly telling: WatcherMessages;
  /** Sends every pending change. */
  readonly flush: () => void;
  /** Ends the watch of a user by id. */
  readonly dropUser: (outbox: Outbox, user: User) => void;
  /** Prepares a connection that is about to be shown the user. */
  readonly beforeShown: (outbox: Outbox, user: User) => void;
  /** Sends a user again that changed while its watchers were notified one by one. */
  readonly tellAgain: (user: User) => void;
}

/** Work between two checks of the turn budget: edges, and watchers of one list. */
const EDGES_AT_ONCE = 250;
const WATCHERS_AT_ONCE = 128;
/** Cost of a message to a socket, in units of the turn budget. */
const MESSAGE_COST = 4;

/** An edit in progress. */
export interface RosterEditing {
  /**
   * Starts the notifications after the edit is stored, beginning in this turn if it has room. Resolves when all are
   * sent.
   */
  stored(change: RosterChange): Promise<void>;
  /** Ends an edit that was not stored. */
  failed(): void;
}

/** An edit, and the users whose lists it may change. */
interface UntoldEdit {
  readonly atMs: number;
  readonly owners: ReadonlySet<string>;
}

/** Work in parts. Each part is preceded by its cost. */
type Steps<T = void> = Generator<number, T>;

export class RosterTelling {
  readonly #options: RosterTellingOptions;
  readonly #line: (() => void)[] = [];
  /** Edits that are not sent to all watchers yet, in order. */
  readonly #untold = new Set<UntoldEdit>();
  #isBusy = false;

  constructor(options: RosterTellingOptions) {
    this.#options = options;
  }

  /** Whether every edit is sent. */
  get isIdle(): boolean {
    return this.#untold.size === 0;
  }

  /** Whether an edit of that list is not sent to all watchers yet. */
  isUntold(owner: string): boolean {
    for (const { owners } of this.#untold) if (owners.has(owner)) return true;
    return false;
  }

  /** Returns the `at` for a message to the connection: `at`, but below any unsent edit of a list that it watches. */
  limitFor({ circles }: Outbox, at: number): number {
    for (const { atMs, owners } of this.#untold) {
      if (atMs > at) return at;
      for (const { owner } of circles) if (owners.has(owner)) return atMs - 1;
    }
    return at;
  }

  /**
   * Announces an edit that is about to be stored, perhaps in parts. No `at` covers it until it is sent. Edits must
   * arrive in order.
   */
  begin(atMs: number, owners: Iterable<string>): RosterEditing {
    const edit = { atMs, owners: new Set(owners) };
    this.#untold.add(edit);
    const end = (): void => {
      this.#untold.delete(edit);
    };
    return { stored: (change) => this.#tell(change, end), failed: end };
  }

  async #tell(change: RosterChange, end: () => void): Promise<void> {
    if (this.#isBusy) await new Promise<void>((goOn) => this.#line.push(goOn));
    this.#isBusy = true;
    try {
      for (const cost of this.#steps(change)) {
        const turn = this.#options.turns.take(cost);
        if (turn !== undefined) await turn;
      }
    } finally {
      end();
      const next = this.#line.shift();
      if (next === undefined) this.#isBusy = false;
      else next();
    }
  }

  *#steps({ added, removed }: RosterChange): Steps {
    const { telling } = this.#options;
    for (const { user } of [...removed, ...added]) this.#options.lists.edited(user);
    const ended = yield* this.#dropFriends(removed);
    const unwatched = yield* this.#dropUnfriended(removed);
    if (ended.length === 0 && unwatched.size === 0 && !added.some(({ user }) => this.#options.lists.get(user))) return;
    this.#options.flush();
    for (const { user: owner, friend } of ended) {
      const circle = this.#options.lists.get(owner);
      const json = `{"type":"friend","friendsOf":${JSON.stringify(owner)},"op":"remove","user":${JSON.stringify(friend)}}`;
      if (circle !== undefined) yield* this.#tellWatchers(circle, () => json);
    }
    for (const [outbox, ids] of unwatched) {
      yield MESSAGE_COST;
      telling.rest(outbox);
      telling.unwatchedUsers(outbox, ids, undefined);
    }
    yield* this.#addFriends(added);
  }

  /** @returns the edges that were in a list in memory. */
  *#dropFriends(removed: readonly Edge[]): Steps<Edge[]> {
    const { lists, presence } = this.#options;
    const ended: Edge[] = [];
    for (const some of parts(removed)) {
      yield some.length;
      for (const edge of some) {
        const circle = lists.get(edge.user);
        const user = circle === undefined ? undefined : presence.find(edge.friend);
        if (circle !== undefined && user !== undefined && lists.part(circle, user)) ended.push(edge);
      }
    }
    return ended;
  }

  /** Ends the watches by id that depended on a removed friendship. @returns them by connection. */
  *#dropUnfriended(removed: readonly Edge[]): Steps<ReadonlyMap<Outbox, string[]>> {
    const { followers } = this.#options;
    const friendsOf = new Map<string, string[]>();
    for (const { user: former, friend } of removed) {
      if (!followers.has(former)) continue;
      const friends = friendsOf.get(former);
      if (friends === undefined) friendsOf.set(former, [friend]);
      else friends.push(friend);
    }
    const dropped = new Map<Outbox, string[]>();
    for (const [former, friends] of friendsOf) {
      for (const outbox of followers.of(former)) {
        yield Math.min(friends.length, outbox.users.size);
        const watched = this.#watchedOf(outbox, friends);
        for (const user of watched) this.#options.dropUser(outbox, user);
        if (watched.length > 0) dropped.set(outbox, [...(dropped.get(outbox) ?? []), ...watched.map(({ id }) => id)]);
      }
    }
    return dropped;
  }

  /** Returns the users among these that the connection watches by id. Walks the shorter of the two lists. */
  #watchedOf({ users }: Outbox, friends: readonly string[]): User[] {
    if (users.size < friends.length) {
      const isFriend = new Set(friends);
      return Array.from(users).filter(({ id }) => isFriend.has(id));
    }
    const { presence } = this.#options;
    return friends.map((id) => presence.find(id)).filter((user) => user !== undefined && users.has(user)) as User[];
  }

  *#addFriends(added: readonly Edge[]): Steps {
    const { lists, presence } = this.#options;
    for (const some of parts(added)) {
      yield some.length;
      const watched = some.filter(({ user }) => lists.get(user) !== undefined);
      if (watched.length === 0) continue;
      // One query for many friends costs a third of a query for each.
      const held = presence.acquireAll(watched.map(({ friend }) => friend));
      for (const edge of watched) yield* this.#addFriend(edge);
      for (const user of held) if (presence.find(user.id) === user) presence.release(user);
    }
  }

  *#addFriend({ user: owner, friend }: Edge): Steps {
    const { lists, presence, telling } = this.#options;
    const circle = lists.get(owner);
    const known = presence.find(friend);
    // A list that was loaded after the edit contains the friend already, and so do its snapshots.
    if (circle === undefined || (known !== undefined && circle.friends.has(known))) return;
    const head = `{"type":"friend","friendsOf":${JSON.stringify(owner)},"op":"add","entry":`;
    const v = presence.peek(friend).v;
    // The friend joins the list only afterwards. Otherwise a watcher could be sent a change before the friend.
    yield* this.#tellWatchers(circle, (outbox) => {
      const user = presence.peek(friend);
      this.#options.beforeShown(outbox, user);
      return `${head}${telling.entry(user, outbox.viewer)}}`;
    });
    if (lists.get(owner) !== circle) return;
    const user = lists.join(circle, friend);
    if (user.v !== v) this.#options.tellAgain(user);
  }

  /**
   * Watchers that arrive meanwhile are notified too. More than `WATCHERS_AT_ONCE` of them are in a `Set`, which is
   * walked directly and not as a copy.
   */
  *#tellWatchers(circle: WatchedList, jsonFor: (outbox: Outbox) => string): Steps {
    let count = 0;
    if (circle.watchers.size > 0) yield* this.#turnFor(circle.watchers.size);
    for (const outbox of circle.watchers) {
      if (count > 0 && count % WATCHERS_AT_ONCE === 0) yield* this.#turnFor(circle.watchers.size - count);
      count++;
      this.#options.telling.rest(outbox);
      outbox.reply(jsonFor(outbox));
    }
  }

  *#turnFor(watchers: number): Steps {
    yield MESSAGE_COST * Math.max(1, Math.min(watchers, WATCHERS_AT_ONCE));
    this.#options.flush(); // changes from the waiting time go out first
  }
}

function* parts(edges: readonly Edge[]): Generator<readonly Edge[]> {
  for (let from = 0; from < edges.length; from += EDGES_AT_ONCE) yield edges.slice(from, from + EDGES_AT_ONCE);
}

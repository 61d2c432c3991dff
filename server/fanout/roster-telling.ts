/**
 * Tells watchers that friend lists changed, one edit after the other, in as many turns of the loop as it takes: an edit may
 * change ten thousand friends of a list that ten thousand connections watch. Within one turn if that is enough.
 * Decides no words; `WatcherMessages` and the contract's `friend` messages do.
 */
import type { TurnBudget } from '../lib/turn-budget.ts';
import type { Presence } from '../presence/presence.ts';
import type { User } from '../presence/user.ts';
import type { Edge, RosterChange } from '../roster/port.ts';
import type { WatchedList } from './watched-list.ts';
import type { Followers } from './followers.ts';
import type { Outbox } from './outbox.ts';
import type { WatcherMessages } from './watcher-messages.ts';
import type { WatchedLists } from './watched-lists.ts';

interface RosterTellingOptions {
  readonly presence: Presence;
  readonly turns: TurnBudget;
  readonly lists: WatchedLists;
  readonly followers: Followers;
  readonly telling: WatcherMessages;
  /** Tells every change that waits. */
  readonly flush: () => void;
  /** Ends the watch of a user by id. */
  readonly dropUser: (outbox: Outbox, user: User) => void;
  /** The connection is about to be shown the user. */
  readonly beforeShown: (outbox: Outbox, user: User) => void;
  /** The user changed while watchers were told of it one by one: they are told the latest. */
  readonly tellAgain: (user: User) => void;
}

/** Work done before the budget of the turn is asked again: edges, and watchers of one list. */
const EDGES_AT_ONCE = 250;
const WATCHERS_AT_ONCE = 128;
/** What a message to a socket costs, in units of the turn's budget. */
const MESSAGE_COST = 4;

/** An edit that is under way. */
export interface RosterEditing {
  /** It is stored. Resolves when all are told, and does whatever a turn has room for before it returns. */
  stored(change: RosterChange): Promise<void>;
  /** Nothing of it is stored. */
  failed(): void;
}

/** An edit, and the users whose lists it may change. */
interface UntoldEdit {
  readonly atMs: number;
  readonly owners: ReadonlySet<string>;
}

/** Work in parts; before each part its cost. */
type Steps<T = void> = Generator<number, T>;

export class RosterTelling {
  readonly #options: RosterTellingOptions;
  readonly #line: (() => void)[] = [];
  /** Edits of which somebody may not have been told, in order. */
  readonly #untold = new Set<UntoldEdit>();
  #isBusy = false;

  constructor(options: RosterTellingOptions) {
    this.#options = options;
  }

  /** Every edit has been told. */
  get isIdle(): boolean {
    return this.#untold.size === 0;
  }

  /** Whether an edit of that list is not told to everybody yet. */
  isUntold(owner: string): boolean {
    for (const { owners } of this.#untold) if (owners.has(owner)) return true;
    return false;
  }

  /** The `at` for what the connection is sent: `at`, but below any edit of a list it watches that is not told yet. */
  limitFor({ circles }: Outbox, at: number): number {
    for (const { atMs, owners } of this.#untold) {
      if (atMs > at) return at;
      for (const { owner } of circles) if (owners.has(owner)) return atMs - 1;
    }
    return at;
  }

  /** An edit of this time is about to be stored, perhaps in parts: no `at` covers it until it is told. Edits come in order. */
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

  /** @returns the edges that were in a list that is in memory. */
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

  /** Ends the watches by id that only a friendship had allowed. @returns them by connection. */
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

  /** Whom of these the connection watches by id. Walks the shorter of the two lists. */
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
      // All at once, because one query for many costs a third of one for each.
      const held = presence.acquireAll(watched.map(({ friend }) => friend));
      for (const edge of watched) yield* this.#addFriend(edge);
      for (const user of held) if (presence.find(user.id) === user) presence.release(user);
    }
  }

  *#addFriend({ user: owner, friend }: Edge): Steps {
    const { lists, presence, telling } = this.#options;
    const circle = lists.get(owner);
    const known = presence.find(friend);
    // A list that was loaded after the edit holds it already, and so did the snapshots of it.
    if (circle === undefined || (known !== undefined && circle.friends.has(known))) return;
    const head = `{"type":"friend","friendsOf":${JSON.stringify(owner)},"op":"add","entry":`;
    const v = presence.peek(friend).v;
    // Joined only afterwards: otherwise a watcher may be told of a change before it is told of the friend.
    yield* this.#tellWatchers(circle, (outbox) => {
      const user = presence.peek(friend);
      this.#options.beforeShown(outbox, user);
      return `${head}${telling.entry(user, outbox.viewer)}}`;
    });
    if (lists.get(owner) !== circle) return;
    const user = lists.join(circle, friend);
    if (user.v !== v) this.#options.tellAgain(user);
  }

  /** Those who come meanwhile are told too: of more than `WATCHERS_AT_ONCE` the set is walked as it is, not a copy. */
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
    this.#options.flush(); // what changed while this waited goes out first
  }
}

function* parts(edges: readonly Edge[]): Generator<readonly Edge[]> {
  for (let from = 0; from < edges.length; from += EDGES_AT_ONCE) yield edges.slice(from, from + EDGES_AT_ONCE);
}

/**
 * Notifies watchers of changed friend lists, one edit after another. An edit may change ten thousand friends of a list
 * with ten thousand watchers, so it takes as many loop turns as needed, and only one if that is enough. Formats only
 * `friend` messages; `WatcherMessages` formats all others.
 */
import type { TurnBudget } from '../../lib/time/turn-budget.ts';
import type { Peers } from '../../peers.ts';
import type { User } from '../../presence/user.ts';
import type { Users } from '../../presence/users.ts';
import type { Edge, RosterChange } from '../../roster/port.ts';
import type { WatchedList } from './watched-list.ts';
import type { Outbox } from '../delivery/outbox.ts';
import type { WatcherMessages } from '../delivery/watcher-messages.ts';
import type { WatchGraph } from '../watch-graph.ts';

interface ListEditNotifierOptions {
  readonly presence: Users;
  readonly turns: TurnBudget;
  readonly peers: Pick<Peers, 'load'>;
  readonly graph: WatchGraph;
  readonly messages: WatcherMessages;
  /** Sends every pending change. */
  readonly flush: () => void;
  /** Prepares a connection that is about to be shown the user. */
  readonly beforeShown: (outbox: Outbox, user: User) => void;
  /** Sends a user again that changed while its watchers were notified one by one. */
  readonly sendAgain: (user: User) => void;
}

/** Work between two checks of the turn budget: edges, and watchers of one list. */
const EDGES_AT_ONCE = 250;
const WATCHERS_AT_ONCE = 128;
/** Cost of a message to a socket, in units of the turn budget. */
const MESSAGE_COST = 4;

/** An edit in progress. */
export interface AnnouncedEdit {
  /**
   * Starts the notifications after the edit is stored, beginning in this turn if it has room. Resolves when all are
   * sent. `keepsWatches`: watches by id that depended on a removed friendship go on for now.
   */
  stored(change: RosterChange, keepsWatches?: boolean): Promise<void>;
  /** Ends an edit that was not stored. */
  failed(): void;
}

/** An edit, and the users whose lists it may change. */
interface UnsentEdit {
  readonly atMs: number;
  readonly owners: ReadonlySet<string>;
}

/** Work in parts. Each part is preceded by its cost. */
type Steps<T = void> = Generator<number, T>;

export class ListEditNotifier {
  readonly #options: ListEditNotifierOptions;
  readonly #queue: (() => void)[] = [];
  /** Edits that are not sent to all watchers yet, in order. */
  readonly #unsent = new Set<UnsentEdit>();
  #isBusy = false;

  constructor(options: ListEditNotifierOptions) {
    this.#options = options;
  }

  /** Whether every edit is sent. */
  get isIdle(): boolean {
    return this.#unsent.size === 0;
  }

  /** Whether an edit of that list is not sent to all watchers yet. */
  isUnsent(owner: string): boolean {
    for (const { owners } of this.#unsent) if (owners.has(owner)) return true;
    return false;
  }

  /** Returns the `at` for a message to the connection: `at`, but below any unsent edit of a list that it watches. */
  limitFor({ lists }: Outbox, at: number): number {
    for (const { atMs, owners } of this.#unsent) {
      if (atMs > at) return at;
      for (const { owner } of lists) if (owners.has(owner)) return atMs - 1;
    }
    return at;
  }

  /**
   * Announces an edit that is about to be stored, perhaps in parts. No `at` covers it until it is sent. Edits must
   * arrive in order.
   */
  begin(atMs: number, owners: Iterable<string>): AnnouncedEdit {
    const edit = { atMs, owners: new Set(owners) };
    this.#unsent.add(edit);
    const end = (): void => {
      this.#unsent.delete(edit);
    };
    return { stored: (change, keepsWatches = false) => this.#notify(change, keepsWatches, end), failed: end };
  }

  async #notify(change: RosterChange, keepsWatches: boolean, end: () => void): Promise<void> {
    if (this.#isBusy) await new Promise<void>((start) => this.#queue.push(start));
    this.#isBusy = true;
    try {
      const loaded = this.#loadAdded(change);
      if (loaded !== undefined) await loaded;
      for (const cost of this.#steps(change, keepsWatches)) {
        const turn = this.#options.turns.take(cost);
        if (turn !== undefined) await turn;
      }
    } finally {
      end();
      const next = this.#queue.shift();
      if (next === undefined) this.#isBusy = false;
      else next();
    }
  }

  /** Loads the friends that watchers are about to be shown. */
  #loadAdded({ added }: RosterChange): Promise<void> | undefined {
    const shown = added.filter(({ user }) => this.#options.graph.lists.get(user) !== undefined);
    return shown.length === 0 ? undefined : this.#options.peers.load(shown.map(({ friend }) => friend));
  }

  *#steps({ added, removed }: RosterChange, keepsWatches: boolean): Steps {
    const { messages } = this.#options;
    for (const { user } of [...removed, ...added]) this.#options.graph.lists.edited(user);
    const ended = yield* this.#dropFriends(removed);
    const unwatched = yield* this.#dropUnfriended(keepsWatches ? [] : removed);
    if (ended.length === 0 && unwatched.size === 0 && !added.some(({ user }) => this.#options.graph.lists.get(user)))
      return;
    this.#options.flush();
    for (const { user: owner, friend } of ended) {
      const list = this.#options.graph.lists.get(owner);
      const json = `{"type":"friend","friendsOf":${JSON.stringify(owner)},"op":"remove","user":${JSON.stringify(friend)}}`;
      if (list !== undefined) yield* this.#notifyWatchers(list, () => json);
    }
    for (const [outbox, ids] of unwatched) {
      yield MESSAGE_COST;
      messages.sendPending(outbox);
      messages.unwatchedUsers(outbox, ids, undefined);
    }
    yield* this.#addFriends(added);
  }

  /** @returns the edges that were in a list in memory. */
  *#dropFriends(removed: readonly Edge[]): Steps<Edge[]> {
    const {
      graph: { lists },
      presence,
    } = this.#options;
    const ended: Edge[] = [];
    for (const part of inParts(removed)) {
      yield part.length;
      for (const edge of part) {
        const list = lists.get(edge.user);
        const user = list === undefined ? undefined : presence.find(edge.friend);
        if (list !== undefined && user !== undefined && lists.removeFriend(list, user)) ended.push(edge);
      }
    }
    return ended;
  }

  /** Ends the watches by id that depended on a removed friendship. @returns them by connection. */
  *#dropUnfriended(removed: readonly Edge[]): Steps<ReadonlyMap<Outbox, string[]>> {
    const { followers } = this.#options.graph;
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
        for (const user of watched) this.#options.graph.unwatchUser(outbox, user);
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
    const {
      graph: { lists },
      presence,
    } = this.#options;
    for (const part of inParts(added)) {
      yield part.length;
      const watched = part.filter(({ user }) => lists.get(user) !== undefined);
      if (watched.length === 0) continue;
      // One query for many friends costs a third of a query for each.
      const held = presence.acquireAll(watched.map(({ friend }) => friend));
      for (const edge of watched) yield* this.#addFriend(edge);
      for (const user of held) if (presence.find(user.id) === user) presence.release(user);
    }
  }

  *#addFriend({ user: owner, friend }: Edge): Steps {
    const {
      graph: { lists },
      presence,
      messages,
    } = this.#options;
    const list = lists.get(owner);
    const known = presence.find(friend);
    // A list that was loaded after the edit contains the friend already, and so do its snapshots.
    if (list === undefined || (known !== undefined && list.friends.has(known))) return;
    const head = `{"type":"friend","friendsOf":${JSON.stringify(owner)},"op":"add","entry":`;
    const v = presence.peek(friend).v;
    // The friend joins the list only afterwards. Otherwise a watcher could be sent a change before the friend.
    yield* this.#notifyWatchers(list, (outbox) => {
      const user = presence.peek(friend);
      this.#options.beforeShown(outbox, user);
      return `${head}${messages.entry(user, outbox.viewer)}}`;
    });
    if (lists.get(owner) !== list) return;
    const user = lists.addFriend(list, friend);
    if (user.v !== v) this.#options.sendAgain(user);
  }

  /**
   * Watchers that arrive meanwhile are notified too. More than `WATCHERS_AT_ONCE` of them are in a `Set`, which is
   * walked directly and not as a copy.
   */
  *#notifyWatchers(list: WatchedList, jsonFor: (outbox: Outbox) => string): Steps {
    let count = 0;
    if (list.watchers.size > 0) yield* this.#turnFor(list.watchers.size);
    for (const outbox of list.watchers) {
      if (count > 0 && count % WATCHERS_AT_ONCE === 0) yield* this.#turnFor(list.watchers.size - count);
      count++;
      this.#options.messages.sendPending(outbox);
      outbox.reply(jsonFor(outbox));
    }
  }

  *#turnFor(watchers: number): Steps {
    yield MESSAGE_COST * Math.max(1, Math.min(watchers, WATCHERS_AT_ONCE));
    this.#options.flush(); // changes from the waiting time go out first
  }
}

function* inParts(edges: readonly Edge[]): Generator<readonly Edge[]> {
  for (let from = 0; from < edges.length; from += EDGES_AT_ONCE) yield edges.slice(from, from + EDGES_AT_ONCE);
}

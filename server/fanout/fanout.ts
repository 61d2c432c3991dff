/**
 * Who watches whom: begins and ends watches, and answers them. A snapshot is taken in the same synchronous step as its
 * subscription, so nothing is lost or told twice between them. Reads the core, never changes it. Changes are told by
 * `Reports`, edits of friend lists by `RosterTelling`, in the words of `WatcherMessages`.
 */
import type { MessageId } from '../../shared/client-messages.ts';
import type { IdsInText } from '../lib/ids-in-text.ts';
import { SmallSet } from '../lib/small-set.ts';
import type { User } from '../presence/user.ts';
import type { Viewer } from '../presence/viewer.ts';
import type { ListChanges } from '../roster/port.ts';
import { audienceOf, audienceSize, watchEach, type WatchedList } from './watched-list.ts';
import { Followers } from './followers.ts';
import { notAllowed, type MayWatch } from './may-watch.ts';
import type { Outbox } from './outbox.ts';
import { Reports, type ReportsOptions } from './reports.ts';
import { RosterTelling, type RosterEditing } from './roster-telling.ts';
import { selfJson } from './selves.ts';
import { headOfFriends, headOfUsers, WatcherMessages, type TellingOptions } from './watcher-messages.ts';
import { WatchedLists } from './watched-lists.ts';

export interface FanoutOptions extends Omit<TellingOptions, 'untold' | 'held'>, ReportsOptions {
  /** The friend lists, for lists not watched yet and for what changed in them. */
  readonly friends: {
    friendsOf(user: string): readonly string[];
    changesSince(user: string, sinceMs: number): ListChanges | undefined;
  };
  /** Whether a `since` can have been given out by this store, and answered from it. */
  readonly isCertain: (since: number) => boolean;
  /** When the entry of a user whom nobody follows was last forgotten, on the hub clock. */
  readonly forgottenAt: () => number;
}

/** What a connection is to be told before it is shown users. */
export interface Forewarning {
  /** Whether there is anything of the kind. */
  readonly isOn: boolean;
  before(outbox: Outbox, users: Iterable<User>): void;
  closed(outbox: Outbox): void;
}

export class Fanout {
  /** Set by the hub, which builds it after this. */
  forewarning: Forewarning = { isOn: false, before: () => undefined, closed: () => undefined };
  readonly reports: Reports;
  readonly #options: FanoutOptions;
  readonly #telling: WatcherMessages;
  readonly #lists: WatchedLists;
  readonly #followers = new Followers();
  readonly #roster: RosterTelling;

  constructor(options: FanoutOptions) {
    const { presence, turns, friends } = options;
    this.#options = options;
    this.reports = new Reports({ ...options, telling: () => this.#telling, forewarning: () => this.forewarning });
    const { held } = this.reports;
    this.#telling = new WatcherMessages({ ...options, held, untold: () => this.#roster });
    this.#lists = new WatchedLists({ presence, turns, friendsOf: (owner) => friends.friendsOf(owner) });
    this.#roster = new RosterTelling({
      presence,
      turns,
      lists: this.#lists,
      followers: this.#followers,
      telling: this.#telling,
      flush: () => this.flush(),
      dropUser: (outbox, user) => {
        this.#dropUser(outbox, user);
      },
      beforeShown: (outbox, user) => {
        held.shown(outbox, [user]);
        this.forewarning.before(outbox, [user]);
      },
      tellAgain: (user) => this.reports.tellAgain(user),
    });
  }

  /** Tells what waits, as far as the turn has room. */
  flush(): void {
    this.reports.flush();
  }

  /**
   * Loads a friend list that is not in memory, so that a watch of it is short. @returns what to wait for before the watch,
   * for as many turns of the loop as that takes; undefined if it may come now.
   */
  prepare(owner: string, viewer: Viewer): Promise<void> | undefined {
    const { turns } = this.#options;
    const snapshotTurn = (): Promise<void> | undefined => turns.take(this.#lists.get(owner)?.friends.size ?? 0);
    return this.#lists.prepare(owner, viewer)?.then(snapshotTurn) ?? snapshotTurn();
  }

  /** Starts or renews the watch of a friend list, and answers it with a snapshot. */
  watchFriends(outbox: Outbox, owner: string, since: number | undefined, re: MessageId | undefined): void {
    this.#tellRest(outbox);
    // While an edit of it is being told, the list in memory and the stored one may differ: the answer then is the whole list.
    const from = this.#roster.isUntold(owner) ? undefined : this.#answerable(since);
    // Storage is read before anything is watched: where it fails, so does the watch.
    const news = from === undefined ? undefined : this.#options.friends.changesSince(owner, from);
    const circle = this.#lists.open(owner, outbox.viewer);
    this.#lists.enter(circle, outbox);
    this.#telling.charge(outbox, circle.friends.size);
    this.forewarning.before(outbox, circle.friends);
    const head = headOfFriends(owner);
    if (from === undefined || news === undefined) {
      this.#telling.snapshot(outbox, head, re, circle.friends, undefined);
      return;
    }
    const added = new Set(news.added);
    const newer = [...circle.friends].filter((user) => this.#isNewer(user, from, outbox) || added.has(user.id));
    this.#telling.snapshot(outbox, head, re, newer, { since: from, removed: news.removed });
  }

  /** How many watch the user; more than a user with few of them has are estimated. */
  watchersOf(id: string): number {
    const user = this.#options.presence.find(id);
    return user === undefined ? 0 : audienceSize(user, this.#options.largeAudience);
  }

  /** Whether the connection watches this list. */
  watchesFriendsOf(outbox: Outbox, owner: string): boolean {
    const circle = this.#lists.get(owner);
    return circle !== undefined && outbox.circles.has(circle);
  }

  /** Adds users (all different) to those watched by id, and answers with a snapshot of them. */
  watchUsers(outbox: Outbox, ids: readonly string[], since: number | undefined, re: MessageId | undefined): void {
    this.#tellRest(outbox);
    const users = this.#options.presence.acquireAll(ids, outbox.viewer);
    watchEach(users, outbox);
    this.#followers.note(outbox);
    this.#telling.charge(outbox, users.length);
    this.forewarning.before(outbox, users);
    const head = headOfUsers(ids);
    const from = this.#answerable(since);
    // A user who seems never seen may have been forgotten since then, which no entry tells.
    const mayLack = from !== undefined && from <= this.#options.forgottenAt() && users.some(({ v }) => v === 0);
    if (from === undefined || mayLack) {
      this.#telling.snapshot(outbox, head, re, users, undefined);
      return;
    }
    const newer = users.filter((user) => this.#isNewer(user, from, outbox));
    this.#telling.snapshot(outbox, head, re, newer, { since: from, removed: [] });
  }

  /** The same for all the users that a text names, perhaps some of them twice. */
  watchListed(outbox: Outbox, list: IdsInText): void {
    this.#tellRest(outbox);
    const named = this.#options.presence.acquireListed(list, outbox.viewer);
    const users = watchEach(named, outbox);
    this.#followers.note(outbox);
    this.#telling.charge(outbox, users.length);
    this.forewarning.before(outbox, users);
    const head = users.length === named.length ? `"users":${list.listJson}` : headOfUsers(users.map(({ id }) => id));
    this.#telling.snapshot(outbox, head, undefined, users, undefined);
  }

  /** How many watches the connection would have, were it to watch these too. */
  watchCountWith(outbox: Outbox, ids: readonly string[]): number {
    const { presence } = this.#options;
    let count = outbox.watchCount;
    for (const id of ids) {
      const user = presence.find(id);
      if (user === undefined || !outbox.users.has(user)) count++;
    }
    return count;
  }

  /** Ends the watch of a friend list; what waits of those it alone covered is dropped. */
  unwatchFriends(outbox: Outbox, owner: string, re: MessageId | undefined): void {
    this.#dropList(outbox, this.#lists.get(owner));
    this.#tellRest(outbox);
    this.#telling.unwatchedFriends(outbox, owner, re);
  }

  unwatchUsers(outbox: Outbox, ids: readonly string[], re: MessageId | undefined): void {
    this.#telling.charge(outbox, ids.length);
    for (const id of ids) this.#dropUser(outbox, this.#options.presence.find(id));
    this.#tellRest(outbox);
    this.#telling.unwatchedUsers(outbox, ids, re);
  }

  /** Ends watches that are not allowed any more, `most` at a time, and says so. @returns how many. Asks before it ends any. */
  endNotAllowed(outbox: Outbox, mayWatch: MayWatch, most: number): number {
    const { owners, ids } = notAllowed(outbox, mayWatch, most);
    // All first, so that none of it is told while the rest goes out.
    for (const owner of owners) this.#dropList(outbox, this.#lists.get(owner));
    for (const id of ids) this.#dropUser(outbox, this.#options.presence.find(id));
    if (owners.length + ids.length > 0) this.#tellRest(outbox);
    for (const owner of owners) this.#telling.unwatchedFriends(outbox, owner, undefined);
    this.#telling.unwatchedUsers(outbox, ids, undefined);
    return owners.length + ids.length;
  }

  /** A fresh token looks through the connection. If the viewer sees other than before, all it watches is sent again. */
  changeViewer(outbox: Outbox, viewer: Viewer): void {
    const before = outbox.viewer;
    outbox.viewer = viewer;
    this.#followers.note(outbox);
    if (before.user === viewer.user && before.isAdmin === viewer.isAdmin) return;
    this.flush();
    this.#telling.anew(outbox);
  }

  /** From now on the connection is told its user's own true fold, now and whenever it changes. */
  watchSelf(outbox: Outbox, id: string): void {
    const user = this.#options.presence.acquire(id);
    outbox.self = user;
    (audienceOf(user).selves ??= new SmallSet()).add(outbox);
    this.#telling.self(outbox, selfJson(user));
  }

  /**
   * The friend lists of these users are about to be edited at this time. Once the edit is stored, whoever watches one of them is told, and who
   * watched a user by id because it was a friend watches it no longer.
   */
  rosterChanges(atMs: number, owners: Iterable<string>): RosterEditing {
    return this.#roster.begin(atMs, owners);
  }

  /** Takes out of memory the lists that nobody watches, which otherwise stay for a few seconds. */
  dropIdleLists(): void {
    this.#lists.stop();
  }

  /**
   * Tells one connection all that waits for it, held back or not. @returns the `at` that holds for it then; undefined if it
   * does not read, so that some of it still waits.
   */
  settle(outbox: Outbox): number | undefined {
    this.flush();
    return this.#telling.settle(outbox);
  }

  /** The peer reads again: it is told the latest of everybody who changed meanwhile. */
  drained(outbox: Outbox): void {
    if (!outbox.isBehind) return;
    this.flush();
    this.#telling.caughtUp(outbox);
  }

  /** The connection is gone: all its watches end. */
  close(outbox: Outbox): void {
    const { presence } = this.#options;
    for (const user of outbox.users) {
      audienceOf(user).delete(outbox);
      presence.release(user);
    }
    outbox.users.clear();
    this.#followers.forget(outbox);
    for (const circle of outbox.circles) this.#lists.leave(circle, outbox);
    outbox.circles.clear();
    if (outbox.self !== null) {
      audienceOf(outbox.self).selves?.delete(outbox);
      presence.release(outbox.self);
      outbox.self = null;
    }
    outbox.caughtUp(); // what it was behind with is not told to a socket that drains while it closes
    outbox.owed = null;
    this.forewarning.closed(outbox);
  }

  /** A `since` that this hub can be sure to answer; undefined calls for a full snapshot. */
  #answerable(since: number | undefined): number | undefined {
    const { isCertain, hubClock, clock } = this.#options;
    if (since === undefined || !isCertain(since) || since > hubClock.now(clock.now().wallMs)) return undefined;
    return since;
  }

  #isNewer(user: User, since: number, { viewer }: Outbox): boolean {
    return this.#options.presence.versionFor(user, viewer) > since;
  }

  /** What waits for this connection goes out before the answer that follows, so that versions only grow. */
  #tellRest(outbox: Outbox): void {
    this.flush();
    this.#telling.rest(outbox);
  }

  #dropList(outbox: Outbox, circle: WatchedList | undefined): void {
    if (circle === undefined || !outbox.circles.delete(circle)) return;
    outbox.owed?.delete(circle);
    this.#lists.leave(circle, outbox);
  }

  #dropUser(outbox: Outbox, user: User | undefined): void {
    if (user === undefined || !outbox.users.delete(user)) return;
    outbox.owed?.delete(user);
    audienceOf(user).delete(outbox);
    this.#options.presence.release(user);
  }
}

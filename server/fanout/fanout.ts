/**
 * Who watches whom, and when they are told. A change is encoded once for all who may see the same of it, and told once
 * to each connection, however many of its watches cover the user; a snapshot is taken in the same synchronous step as its
 * subscription, so nothing is lost or told twice between them. Called by the hub (changes, blocks, friend lists) and by
 * ws-json (watches). Reads the core, never changes it; what is said in which words is `Telling`'s.
 */
import type { MessageId } from '../../shared/client-messages.ts';
import type { IdsInText } from '../lib/ids-in-text.ts';
import { SmallSet } from '../lib/small-set.ts';
import type { Change } from '../presence/change.ts';
import type { User } from '../presence/user.ts';
import type { Viewer } from '../presence/viewer.ts';
import type { ListChanges } from '../roster/port.ts';
import { audienceOf, watchEach, type WatchedList } from './watched-list.ts';
import type { Delays } from './delays.ts';
import { Followers } from './followers.ts';
import { notAllowed, type MayWatch, type Watches } from './may-watch.ts';
import { HeldBack, type Shown } from './held-back.ts';
import { FlushMessages, type Outbox } from './outbox.ts';
import { FlushScheduler } from './flush-scheduler.ts';
import { RosterTelling, type RosterEditing } from './roster-telling.ts';
import { selfJson, Selves } from './selves.ts';
import { headOfFriends, headOfUsers, WatcherMessages, type TellingOptions } from './watcher-messages.ts';
import { WatchedLists } from './watched-lists.ts';

export interface FanoutOptions extends Omit<TellingOptions, 'untoldFrom' | 'held'> {
  /** A user is reported at most that often, milliseconds. */
  readonly reportEveryMs: number;
  /** Real milliseconds that only grow, for that. */
  readonly nowMs: () => number;
  readonly delays: Delays;
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
  readonly #options: FanoutOptions;
  readonly #telling: WatcherMessages;
  readonly #lists: WatchedLists;
  readonly #followers = new Followers();
  readonly #roster: RosterTelling;
  readonly #rhythm = new FlushScheduler(() => this.flush());
  readonly #held: HeldBack;
  #changed = new Set<User>();
  readonly #selves: Selves;
  #changeNo = 0;

  constructor(options: FanoutOptions) {
    const { presence, turns, friends } = options;
    this.#options = options;
    this.#held = new HeldBack({ ...options, onDue: () => this.#rhythm.request() });
    this.#selves = new Selves({
      ...options,
      tell: (outbox, json) => this.#telling.self(outbox, json),
      onDue: () => this.#rhythm.request(),
    });
    this.#telling = new WatcherMessages({ ...options, held: this.#held, untoldFrom: () => this.#roster.untoldFrom });
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
        this.#held.shown(outbox, [user]);
        this.forewarning.before(outbox, [user]);
      },
      tellAgain: (user) => {
        this.#changed.add(user);
        this.#rhythm.request();
      },
    });
  }

  /** A user changed: those who watch it will hear of it with the next flush. */
  changed(change: Change): void {
    const { user, isShown } = change;
    if (user.audience === null || user.audience.isEmpty) return;
    const isDue = isShown && (this.#held.isEmpty || !this.#held.has(user));
    if (isDue) {
      this.#changed.add(user);
      this.#options.delays.changed(change);
    }
    const isToldSelf = this.#selves.changed(user);
    if (isDue || isToldSelf) this.#rhythm.request();
  }

  /** What one viewer sees of a user is another than before, for a block was set or lifted: that viewer alone is told. */
  changedFor(viewer: string, user: User): void {
    this.flush();
    this.#options.ensureStored();
    const touched: Outbox[] = [];
    this.#collect(user, touched, null, viewer);
    this.#send(touched);
  }

  /** Tells one viewer at once what is held back of a user, because it must not be told later. */
  settleFor(viewer: string, user: User): void {
    this.flush();
    if (this.#held.has(user)) this.changedFor(viewer, user);
  }

  /** Tells every change that waits, held back or not. */
  flushAll(): void {
    this.flush(true);
  }

  /**
   * Tells every change that waits and is not held back. Each user's latest entry, and one message a connection.
   * @returns how many entries a message held, 1 where there was none.
   */
  flush(isForced = false): number {
    if (!this.#held.isEmpty) this.#held.release(this.#changed, isForced);
    if (this.#changed.size === 0 && this.#selves.isEmpty) return 1;
    this.#options.ensureStored();
    if (!this.#selves.isEmpty) this.#selves.flush(isForced);
    const users = this.#changed;
    this.#changed = new Set();
    const touched: Outbox[] = [];
    const now = this.#options.nowMs();
    for (const user of users) {
      const shown = this.#held.tell(user, now, isForced);
      if (shown !== undefined) this.#collect(user, touched, shown, undefined);
    }
    const delivered = this.#send(touched);
    this.#options.delays.told(this.#options.clock);
    return touched.length === 0 ? 1 : delivered / touched.length;
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
    // While edits are being told, the list in memory and the stored one may differ: the answer then is the whole list.
    const from = this.#roster.untoldFrom === Infinity ? this.#answerable(since) : undefined;
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

  /**
   * A fresh token looks through the connection. With `mayWatch`, the watches that are no longer allowed end, and it is
   * told so; where the viewer now sees other than before, the rest is sent anew.
   */
  changeViewer(outbox: Outbox, viewer: Viewer, mayWatch: MayWatch | undefined): void {
    const before = outbox.viewer;
    if (mayWatch !== undefined) this.#telling.charge(outbox, outbox.watchCount);
    // Asks storage, so it comes first: where that fails, nothing has changed.
    const ended = mayWatch === undefined ? undefined : notAllowed(outbox, mayWatch);
    outbox.viewer = viewer;
    this.#followers.note(outbox);
    if (ended !== undefined) this.#end(outbox, ended);
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
   * Friend lists are about to be edited at this time. Once the edit is stored, whoever watches one of them is told, and who
   * watched a user by id because it was a friend watches it no longer.
   */
  rosterChanges(atMs: number): RosterEditing {
    return this.#roster.begin(atMs);
  }

  /** Takes out of memory the lists that nobody watches, which otherwise stay for a few seconds. */
  dropIdleLists(): void {
    this.#lists.stop();
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

  /**
   * Gives a change to everybody who may see it and has not been shown it; with `only`, to the connections of that viewer
   * alone.
   */
  #collect(user: User, touched: Outbox[], shown: Shown | null, only: string | undefined): void {
    const audience = audienceOf(user);
    if (audience.isEmpty) return;
    const { presence } = this.#options;
    const { hiddenFrom } = user;
    const changeNo = ++this.#changeNo;
    const { isOn } = this.forewarning;
    const isShownToSome = shown !== null && shown.size > 0;
    const tell = (outbox: Outbox): void => {
      if (outbox.toldNo === changeNo) return;
      outbox.toldNo = changeNo;
      const { viewer } = outbox;
      if (only !== undefined) {
        if (viewer.user !== only) return;
        this.#held.shown(outbox, [user]);
      } else if (hiddenFrom !== null && viewer.user !== null && hiddenFrom.has(viewer.user)) return;
      if (isShownToSome && shown.get(outbox) === presence.versionFor(user, viewer)) return;
      if (isOn) this.forewarning.before(outbox, [user]);
      if (outbox.add(user, presence.entryJsonFor(user, viewer))) touched.push(outbox);
    };
    for (const outbox of audience) tell(outbox);
    if (audience.circles === null) return;
    for (const circle of audience.circles) for (const outbox of circle.watchers) tell(outbox);
  }

  /** @returns entries delivered. */
  #send(touched: readonly Outbox[]): number {
    const messages = new FlushMessages(this.#telling.sentUpTo());
    let delivered = 0;
    if (this.#held.isEmpty) for (const outbox of touched) delivered += outbox.flush(messages);
    else if (touched.length > 0) delivered = this.#sendBesideHeld(touched, messages);
    this.#options.onDelivered(delivered);
    return delivered;
  }

  /** The same while users are held back: a connection that will be told of one later gets no `at`, which would cover it. */
  #sendBesideHeld(touched: readonly Outbox[], messages: FlushMessages): number {
    this.#held.noteOwed();
    const withoutAt = new FlushMessages(undefined);
    let delivered = 0;
    for (const outbox of touched) delivered += outbox.flush(this.#held.isNoted(outbox) ? withoutAt : messages);
    return delivered;
  }

  #end(outbox: Outbox, { owners, ids }: Watches): void {
    // All first, so that none of it is told while the rest goes out.
    for (const owner of owners) this.#dropList(outbox, this.#lists.get(owner));
    for (const id of ids) this.#dropUser(outbox, this.#options.presence.find(id));
    if (owners.length + ids.length > 0) this.#tellRest(outbox);
    for (const owner of owners) this.#telling.unwatchedFriends(outbox, owner, undefined);
    this.#telling.unwatchedUsers(outbox, ids, undefined);
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

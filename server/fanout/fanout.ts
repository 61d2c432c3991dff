/**
 * Who watches whom, and what they are told. A change is encoded once and told once to each connection, however many of
 * its watches cover the user; a snapshot is taken in the same synchronous step as its subscription, so nothing is lost
 * or told twice between them. Called by the hub (changes, friend lists) and by ws-json (watches). Reads the core, never
 * changes it.
 */
import type { MessageId } from '../../shared/client-messages.ts';
import type { Clock } from '../lib/clock.ts';
import type { HubClock } from '../presence/hub-clock.ts';
import type { Change } from '../presence/outcomes.ts';
import type { Presence } from '../presence/presence.ts';
import type { User } from '../presence/user.ts';
import type { Edge, ListChanges, RosterChange } from '../roster/port.ts';
import { audienceOf, Circle } from './circle.ts';
import type { Outbox } from './outbox.ts';
import { FlushRhythm } from './rhythm.ts';

export interface FanoutOptions {
  readonly presence: Presence;
  readonly clock: Clock;
  readonly hubClock: HubClock;
  /** The friend lists, for lists not watched yet and for what changed in them. */
  readonly friends: {
    friendsOf(user: string): readonly string[];
    changesSince(user: string, sinceMs: number): ListChanges | undefined;
  };
  /** Whether a `since` can have been given out by this store, and answered from it. */
  readonly isCertain: (since: number) => boolean;
  /** Called before anything is told: makes durable what must not be forgotten once it was told. */
  readonly beforeTelling: () => void;
  readonly onDelivered: (entries: number) => void;
}

export class Fanout {
  readonly #options: FanoutOptions;
  readonly #circles = new Map<string, Circle>();
  readonly #rhythm = new FlushRhythm(() => this.flush());
  #changed = new Set<User>();
  #selfChanged = new Set<User>();
  #changeNo = 0;

  constructor(options: FanoutOptions) {
    this.#options = options;
  }

  /** A user changed: those who watch it will hear of it with the next flush. */
  changed({ user, isShown }: Change): void {
    if (user.audience === null || user.audience.isEmpty) return;
    if (isShown) this.#changed.add(user);
    if (audienceOf(user).selves.size > 0) this.#selfChanged.add(user);
    this.#rhythm.request();
  }

  /** Tells every change that waits. Each user's latest entry, and one message a connection. */
  flush(): void {
    this.#options.beforeTelling();
    if (this.#selfChanged.size > 0) this.#flushSelves();
    if (this.#changed.size === 0) return;
    const users = this.#changed;
    this.#changed = new Set();
    const touched: Outbox[] = [];
    for (const user of users) this.#collect(user, touched);
    const at = this.#sentUpTo();
    let delivered = 0;
    for (const outbox of touched) delivered += outbox.flush(at);
    this.#options.onDelivered(delivered);
  }

  /** Starts or renews the watch of a friend list, and answers it with a snapshot. */
  watchFriends(outbox: Outbox, owner: string, since: number | undefined, re: MessageId | undefined): void {
    this.#tellRest(outbox);
    const circle = this.#circles.get(owner) ?? this.#openCircle(owner);
    circle.watchers.add(outbox);
    outbox.circles.add(circle);
    const head = `"friendsOf":${JSON.stringify(owner)}`;
    const from = this.#answerable(since);
    const news = from === undefined ? undefined : this.#options.friends.changesSince(owner, from);
    if (from === undefined || news === undefined) {
      this.#sendSnapshot(outbox, head, re, [...circle.friends], undefined);
      return;
    }
    const added = new Set(news.added);
    const newer = [...circle.friends].filter((user) => user.v > from || added.has(user.id));
    this.#sendSnapshot(outbox, head, re, newer, { since: from, removed: news.removed });
  }

  /** Adds users to those watched by id, and answers with a snapshot of them. */
  watchUsers(outbox: Outbox, ids: readonly string[], since: number | undefined, re: MessageId | undefined): void {
    this.#tellRest(outbox);
    const users = ids.map((id) => this.#options.presence.hold(id));
    for (const user of users) {
      audienceOf(user).watchers.add(outbox);
      outbox.users.add(user);
    }
    const head = `"users":${JSON.stringify(ids)}`;
    const from = this.#answerable(since);
    if (from === undefined) this.#sendSnapshot(outbox, head, re, users, undefined);
    else
      this.#sendSnapshot(
        outbox,
        head,
        re,
        users.filter((user) => user.v > from),
        { since: from, removed: [] },
      );
  }

  /** Ends the watch of a friend list; what waits of those it alone covered is dropped. */
  unwatchFriends(outbox: Outbox, owner: string, re: MessageId | undefined): void {
    const circle = this.#circles.get(owner);
    if (circle !== undefined && outbox.circles.delete(circle)) {
      for (const user of circle.friends) if (!outbox.covers(user)) outbox.forget(user);
      this.#leaveCircle(circle, outbox);
    }
    this.#tellRest(outbox);
    outbox.send(`{"type":"unwatched"${reField(re)},"friendsOf":${JSON.stringify(owner)}}`);
  }

  unwatchUsers(outbox: Outbox, ids: readonly string[], re: MessageId | undefined): void {
    for (const id of ids) {
      const user = this.#options.presence.held(id);
      if (user === undefined || !outbox.users.delete(user)) continue;
      if (!outbox.covers(user)) outbox.forget(user);
      audienceOf(user).watchers.delete(outbox);
      this.#options.presence.release(user);
    }
    this.#tellRest(outbox);
    outbox.send(`{"type":"unwatched"${reField(re)},"users":${JSON.stringify(ids)}}`);
  }

  /** From now on the connection is told its user's own true fold, now and whenever it changes. */
  watchSelf(outbox: Outbox, id: string): void {
    const user = this.#options.presence.hold(id);
    outbox.self = user;
    audienceOf(user).selves.add(outbox);
    this.#sendSelf(outbox, user);
  }

  /** The friend lists changed and are stored: whoever watches one is told. */
  rosterChanged({ added, removed }: RosterChange): void {
    const ended = removed.filter((edge) => this.#dropFriend(edge));
    if (ended.length === 0 && !added.some(({ user }) => this.#circles.has(user))) return;
    this.flush();
    for (const { user: owner, friend } of ended) {
      const owned = JSON.stringify(owner);
      this.#tellCircle(owner, `{"type":"friend","friendsOf":${owned},"op":"remove","user":${JSON.stringify(friend)}}`);
    }
    for (const edge of added) this.#addFriend(edge);
  }

  /** The peer reads again: it is told the latest of everybody who changed meanwhile. */
  drained(outbox: Outbox): void {
    if (!outbox.isBehind) return;
    this.flush();
    const behind = outbox.takeBehind();
    outbox.caughtUp();
    this.#tellLatest(outbox, behind);
    if (outbox.self !== null) this.#sendSelf(outbox, outbox.self);
  }

  /** The connection is gone: all its watches end. */
  close(outbox: Outbox): void {
    const { presence } = this.#options;
    for (const user of outbox.users) {
      audienceOf(user).watchers.delete(outbox);
      presence.release(user);
    }
    outbox.users.clear();
    for (const circle of outbox.circles) this.#leaveCircle(circle, outbox);
    outbox.circles.clear();
    if (outbox.self !== null) {
      audienceOf(outbox.self).selves.delete(outbox);
      presence.release(outbox.self);
      outbox.self = null;
    }
    outbox.caughtUp(); // what it was behind with is not told to a socket that drains while it closes
  }

  #sentUpTo(): number {
    return this.#options.hubClock.sentUpTo(this.#options.clock.now().wallMs);
  }

  /** A `since` that this hub can be sure to answer; undefined calls for a full snapshot. */
  #answerable(since: number | undefined): number | undefined {
    const { isCertain, hubClock, clock } = this.#options;
    if (since === undefined || !isCertain(since) || since > hubClock.now(clock.now().wallMs)) return undefined;
    return since;
  }

  /** What waits for this connection goes out before the answer that follows, so that versions only grow. */
  #tellRest(outbox: Outbox): void {
    this.flush();
    if (outbox.isBehind) this.#tellLatest(outbox, outbox.takeBehind());
  }

  #tellLatest(outbox: Outbox, users: Iterable<User>): void {
    const { presence, onDelivered } = this.#options;
    const fragments = Array.from(users, (user) => presence.entryJsonOf(user));
    if (fragments.length === 0) return;
    outbox.send(`{"type":"presence","entries":[${fragments.join(',')}],"at":${this.#sentUpTo()}}`);
    onDelivered(fragments.length);
  }

  #collect(user: User, touched: Outbox[]): void {
    const audience = audienceOf(user);
    if (audience.isEmpty) return;
    const json = this.#options.presence.entryJsonOf(user);
    const changeNo = ++this.#changeNo;
    const tell = (outbox: Outbox): void => {
      if (outbox.toldNo === changeNo) return;
      outbox.toldNo = changeNo;
      if (outbox.add(user, json)) touched.push(outbox);
    };
    for (const outbox of audience.watchers) tell(outbox);
    for (const circle of audience.circles) for (const outbox of circle.watchers) tell(outbox);
  }

  #sendSnapshot(
    outbox: Outbox,
    head: string,
    re: MessageId | undefined,
    users: readonly User[],
    partial: { readonly since: number; readonly removed: readonly string[] } | undefined,
  ): void {
    const { presence } = this.#options;
    const sinceFields =
      partial === undefined ? '' : `,"since":${partial.since},"removed":${JSON.stringify(partial.removed)}`;
    const entries = users.map((user) => presence.entryJsonOf(user)).join(',');
    outbox.send(
      `{"type":"snapshot"${reField(re)},${head},"at":${this.#sentUpTo()}${sinceFields},"entries":[${entries}]}`,
    );
  }

  #flushSelves(): void {
    const users = this.#selfChanged;
    this.#selfChanged = new Set();
    for (const user of users) for (const outbox of audienceOf(user).selves) this.#sendSelf(outbox, user);
  }

  #sendSelf(outbox: Outbox, user: User): void {
    const { status, text, devices } = user.fold;
    const json = JSON.stringify({ type: 'self', status, ...(text === '' ? {} : { text }), devices });
    if (outbox.isBehind || json === outbox.lastSelfJson) return;
    outbox.lastSelfJson = json;
    outbox.send(json);
  }

  #openCircle(owner: string): Circle {
    const circle = new Circle(owner);
    for (const id of this.#options.friends.friendsOf(owner)) this.#joinCircle(circle, id);
    this.#circles.set(owner, circle);
    return circle;
  }

  #joinCircle(circle: Circle, id: string): User {
    const user = this.#options.presence.hold(id);
    circle.friends.add(user);
    audienceOf(user).circles.add(circle);
    return user;
  }

  #partFromCircle(circle: Circle, user: User): void {
    audienceOf(user).circles.delete(circle);
    this.#options.presence.release(user);
  }

  /** The last watcher takes the list out of memory. */
  #leaveCircle(circle: Circle, outbox: Outbox): void {
    circle.watchers.delete(outbox);
    if (circle.watchers.size > 0) return;
    this.#circles.delete(circle.owner);
    for (const user of circle.friends) this.#partFromCircle(circle, user);
  }

  /** @returns whether the list is watched here and held the friend. */
  #dropFriend({ user: owner, friend }: Edge): boolean {
    const circle = this.#circles.get(owner);
    const user = this.#options.presence.held(friend);
    if (user === undefined || !circle?.friends.delete(user)) return false;
    for (const outbox of circle.watchers) if (!outbox.covers(user)) outbox.forget(user);
    this.#partFromCircle(circle, user);
    return true;
  }

  #addFriend({ user: owner, friend }: Edge): void {
    const circle = this.#circles.get(owner);
    if (circle === undefined) return;
    const user = this.#joinCircle(circle, friend);
    const entry = this.#options.presence.entryJsonOf(user);
    this.#tellCircle(owner, `{"type":"friend","friendsOf":${JSON.stringify(owner)},"op":"add","entry":${entry}}`);
  }

  #tellCircle(owner: string, json: string): void {
    for (const outbox of this.#circles.get(owner)?.watchers ?? []) {
      if (outbox.isBehind) this.#tellLatest(outbox, outbox.takeBehind());
      outbox.send(json);
    }
  }
}

function reField(re: MessageId | undefined): string {
  return re === undefined ? '' : `,"re":${JSON.stringify(re)}`;
}

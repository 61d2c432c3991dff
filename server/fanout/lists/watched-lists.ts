/**
 * The friend lists in memory. Loads them from the roster, a long one in parts. Keeps a list for a few seconds after its
 * last watcher left, so that a client that reconnects, or watches and unwatches in turn, does not cause it to be loaded
 * again. Notifies nobody.
 */
import type { TurnBudget } from '../../lib/time/turn-budget.ts';
import type { Peers } from '../../peers.ts';
import type { User } from '../../presence/user.ts';
import type { Users } from '../../presence/users.ts';
import type { Viewer } from '../../presence/viewer.ts';
import type { Roster } from '../../roster/port.ts';
import { SmallSet } from '../../lib/collections/small-set.ts';
import { audienceOf, WatchedList } from './watched-list.ts';
import type { Outbox } from '../delivery/outbox.ts';

/** How long a list stays in memory without a watcher. */
const IDLE_LIST_MS = 5000;
/**
 * Maximum unwatched lists in memory, and maximum friends on all of them (about 500 bytes each). A single list may be
 * longer.
 */
export const MAX_IDLE_LISTS = 256;
export const MAX_IDLE_FRIENDS = 20_000;
/** Friends loaded at once, with one storage query for all of them. */
const LOADED_AT_ONCE = 250;
/** Cost of a friend read from storage, relative to one in memory. */
const LOAD_COST = 2;
const SNAPSHOT_COST = 1;

export interface WatchedListsOptions {
  readonly presence: Users;
  readonly turns: TurnBudget;
  readonly friends: Pick<Roster, 'load' | 'friendsOf'>;
  readonly peers: Pick<Peers, 'load'>;
}

interface Loading {
  readonly done: Promise<void>;
  /** Whether the list was edited while it was loaded. */
  isStale: boolean;
}

export class WatchedLists {
  readonly #options: WatchedListsOptions;
  readonly #lists = new Map<string, WatchedList>();
  readonly #loading = new Map<string, Loading>();
  /** Unwatched lists, the longest idle first, with the time until which they stay (monotonic milliseconds). */
  readonly #idle = new Map<WatchedList, number>();
  #idleFriends = 0;
  #timer: NodeJS.Timeout | undefined;
  #isTrimming = false;

  constructor(options: WatchedListsOptions) {
    this.#options = options;
  }

  /** The list if it is in memory. */
  get(owner: string): WatchedList | undefined {
    return this.#lists.get(owner);
  }

  /** Whether the list is in memory, or is being loaded. */
  holds(owner: string): boolean {
    return this.#lists.has(owner) || this.#loading.has(owner);
  }

  /**
   * Takes the turn budget for a snapshot of the list, and loads the list if it is not in memory. @returns a promise to
   * wait for before the snapshot; undefined if it may follow now.
   */
  prepare(owner: string, viewer: Viewer): Promise<void> | undefined {
    const running = this.#loading.get(owner);
    if (running !== undefined) return running.done.then(() => this.#snapshotTurn(owner));
    if (this.#lists.has(owner)) return this.#prepareHeld(owner, viewer);
    const loaded = this.#options.friends.load([owner]);
    return loaded === undefined ? this.#prepareLoaded(owner, viewer) : loaded.then(() => this.prepare(owner, viewer));
  }

  #prepareHeld(owner: string, viewer: Viewer): Promise<void> | undefined {
    const loaded = this.#options.peers.load([]);
    if (loaded === undefined) return this.#snapshotTurn(owner);
    return loaded.then(() => (this.#lists.has(owner) ? this.#snapshotTurn(owner) : this.prepare(owner, viewer)));
  }

  #prepareLoaded(owner: string, viewer: Viewer): Promise<void> | undefined {
    const ids = this.#options.friends.friendsOf(owner);
    const loaded = this.#options.peers.load(ids);
    if (loaded === undefined) return this.#open(owner, ids, viewer);
    return loaded.then(() => {
      const isBegun = this.#lists.has(owner) || this.#loading.has(owner);
      return isBegun ? this.prepare(owner, viewer) : this.#open(owner, this.#options.friends.friendsOf(owner), viewer);
    });
  }

  #open(owner: string, ids: readonly string[], viewer: Viewer): Promise<void> | undefined {
    if (ids.length > LOADED_AT_ONCE) return this.#loadInParts(owner, ids, viewer).then(() => this.#snapshotTurn(owner));
    const turn = this.#options.turns.take((LOAD_COST + SNAPSHOT_COST) * ids.length);
    if (turn === undefined) {
      this.#rest(this.#loadAll(owner, ids, viewer));
      return undefined;
    }
    return turn.then(() => {
      const begun = this.#loading.get(owner);
      if (begun !== undefined) return begun.done;
      // This turn is paid for. If the list waited for another one, a few dozen lists could keep each other waiting forever.
      if (!this.#lists.has(owner)) this.#rest(this.#loadAll(owner, this.#options.friends.friendsOf(owner), viewer));
      return undefined;
    });
  }

  /** Returns the list. Loads it now if it is not in memory. */
  open(owner: string, viewer: Viewer): WatchedList {
    return this.#lists.get(owner) ?? this.#loadAll(owner, this.#options.friends.friendsOf(owner), viewer);
  }

  enter(list: WatchedList, outbox: Outbox): void {
    this.#unrest(list);
    list.watchers.add(outbox);
    outbox.lists.add(list);
  }

  /** Removes a watcher from the list. The caller must update the connection's own set of lists. */
  leave(list: WatchedList, outbox: Outbox): void {
    list.watchers.delete(outbox);
    if (list.watchers.size === 0) this.#rest(list);
  }

  addFriend(list: WatchedList, id: string): User {
    const user = this.#options.presence.acquire(id);
    this.#addFriend(list, user);
    return user;
  }

  removeFriend(list: WatchedList, user: User): boolean {
    if (!list.friends.delete(user)) return false;
    if (this.#idle.has(list)) this.#idleFriends--;
    audienceOf(user).lists?.delete(list);
    this.#options.presence.release(user);
    return true;
  }

  /** Notes an edit of the list, because an ongoing load of it may have read an older state. */
  edited(owner: string): void {
    const loading = this.#loading.get(owner);
    if (loading !== undefined) loading.isStale = true;
  }

  /** Drops all unwatched lists from memory. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const list of this.#idle.keys()) this.#drop(list);
  }

  #loadAll(owner: string, ids: readonly string[], viewer: Viewer): WatchedList {
    const list = new WatchedList(owner);
    const friends = this.#options.presence.acquireAll(ids, viewer);
    list.friends.fill(friends);
    for (const user of friends) (audienceOf(user).lists ??= new SmallSet()).addNew(list);
    this.#lists.set(owner, list);
    return list;
  }

  #snapshotTurn(owner: string): Promise<void> | undefined {
    return this.#options.turns.take(SNAPSHOT_COST * (this.#lists.get(owner)?.friends.size ?? 0));
  }

  #loadInParts(owner: string, ids: readonly string[], viewer: Viewer): Promise<void> {
    const loading: Loading = { isStale: false, done: Promise.resolve() };
    const done = this.#load(owner, ids, viewer, loading).finally(() => this.#loading.delete(owner));
    this.#loading.set(owner, Object.assign(loading, { done }));
    return done;
  }

  async #load(owner: string, ids: readonly string[], viewer: Viewer, loading: Loading): Promise<void> {
    const { presence, turns } = this.#options;
    const list = new WatchedList(owner);
    try {
      for (let from = 0; from < ids.length; from += LOADED_AT_ONCE) {
        const some = ids.slice(from, from + LOADED_AT_ONCE);
        await turns.take(LOAD_COST * some.length);
        for (const user of presence.acquireAll(some, viewer)) this.#addFriend(list, user);
      }
      if (loading.isStale) this.#reconcile(list);
    } catch (error) {
      for (const user of [...list.friends]) this.removeFriend(list, user);
      throw error;
    }
    this.#lists.set(owner, list);
    this.#rest(list);
  }

  #reconcile(list: WatchedList): void {
    const ids = this.#options.friends.friendsOf(list.owner);
    const isFriend = new Set(ids);
    for (const user of [...list.friends]) if (!isFriend.has(user.id)) this.removeFriend(list, user);
    for (const user of this.#options.presence.acquireAll(ids)) this.#addFriend(list, user);
  }

  #addFriend(list: WatchedList, user: User): void {
    if (!list.friends.add(user)) return;
    if (this.#idle.has(list)) this.#idleFriends++;
    const audience = audienceOf(user);
    (audience.lists ??= new SmallSet()).addNew(list);
  }

  #unrest(list: WatchedList): void {
    if (this.#idle.delete(list)) this.#idleFriends -= list.friends.size;
  }

  #rest(list: WatchedList): void {
    this.#idle.set(list, performance.now() + IDLE_LIST_MS);
    this.#idleFriends += list.friends.size;
    if (this.#isCrowded) this.#trim();
    else this.#timer ??= setTimeout(this.#tick, IDLE_LIST_MS).unref();
  }

  get #isCrowded(): boolean {
    const { size } = this.#idle;
    return size > MAX_IDLE_LISTS || (size > 1 && this.#idleFriends > MAX_IDLE_FRIENDS);
  }

  readonly #tick = (): void => {
    this.#timer = undefined;
    this.#trim();
  };

  /** Drops lists beyond the maximum number or age. One closing connection may leave ten thousand lists at once. */
  #trim(): void {
    if (this.#isTrimming) return;
    this.#isTrimming = true;
    void this.#trimInTurns().finally(() => (this.#isTrimming = false));
  }

  async #trimInTurns(): Promise<void> {
    const { turns } = this.#options;
    for (let next = this.#nextToDrop(); next !== undefined; next = this.#nextToDrop()) {
      turns.spend(next.friends.size + 1);
      this.#drop(next);
      await turns.take(0);
    }
    const [firstEnds] = this.#idle.values();
    if (firstEnds === undefined) return;
    this.#timer ??= setTimeout(this.#tick, Math.max(1, Math.ceil(firstEnds - performance.now()))).unref();
  }

  #nextToDrop(): WatchedList | undefined {
    for (const [list, until] of this.#idle) {
      return this.#isCrowded || until <= performance.now() ? list : undefined;
    }
    return undefined;
  }

  #drop(list: WatchedList): void {
    this.#unrest(list);
    this.#lists.delete(list.owner);
    for (const user of list.friends) {
      audienceOf(user).lists?.delete(list);
      this.#options.presence.release(user);
    }
  }
}

/**
 * The user directory: the users in memory, the ones recalled from the store, and what each viewer sees of them. Reads
 * the store through a function. Must not know sessions, and decides nothing about entries.
 */
import type { Entry } from '../../shared/messages/entry.ts';
import { IdTable } from '../lib/collections/id-table.ts';
import { Blocks, type Frozen } from './blocks.ts';
import type { Shown } from './fold.ts';
import { isOn } from './sessions/session-list.ts';
import type { AdapterName } from './sessions/session.ts';
import { entryOf, User, type Remembered } from './user.ts';
import type { Viewer } from './viewer.ts';
import { versionFor, Views } from './views.ts';

export interface UsersOptions {
  /** What others see of every user that is offline. */
  readonly offline: Shown;
  /** Whether only admins see `lastSeen`. */
  readonly hidesLastSeen: boolean;
  /**
   * Returns what the store knows of a user. `isHeld` tells which users are in memory, where the store may be behind.
   */
  readonly recall: (user: string, isHeld: (user: string) => boolean) => Remembered | undefined;
  /** Like `recall`, for many users, in their order. */
  readonly recallMany: (
    users: readonly string[],
    isHeld: (user: string) => boolean,
  ) => readonly (Remembered | undefined)[];
  /** Stores all users that were never stored. */
  readonly storeFirsts: () => void;
  /** Whether a user must stay in memory for another reason than those that this module knows. */
  readonly isNeeded?: (user: User) => boolean;
  /** A user was dropped from memory. */
  readonly onReleased?: (user: User) => void;
}

export class Users {
  readonly offline: Shown;
  readonly #options: UsersOptions;
  readonly #users = new IdTable<User>();
  readonly #blocks = new Blocks();
  readonly #views: Views;
  readonly #isHeld = (id: string): boolean => this.#users.get(id) !== undefined;

  constructor(options: UsersOptions) {
    this.#options = options;
    this.offline = options.offline;
    this.#views = new Views(this.offline, options.hidesLastSeen, (user) => this.ensureStored(user));
  }

  /** The user if it is held. */
  find(id: string): User | undefined {
    return this.#users.get(id);
  }

  /** The held user, or one recalled for this read only. */
  peek(id: string): User {
    return this.#users.get(id) ?? this.#recall(id);
  }

  /**
   * Like `peek`, but returns the entry as JSON and takes equally long for every user that is shown offline, so that
   * timing reveals neither an invisible user nor a block. Each costs one store read and one new entry, whether the user
   * is gone, is invisible with any number of sessions, or blocks the viewer.
   */
  peekAs(id: string, viewer: Viewer): string {
    const held = this.#users.get(id);
    if (held !== undefined && this.#views.isVisibleTo(held, viewer)) return this.#views.jsonFor(held, viewer);
    const recalled = this.#recall(id);
    return this.#jsonOnce(held ?? recalled, viewer);
  }

  /** Like `peekAs`, for these ids, in their order. One store read covers all of them. */
  answersFor(ids: readonly string[], viewer: Viewer): string[] {
    const held = ids.map((id) => this.#users.get(id));
    const isVisible = held.map((user) => user !== undefined && this.#views.isVisibleTo(user, viewer));
    const recalled = this.#recallMany(ids.filter((_, i) => isVisible[i] !== true));
    return held.map((user, i) =>
      user !== undefined && isVisible[i] === true
        ? this.#views.jsonFor(user, viewer)
        : this.#jsonOnce(user ?? (recalled.get(ids[i] as string) as User), viewer),
    );
  }

  /** The entry of these facts as this viewer may see it, regardless of what is held. */
  printAs(id: string, facts: Remembered | undefined, viewer: Viewer): string {
    return this.#jsonOnce(new User(id, this.offline, facts, null), viewer);
  }

  /** A user that is not held may be present on another hub. */
  #jsonOnce(user: User, viewer: Viewer): string {
    const isVisible = this.#views.isVisibleTo(user, viewer);
    return isVisible ? this.#views.jsonFor(user, viewer) : this.#views.offlineJsonFor(user, viewer);
  }

  /** Returns the user and holds it. The caller must give it an audience or a session, or `release` it. */
  acquire(id: string): User {
    const held = this.#users.get(id);
    if (held !== undefined) return held;
    const user = this.#recall(id);
    this.#users.add(user);
    return user;
  }

  /**
   * Like `acquire`, for these ids, in their order. One store read covers all users that are not held or seem gone to
   * the viewer.
   */
  acquireAll(ids: readonly string[], viewer?: Viewer): User[] {
    const users = this.#users.getAll(ids);
    const asked = ids.filter((_, i) => {
      const user = users[i];
      return user === undefined || (viewer !== undefined && this.#costsAsGone(user, viewer));
    });
    if (asked.length === 0) return users as User[];
    const recalled = this.#recallMany(asked);
    for (const [id, user] of recalled) {
      const seemsGone = this.#users.get(id);
      if (seemsGone === undefined) this.#users.add(user);
      else if (viewer !== undefined) this.#views.forget(seemsGone, viewer);
    }
    return users.map((user, i) => user ?? (recalled.get(ids[i] as string) as User));
  }

  /** Holds a user of the previous run, without reading the store again. */
  restore(id: string, entry: Remembered): User {
    const user = new User(id, this.offline, entry, this.#blocks.of(id));
    this.#users.add(user);
    return user;
  }

  /** Drops a user from memory if nothing needs it there. */
  release(user: User): void {
    if (user.firstSession !== null || user.isUnsaved) return;
    if (user.audience !== null && !user.audience.isEmpty) return;
    if (this.#options.isNeeded?.(user) === true) return;
    this.#users.delete(user.id);
    this.#options.onReleased?.(user);
  }

  /** Every held user, in no particular order. */
  held(): Iterable<User> {
    return this.#users.values();
  }

  /** The entry that others see, regardless of blocks. */
  entryOf(user: User): Entry {
    if (user.v > 0) this.ensureStored(user);
    return this.unstoredEntryOf(user);
  }

  /** Like `entryOf`, for an entry that is shown later. Before that, `ensureStored` must be called. */
  unstoredEntryOf(user: User): Entry {
    return entryOf(user, this.offline);
  }

  /** The entry as this viewer may see it, as JSON. Each form is made once per version. */
  entryJsonFor(user: User, viewer: Viewer): string {
    return this.#views.jsonFor(user, viewer);
  }

  /** The version of the entry that this viewer sees. */
  versionFor(user: User, viewer: Viewer): number {
    return versionFor(user, viewer);
  }

  /** Like `entryJsonFor`, for a list of all users, whose entries together would take much memory. */
  entryJsonOnceFor(user: User, viewer: Viewer): string {
    return this.#views.jsonOnceFor(user, viewer);
  }

  /**
   * Whether the viewer sees the user as present, with a session on that adapter. Doubts about the adapter then concern
   * this viewer.
   */
  isShownOn(user: User, viewer: Viewer, adapter: AdapterName): boolean {
    return this.#views.isVisibleTo(user, viewer) && isOn(user, adapter);
  }

  /**
   * THE GATE that every shown entry passes, whatever it is shown by: a user must be in the store before anyone is shown
   * it. Otherwise, after an unclean end, the hub could not distinguish it from a user that was never seen, and would
   * contradict what it showed.
   */
  ensureStored(user: User): void {
    if (!user.isStored) this.#options.storeFirsts();
  }

  /** Shows the frozen entry to the viewer from now on. */
  hide(id: string, viewer: string, frozen: Frozen): void {
    this.#blocks.set(id, viewer, frozen);
    const user = this.#users.get(id);
    if (user !== undefined) user.hiddenFrom = this.#blocks.of(id);
  }

  /** Ends what `hide` began. @returns what the viewer was shown; undefined if nothing was hidden from it. */
  unhide(user: User, viewer: string): Frozen | undefined {
    const frozen = user.hiddenFrom?.get(viewer);
    if (frozen === undefined) return undefined;
    this.#blocks.lift(user.id, viewer);
    user.hiddenFrom = this.#blocks.of(user.id);
    return frozen;
  }

  /**
   * Lifts a block. The viewer sees the user's own entry again, with a version above all that it has seen, which
   * `versionAfter` must return. @returns whether the user must be stored, because its version was raised.
   */
  reveal(user: User, viewer: string, versionAfter: (seen: number) => number): boolean {
    const frozen = this.unhide(user, viewer);
    if (frozen === undefined) return false;
    const v = Math.max(user.v, frozen.v);
    if (v === 0) return false; // nobody has ever seen this user
    user.v = versionAfter(v);
    user.entryJson = null;
    user.adminEntryJson = null;
    return true;
  }

  /** Replaces all blocks of a user that is not held. */
  setBlocks(user: string, hidden: ReadonlyMap<string, Frozen>): void {
    this.#blocks.liftAll(user);
    for (const [viewer, frozen] of hidden) this.#blocks.set(user, viewer, frozen);
  }

  /** Ends everything that `hide` began for this user. */
  unhideAll(user: User): void {
    this.#blocks.liftAll(user.id);
    user.hiddenFrom = null;
  }

  /**
   * Whether the first watcher of a user must cost as much as for a user that is gone, so that timing reveals nothing.
   * This is so if the user is in memory only for its sessions but is shown offline. The cost is a store read and a new
   * entry. A watched user is excepted, because it would be in memory without a session too.
   */
  #costsAsGone(user: User, viewer: Viewer): boolean {
    return (user.audience === null || user.audience.isEmpty) && !this.#views.isVisibleTo(user, viewer);
  }

  #recall(id: string): User {
    return new User(id, this.offline, this.#options.recall(id, this.#isHeld), this.#blocks.of(id));
  }

  #recallMany(ids: readonly string[]): ReadonlyMap<string, User> {
    const users = new Map<string, User>();
    if (ids.length === 0) return users;
    if (ids.length === 1) return users.set(ids[0] as string, this.#recall(ids[0] as string));
    const remembered = this.#options.recallMany(ids, this.#isHeld);
    for (const [i, id] of ids.entries()) users.set(id, new User(id, this.offline, remembered[i], this.#blocks.of(id)));
    return users;
  }
}

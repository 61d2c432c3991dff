/**
 * Users whose latest state is still to be sent to some watchers. There are two reasons. Either the user changed again
 * less than 50 ms after it was last reported, because a user that flaps must not cost every watcher more than 20
 * entries a second. Or the loop turn has no room left. Changes that a block makes for one viewer wait in the same way.
 *
 * Also finds what a connection has not been sent for these reasons, because no `at` may cover it. Does not decide which
 * connections watch a user. Costs nothing while no user is held back.
 */
import type { User } from '../../presence/user.ts';
import type { Users } from '../../presence/users.ts';
import type { AudienceWalk } from '../lists/audience-walk.ts';
import { audienceOf, audienceSize, covers, watchersOf } from '../lists/watched-list.ts';
import type { Outbox } from './outbox.ts';

interface HeldBackOptions {
  readonly presence: Pick<Users, 'versionFor'>;
  /** Minimum time between two reports of one user, in milliseconds. */
  readonly reportEveryMs: number;
  /** A user with more watchers than this is sent in steps. */
  readonly largeAudience: number;
  /** A clock in milliseconds that never goes back. */
  readonly nowMs: () => number;
  /** Requests a flush, because a held user is due. */
  readonly onDue: () => void;
}

/**
 * The pending changes of one user, and the connections that have not been sent them. Events of the user are numbered.
 */
export class Held {
  readonly user: User;
  isLarge: boolean;
  /** The walk that sends the state in several turns; null if none is in progress. */
  walk: AudienceWalk | null = null;
  #walkNo = 0;
  #eventNo = 0;
  /** The last change for all watchers; 0 for none. */
  #changeNo = 0;
  /** The last block that was set or lifted, by viewer. */
  #blockNos: Map<string, number> | null = null;
  /** The last event that each connection was shown: since the last walk began, and before. */
  #shownNos = new Map<Outbox, number>();
  #shownBefore = new Map<Outbox, number>();
  #waiting: { readonly eventNo: number; readonly resolve: () => void }[] = [];

  constructor(user: User, isLarge: boolean) {
    this.user = user;
    this.isLarge = isLarge;
  }

  changed(): void {
    this.#changeNo = ++this.#eventNo;
  }

  /** Notes a block that was set or lifted, which changes what the viewer sees. */
  changedFor(viewer: string): void {
    (this.#blockNos ??= new Map()).set(viewer, ++this.#eventNo);
  }

  /** Keeps pending changes for a viewer that is about to be blocked. */
  keepFor(viewer: string): void {
    const newsNo = Math.max(this.#changeNo, this.#blockNos?.get(viewer) ?? 0);
    if (newsNo > 0) (this.#blockNos ??= new Map()).set(viewer, newsNo);
  }

  /** Notes that the connection was sent the latest state. */
  shown(outbox: Outbox): void {
    this.#shownNos.set(outbox, this.#eventNo);
  }

  /** Whether a connection that watches the user has something pending. */
  owes(outbox: Outbox): boolean {
    const viewer = outbox.viewer.user;
    let newsNo = this.#changeNo;
    if (viewer !== null) {
      const blockNo = this.#blockNos?.get(viewer) ?? 0;
      newsNo = this.user.hiddenFrom?.has(viewer) === true ? blockNo : Math.max(newsNo, blockNo);
    }
    return newsNo > (this.#shownNos.get(outbox) ?? this.#shownBefore.get(outbox) ?? 0);
  }

  /**
   * Number of remembered connections. It must stay bounded even if connections come and go while the user keeps
   * changing.
   */
  get rememberedCount(): number {
    return this.#shownNos.size + this.#shownBefore.size;
  }

  /** Starts a walk through all watchers. Each is then `shown` the latest state, even if it has it already. */
  beginWalk(walk: AudienceWalk): AudienceWalk {
    this.walk = walk;
    this.#walkNo = this.#eventNo;
    this.#shownBefore = this.#shownNos;
    this.#shownNos = new Map();
    return walk;
  }

  /** @returns whether nothing has happened since the walk began, so that all watchers are up to date. */
  endWalk(): boolean {
    this.walk = null;
    for (const [viewer, blockNo] of this.#blockNos ?? []) if (blockNo <= this.#walkNo) this.#blockNos?.delete(viewer);
    return this.#walkNo === this.#eventNo;
  }

  /** Resolves when all events until now have been sent. */
  whenTold(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ eventNo: this.#eventNo, resolve }));
  }

  /**
   * Removes and returns the callbacks of events that the last walk has sent. For a user without a walk, all of them.
   */
  takeTold(): (() => void)[] {
    const isTold = ({ eventNo }: { readonly eventNo: number }): boolean => !this.isLarge || eventNo <= this.#walkNo;
    const told = this.#waiting.filter(isTold);
    this.#waiting = this.#waiting.filter((one) => !isTold(one));
    return told.map(({ resolve }) => resolve);
  }
}

export class HeldBack {
  readonly #options: HeldBackOptions;
  readonly #users = new Map<User, Held>();
  /** Users that are not due yet, by millisecond. */
  readonly #later = new Map<number, Held[]>();
  /** Due users in order: those with few watchers, and those with many. */
  readonly #due = new Set<Held>();
  readonly #dueLarge = new Set<Held>();
  readonly #large = new Set<Held>();
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Infinity;
  #walkNo = 0;

  constructor(options: HeldBackOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#users.size === 0;
  }

  /** Whether a due user is still to be sent. */
  get hasDue(): boolean {
    return this.#due.size + this.#dueLarge.size > 0;
  }

  /** Whether a due user has very many watchers. */
  get hasDueLarge(): boolean {
    return this.#dueLarge.size > 0;
  }

  get(user: User): Held | undefined {
    return this.#users.get(user);
  }

  /** Returns the pending changes of the user. Starts to hold it back if it is not held. */
  hold(user: User): Held {
    const known = this.#users.get(user);
    if (known !== undefined) return known;
    const { largeAudience } = this.#options;
    const held = new Held(user, audienceSize(user, largeAudience) > largeAudience);
    this.#users.set(user, held);
    if (held.isLarge) this.#large.add(held);
    this.#wait(held);
    return held;
  }

  /** Whether the user may be reported now. */
  isDue(user: User, now: number): boolean {
    return this.#dueAt(user) <= Math.floor(now);
  }

  /** Notes that the user is being reported now. */
  toldAt(user: User, now: number): void {
    audienceOf(user).toldAt = Math.ceil(now);
  }

  /** Returns the due users in order, or all users if `all` is set. Each stays due until it is released. */
  due(now: number, all: boolean): { readonly small: Iterable<Held>; readonly large: Iterable<Held> } {
    let nextAt = Infinity;
    for (const [dueAt, some] of this.#later) {
      if (dueAt > Math.floor(now) && !all) {
        nextAt = Math.min(nextAt, dueAt);
        continue;
      }
      this.#later.delete(dueAt);
      for (const held of some) (held.isLarge ? this.#dueLarge : this.#due).add(held);
    }
    this.#wakeAt(nextAt);
    return { small: this.#due, large: this.#dueLarge };
  }

  /** Marks a user as one with very many watchers, so that it is sent in steps. */
  grow(held: Held): void {
    held.isLarge = true;
    this.#large.add(held);
    this.#due.delete(held);
    this.#dueLarge.add(held);
  }

  /** Removes a user that all watchers are up to date with. */
  release(held: Held): void {
    this.#users.delete(held.user);
    this.#large.delete(held);
    this.#due.delete(held);
    this.#dueLarge.delete(held);
  }

  /** Postpones a user that changed during its walk. The remaining watchers are notified when it is due again. */
  holdOn(held: Held): void {
    this.#dueLarge.delete(held);
    this.#wait(held);
  }

  /**
   * Notes that the connection was sent the latest state of these users by other means, so that it is not sent again.
   */
  shown(outbox: Outbox, users: Iterable<User>): void {
    if (this.isEmpty) return;
    for (const user of users) this.#users.get(user)?.shown(outbox);
  }

  /** Returns the `at` for a message to this connection now: `sentUpTo`, but below everything held back from it. */
  limitFor(outbox: Outbox, sentUpTo: number): number {
    const { presence } = this.#options;
    let at = sentUpTo;
    for (const { user } of this.owedTo(outbox)) at = Math.min(at, presence.versionFor(user, outbox.viewer) - 1);
    return at;
  }

  /** The due users among those pending for the connection. */
  *dueTo(outbox: Outbox): Generator<Held> {
    for (const held of this.owedTo(outbox)) if (this.#due.has(held) || this.#dueLarge.has(held)) yield held;
  }

  /**
   * The users pending for the connection. Iterates over its watched users or over the held users, whichever are fewer.
   */
  *owedTo(outbox: Outbox): Generator<Held> {
    if (watchesMoreThan(outbox, this.#users.size)) {
      for (const held of this.#users.values()) if (held.owes(outbox) && covers(outbox, held.user)) yield held;
      return;
    }
    for (const user of watchedBy(outbox)) {
      const held = this.#users.get(user);
      if (held?.owes(outbox) === true) yield held;
    }
  }

  /**
   * Notes for all connections at once whether something is pending for them, until the next call. `isOwed` reads the
   * result. While due users with few watchers remain, every connection counts as owed, because that state ends sooner
   * than a search would.
   */
  noteOwed(): void {
    if (this.#due.size > 0) return;
    this.#walkNo++;
    for (const held of this.#users.values()) {
      if (held.isLarge) continue;
      for (const outbox of watchersOf(held.user)) if (held.owes(outbox)) outbox.owedNo = this.#walkNo;
    }
  }

  isOwed(outbox: Outbox): boolean {
    if (this.#due.size > 0 || outbox.owedNo === this.#walkNo) return true;
    for (const held of this.#large) if (held.owes(outbox) && covers(outbox, held.user)) return true;
    return false;
  }

  #wait(held: Held): void {
    const dueAt = this.#dueAt(held.user);
    const some = this.#later.get(dueAt);
    if (some === undefined) this.#later.set(dueAt, [held]);
    else some.push(held);
    if (dueAt < this.#timerAt) this.#wakeAt(dueAt);
  }

  /** When the user may be reported again. Whole milliseconds keep the number small in memory. */
  #dueAt(user: User): number {
    const { toldAt } = audienceOf(user);
    return toldAt === 0 ? 0 : toldAt + this.#options.reportEveryMs;
  }

  #wakeAt(dueAt: number): void {
    if (dueAt === this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = dueAt;
    if (dueAt === Infinity) return;
    this.#timer = setTimeout(
      () => {
        this.#timerAt = Infinity;
        this.#options.onDue();
      },
      // Timers may fire a millisecond early.
      dueAt - Math.floor(this.#options.nowMs()) + 1,
    );
  }
}

function watchesMoreThan({ users, circles }: Outbox, count: number): boolean {
  let left = count - users.size;
  if (left < 0) return true;
  for (const { friends } of circles) if ((left -= friends.size + 1) < 0) return true;
  return false;
}

function* watchedBy({ users, circles }: Outbox): Generator<User> {
  yield* users;
  for (const { friends } of circles) yield* friends;
}

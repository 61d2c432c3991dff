/**
 * Users whose latest state is still to be sent to some watchers. There are two reasons. Either the user changed again
 * less than 50 ms after it was last reported, because a user that flaps must not cost every watcher more than 20
 * entries a second. Or the loop turn has no room left. Changes that a block makes for one viewer wait in the same way.
 *
 * Also finds what a connection has not been sent for these reasons, because no `at` may cover it. Does not decide which
 * connections watch a user. Costs nothing while no user is held back.
 */
import type { Users } from '../../presence/users.ts';
import type { User } from '../../presence/user.ts';
import { audienceOf, audienceSize, covers, watchersOf } from '../lists/watched-list.ts';
import type { Outbox } from './outbox.ts';
import { PendingUser } from './pending-user.ts';

interface PendingChangesOptions {
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

export class PendingChanges {
  readonly #options: PendingChangesOptions;
  readonly #users = new Map<User, PendingUser>();
  /** Users that are not due yet, by millisecond. */
  readonly #later = new Map<number, PendingUser[]>();
  /** Due users in order: those with few watchers, and those with many. */
  readonly #due = new Set<PendingUser>();
  readonly #dueLarge = new Set<PendingUser>();
  readonly #large = new Set<PendingUser>();
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Infinity;
  #walkNo = 0;

  constructor(options: PendingChangesOptions) {
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

  get(user: User): PendingUser | undefined {
    return this.#users.get(user);
  }

  /** Returns the pending changes of the user. Starts to hold it back if it is not held. */
  hold(user: User): PendingUser {
    const known = this.#users.get(user);
    if (known !== undefined) return known;
    const { largeAudience } = this.#options;
    const pending = new PendingUser(user, audienceSize(user, largeAudience) > largeAudience);
    this.#users.set(user, pending);
    if (pending.isLarge) this.#large.add(pending);
    this.#wait(pending);
    return pending;
  }

  /** Whether the user may be reported now. */
  isDue(user: User, now: number): boolean {
    return this.#dueAt(user) <= Math.floor(now);
  }

  /** Notes that the user is being reported now. */
  reportedAt(user: User, now: number): void {
    audienceOf(user).reportedAt = Math.ceil(now);
  }

  /** Returns the due users in order, or all users if `all` is set. Each stays due until it is released. */
  due(now: number, all: boolean): { readonly small: Iterable<PendingUser>; readonly large: Iterable<PendingUser> } {
    let nextAt = Infinity;
    for (const [dueAt, waiting] of this.#later) {
      if (dueAt > Math.floor(now) && !all) {
        nextAt = Math.min(nextAt, dueAt);
        continue;
      }
      this.#later.delete(dueAt);
      for (const pending of waiting) (pending.isLarge ? this.#dueLarge : this.#due).add(pending);
    }
    this.#wakeAt(nextAt);
    return { small: this.#due, large: this.#dueLarge };
  }

  /** Marks a user as one with very many watchers, so that it is sent in steps. */
  markLarge(pending: PendingUser): void {
    pending.isLarge = true;
    this.#large.add(pending);
    this.#due.delete(pending);
    this.#dueLarge.add(pending);
  }

  /** Removes a user that all watchers are up to date with. */
  release(pending: PendingUser): void {
    this.#users.delete(pending.user);
    this.#large.delete(pending);
    this.#due.delete(pending);
    this.#dueLarge.delete(pending);
  }

  /** Postpones a user that changed during its walk. The remaining watchers are notified when it is due again. */
  postpone(pending: PendingUser): void {
    this.#dueLarge.delete(pending);
    this.#wait(pending);
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
    for (const { user } of this.pendingFor(outbox)) at = Math.min(at, presence.versionFor(user, outbox.viewer) - 1);
    return at;
  }

  /** The due users among those pending for the connection. */
  *dueFor(outbox: Outbox): Generator<PendingUser> {
    for (const pending of this.pendingFor(outbox))
      if (this.#due.has(pending) || this.#dueLarge.has(pending)) yield pending;
  }

  /**
   * The users pending for the connection. Iterates over its watched users or over the held users, whichever are fewer.
   */
  *pendingFor(outbox: Outbox): Generator<PendingUser> {
    if (watchesMoreThan(outbox, this.#users.size)) {
      for (const pending of this.#users.values())
        if (pending.isPendingFor(outbox) && covers(outbox, pending.user)) yield pending;
      return;
    }
    for (const user of watchedBy(outbox)) {
      const pending = this.#users.get(user);
      if (pending?.isPendingFor(outbox) === true) yield pending;
    }
  }

  /**
   * Notes for all connections at once whether something is pending for them, until the next call. `hasPending` reads
   * the result. While due users with few watchers remain, every connection counts as having pending changes, because
   * that state ends sooner than a search would.
   */
  notePending(): void {
    if (this.#due.size > 0) return;
    this.#walkNo++;
    for (const pending of this.#users.values()) {
      if (pending.isLarge) continue;
      for (const outbox of watchersOf(pending.user)) if (pending.isPendingFor(outbox)) outbox.pendingNo = this.#walkNo;
    }
  }

  hasPending(outbox: Outbox): boolean {
    if (this.#due.size > 0 || outbox.pendingNo === this.#walkNo) return true;
    for (const pending of this.#large) if (pending.isPendingFor(outbox) && covers(outbox, pending.user)) return true;
    return false;
  }

  #wait(pending: PendingUser): void {
    const dueAt = this.#dueAt(pending.user);
    const waiting = this.#later.get(dueAt);
    if (waiting === undefined) this.#later.set(dueAt, [pending]);
    else waiting.push(pending);
    if (dueAt < this.#timerAt) this.#wakeAt(dueAt);
  }

  /** When the user may be reported again. Whole milliseconds keep the number small in memory. */
  #dueAt(user: User): number {
    const { reportedAt } = audienceOf(user);
    return reportedAt === 0 ? 0 : reportedAt + this.#options.reportEveryMs;
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

function watchesMoreThan({ users, lists }: Outbox, count: number): boolean {
  let left = count - users.size;
  if (left < 0) return true;
  for (const { friends } of lists) if ((left -= friends.size + 1) < 0) return true;
  return false;
}

function* watchedBy({ users, lists }: Outbox): Generator<User> {
  yield* users;
  for (const { friends } of lists) yield* friends;
}

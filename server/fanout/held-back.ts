/**
 * Users who changed again less than 50 ms after they were last reported. Their change waits, so that one user who flaps
 * cannot make everybody who watches it receive more than 20 entries a second. The latest state is told once the time is up.
 *
 * It also answers what a connection has not been sent yet because of that, since no `at` may cover it. Decides nothing
 * about who watches whom. Costs nothing while nobody is held back.
 */
import type { Presence } from '../presence/presence.ts';
import type { User } from '../presence/user.ts';
import { audienceOf, covers } from './watched-list.ts';
import type { Outbox } from './outbox.ts';

interface HeldBackOptions {
  readonly presence: Pick<Presence, 'versionFor'>;
  /** A user is reported at most that often, milliseconds. */
  readonly reportEveryMs: number;
  /** Milliseconds that only grow. */
  readonly nowMs: () => number;
  /** The time of a user is up: flush. */
  readonly onDue: () => void;
}

/** What some connections have been shown of a held user already: the version, by connection. */
export type Shown = ReadonlyMap<Outbox, number>;

/** Up to here each held user is asked whether a connection watches it. */
const MOST_ASKED = 64;
const nothing: Shown = new Map();

export class HeldBack {
  readonly #options: HeldBackOptions;
  readonly #users = new Map<User, Map<Outbox, number>>();
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Infinity;
  #walkNo = 0;

  constructor(options: HeldBackOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#users.size === 0;
  }

  has(user: User): boolean {
    return this.#users.has(user);
  }

  /** Adds those whose time is up, or with `all` everybody, to those who are to be told. */
  release(into: Set<User>, all: boolean): void {
    const now = Math.floor(this.#options.nowMs());
    let nextAt = Infinity;
    for (const user of this.#users.keys()) {
      const dueAt = this.#dueAt(user);
      if (all || dueAt <= now) into.add(user);
      else nextAt = Math.min(nextAt, dueAt);
    }
    this.#wakeAt(nextAt);
  }

  /**
   * Asked of each user who changed. @returns who has been shown the latest state already, if the user may be told now;
   * undefined if it must wait.
   */
  tell(user: User, now: number, isForced: boolean): Shown | undefined {
    const dueAt = this.#dueAt(user);
    if (dueAt > Math.floor(now) && !isForced) {
      if (!this.#users.has(user)) this.#users.set(user, new Map());
      if (dueAt < this.#timerAt) this.#wakeAt(dueAt);
      return undefined;
    }
    audienceOf(user).toldAt = Math.ceil(now);
    if (this.isEmpty) return nothing;
    const shown = this.#users.get(user) ?? nothing;
    this.#users.delete(user);
    return shown;
  }

  /** The connection has been sent the latest state of these users by other means: it is not told again. */
  shown(outbox: Outbox, users: Iterable<User>): void {
    if (this.isEmpty) return;
    for (const user of users) {
      this.#users.get(user)?.set(outbox, this.#options.presence.versionFor(user, outbox.viewer));
    }
  }

  /** The `at` for what this connection is sent now: `sentUpTo`, but below everything that is held back from it. */
  limitFor(outbox: Outbox, sentUpTo: number): number {
    let at = sentUpTo;
    // Without looking at the connection the limit is lower than necessary, which is right, too.
    const isPrecise = this.#users.size <= MOST_ASKED;
    for (const [user, shown] of this.#users) {
      if (user.v > at) continue;
      if (!isPrecise || (this.#owes(outbox, user, shown) && covers(outbox, user))) at = user.v - 1;
    }
    return at;
  }

  /** Notes for all connections at once whether they are still to be told of somebody: ask `isNoted` until the next time. */
  noteOwed(): void {
    this.#walkNo++;
    for (const [user, shown] of this.#users) {
      const audience = audienceOf(user);
      for (const outbox of audience) if (this.#owes(outbox, user, shown)) outbox.owedNo = this.#walkNo;
      for (const circle of audience.circles ?? []) {
        for (const outbox of circle.watchers) if (this.#owes(outbox, user, shown)) outbox.owedNo = this.#walkNo;
      }
    }
  }

  isNoted(outbox: Outbox): boolean {
    return outbox.owedNo === this.#walkNo;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Whether a connection that watches the user will be told: not if the user blocks its viewer, or it knows. */
  #owes(outbox: Outbox, user: User, shown: Shown): boolean {
    const { viewer } = outbox;
    if (user.hiddenFrom !== null && viewer.user !== null && user.hiddenFrom.has(viewer.user)) return false;
    return shown.get(outbox) !== user.v;
  }

  /** When the user may be told again. Whole milliseconds, so that a user needs no number of its own in memory. */
  #dueAt(user: User): number {
    const { toldAt } = audienceOf(user);
    return toldAt === 0 ? 0 : toldAt + this.#options.reportEveryMs;
  }

  #wakeAt(dueAt: number): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = dueAt;
    if (dueAt === Infinity) return;
    this.#timer = setTimeout(
      () => {
        this.#timerAt = Infinity;
        this.#options.onDue();
      },
      // Timers may come a millisecond early.
      dueAt - Math.floor(this.#options.nowMs()) + 1,
    );
  }
}

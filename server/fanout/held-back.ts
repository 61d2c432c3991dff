/**
 * Users of whom somebody is still to be told the latest state, because they changed again less than 50 ms after they were
 * last reported (one user who flaps cannot make everybody who watches it receive more than 20 entries a second), or because
 * the turn of the loop has no room for it. What a block changes for one viewer waits in the same way.
 *
 * It also answers what a connection has not been sent yet because of that, since no `at` may cover it. Decides nothing
 * about who watches whom. Costs nothing while nobody is held back.
 */
import type { Presence } from '../presence/presence.ts';
import type { User } from '../presence/user.ts';
import type { AudienceWalk } from './audience-walk.ts';
import { audienceOf, audienceSize, covers, watchersOf } from './watched-list.ts';
import type { Outbox } from './outbox.ts';

interface HeldBackOptions {
  readonly presence: Pick<Presence, 'versionFor'>;
  /** A user is reported at most that often, milliseconds. */
  readonly reportEveryMs: number;
  /** A user with more watchers than this is told in steps. */
  readonly largeAudience: number;
  /** Milliseconds that only grow. */
  readonly nowMs: () => number;
  /** The time of a user is up: flush. */
  readonly onDue: () => void;
}

/** What is held back of one user, and from whom. What happens to the user meanwhile is numbered. */
export class Held {
  readonly user: User;
  isLarge: boolean;
  /** Some are told already, and the others will be in later turns. */
  walk: AudienceWalk | null = null;
  #walkNo = 0;
  #eventNo = 0;
  /** The last change that is for everybody; 0 for none. */
  #changeNo = 0;
  /** The last block that was set or lifted, by viewer. */
  #blockNos: Map<string, number> | null = null;
  /** What some connections have been shown already: since the last walk began, and before. */
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

  /** A block was set or lifted: the viewer sees the user in another way. */
  changedFor(viewer: string): void {
    (this.#blockNos ??= new Map()).set(viewer, ++this.#eventNo);
  }

  /** The viewer, who is about to be blocked, is told what it has not been told yet. */
  keepFor(viewer: string): void {
    const newsNo = Math.max(this.#changeNo, this.#blockNos?.get(viewer) ?? 0);
    if (newsNo > 0) (this.#blockNos ??= new Map()).set(viewer, newsNo);
  }

  /** The connection has been sent the latest state. */
  shown(outbox: Outbox): void {
    this.#shownNos.set(outbox, this.#eventNo);
  }

  /** Whether a connection that watches the user is still to be told something. */
  owes(outbox: Outbox): boolean {
    const viewer = outbox.viewer.user;
    let newsNo = this.#changeNo;
    if (viewer !== null) {
      const blockNo = this.#blockNos?.get(viewer) ?? 0;
      newsNo = this.user.hiddenFrom?.has(viewer) === true ? blockNo : Math.max(newsNo, blockNo);
    }
    return newsNo > (this.#shownNos.get(outbox) ?? this.#shownBefore.get(outbox) ?? 0);
  }

  /** Somebody may change without an end: what is remembered must not grow with those who come and go. */
  get rememberedCount(): number {
    return this.#shownNos.size + this.#shownBefore.size;
  }

  /** A walk comes by all who watch, and each is then `shown` the latest state, also if it knows it already. */
  beginWalk(walk: AudienceWalk): AudienceWalk {
    this.walk = walk;
    this.#walkNo = this.#eventNo;
    this.#shownBefore = this.#shownNos;
    this.#shownNos = new Map();
    return walk;
  }

  /** @returns whether nothing has happened since it began, so that everybody knows all of it. */
  endWalk(): boolean {
    this.walk = null;
    for (const [viewer, blockNo] of this.#blockNos ?? []) if (blockNo <= this.#walkNo) this.#blockNos?.delete(viewer);
    return this.#walkNo === this.#eventNo;
  }

  /** Resolves when everybody has been told what has happened until now. */
  whenTold(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ eventNo: this.#eventNo, resolve }));
  }

  /** Takes out who waits for what the last walk has told, or, with no walk, for anything. */
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
  /** Those whose time is still to come, by the millisecond. */
  readonly #later = new Map<number, Held[]>();
  /** Those whose time is up, the first one first: those with few watchers, and those with many. */
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

  /** Somebody's time is up, and it was not told yet. */
  get hasDue(): boolean {
    return this.#due.size + this.#dueLarge.size > 0;
  }

  /** Among them is one with very many watchers. */
  get hasDueLarge(): boolean {
    return this.#dueLarge.size > 0;
  }

  get(user: User): Held | undefined {
    return this.#users.get(user);
  }

  /** What is held back of the user, from now on if nothing was. */
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

  /** Whether the user may be told by now. */
  isDue(user: User, now: number): boolean {
    return this.#dueAt(user) <= Math.floor(now);
  }

  /** The user is being told now. */
  toldAt(user: User, now: number): void {
    audienceOf(user).toldAt = Math.ceil(now);
  }

  /** Those whose time is up, the first one first; with `all` everybody. Each stays among them until it is told. */
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

  /** So many watch the user by now that it is to be told in steps. */
  grow(held: Held): void {
    held.isLarge = true;
    this.#large.add(held);
    this.#due.delete(held);
    this.#dueLarge.add(held);
  }

  /** Everybody has been told of the user. */
  release(held: Held): void {
    this.#users.delete(held.user);
    this.#large.delete(held);
    this.#due.delete(held);
    this.#dueLarge.delete(held);
  }

  /** The user changed while it was being told: those who know less are told when its time is up again. */
  holdOn(held: Held): void {
    this.#dueLarge.delete(held);
    this.#wait(held);
  }

  /** The connection has been sent the latest state of these users by other means: it is not told again. */
  shown(outbox: Outbox, users: Iterable<User>): void {
    if (this.isEmpty) return;
    for (const user of users) this.#users.get(user)?.shown(outbox);
  }

  /** The `at` for what this connection is sent now: `sentUpTo`, but below everything that is held back from it. */
  limitFor(outbox: Outbox, sentUpTo: number): number {
    const { presence } = this.#options;
    let at = sentUpTo;
    for (const { user } of this.owedTo(outbox)) at = Math.min(at, presence.versionFor(user, outbox.viewer) - 1);
    return at;
  }

  /** Of what the connection is still to be told, that whose time is up. */
  *dueTo(outbox: Outbox): Generator<Held> {
    for (const held of this.owedTo(outbox)) if (this.#due.has(held) || this.#dueLarge.has(held)) yield held;
  }

  /** What the connection is still to be told. Looks at those whom it watches, or at those held back, whichever are fewer. */
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
   * Notes for all connections at once whether they are still to be told of somebody: ask `isOwed` until the next time.
   * While there was no room for everybody whose time is up, it says so of all: that passes sooner than a look through them.
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

  /** When the user may be told again. Whole milliseconds, so that a user needs no number of its own in memory. */
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
      // Timers may come a millisecond early.
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

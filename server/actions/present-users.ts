/**
 * Lists and counts the users that are shown as present. Whatever it answers is what a viewer could learn by reading one
 * entry after another: users who are invisible, or who block the viewer, are left out of lists and counts alike.
 *
 * The index by status is built when the first list is asked for, and then follows every change. So a hub that is never
 * listed pays nothing. All work is done in small steps, so that other work runs between them.
 */
import { zeroCounts } from '../lib/zero-counts.ts';
import { SortedById } from '../lib/collections/sorted-by-id.ts';
import type { TurnBudget } from '../lib/time/turn-budget.ts';
import type { Change } from '../presence/change.ts';
import { adapters, type AdapterName } from '../presence/sessions/session.ts';
import { shownStatusOf } from '../presence/fold.ts';
import type { User } from '../presence/user.ts';
import type { Users } from '../presence/users.ts';
import type { Viewer } from '../presence/viewer.ts';
import { presentStatuses, type PresentStatus } from '../../shared/status.ts';

export interface ListQuery {
  readonly statuses: ReadonlySet<PresentStatus>;
  /** '' for all ids. */
  readonly prefix: string;
  /** The last id of the page before; '' for the first page. */
  readonly after: string;
  readonly limit: number;
}

export interface ListPage {
  readonly ids: readonly string[];
  /** The entries as JSON, in byte order of the ids. */
  readonly entries: readonly string[];
  /** Where the next page continues; null if this one is the last. */
  readonly next: string | null;
}

export interface Counts extends Readonly<Record<PresentStatus, number>> {
  readonly sessions: Readonly<Record<AdapterName, number>>;
  /** Whether what was counted may be out of date. */
  readonly isStale: boolean;
}

interface Elsewhere {
  /** Whether this hub counts the user, of those that hold it. `isHere`: it has sessions on this hub. */
  counts(user: string, isHere: boolean): boolean;
  /** The adapters of the user's sessions on hubs that ended, if this hub counts them. */
  adaptersOf(user: string): readonly AdapterName[];
}

interface PresentUsersOptions {
  readonly users: Pick<Users, 'held' | 'entryJsonOnceFor'>;
  /** The other hubs of a cluster. */
  readonly elsewhere?: Elsewhere;
  readonly turns: Pick<TurnBudget, 'take'>;
  /** A clock in milliseconds for the length of a slice. */
  readonly nowMs: () => number;
}

/** How long a slice may take, and its cost in the turn budget: no turn has more than two. */
const STEP_MS = 1.5;
const STEP_COST = 1000;
/** One check of the clock covers this many users. */
const USERS_A_CHECK = 50;

export class PresentUsers {
  readonly #options: PresentUsersOptions;
  #index: Record<PresentStatus, SortedById<User>> | null = null;
  #built: Promise<void> | undefined;
  /** Counts that have not begun, by the viewer's user. */
  readonly #waitingCounts = new Map<string | null, Promise<Counts>>();
  #lastCount: Promise<unknown> = Promise.resolve();

  constructor(options: PresentUsersOptions) {
    this.#options = options;
  }

  /** Follows a change of an entry. */
  changed({ user, from }: Change): void {
    const index = this.#index;
    if (index === null) return;
    const to = shownStatusOf(user.fold);
    if (from === to) return;
    if (from !== 'offline') index[from].delete(user.id);
    if (to !== 'offline') index[to].add(user);
  }

  /** Lists a user that is held now, though this hub has no session of it. */
  held(user: User): void {
    const status = shownStatusOf(user.fold);
    if (status !== 'offline') this.#index?.[status].add(user);
  }

  /** Forgets a user that is no longer held. It may still be present on another hub, which lists it then. */
  released(user: User): void {
    const status = shownStatusOf(user.fold);
    if (status !== 'offline') this.#index?.[status].delete(user.id);
  }

  async page(query: ListQuery, viewer: Viewer): Promise<ListPage> {
    await (this.#built ??= this.#build());
    const ids: string[] = [];
    const entries: string[] = [];
    const slice = new TimeSlice(this.#options);
    await slice.begin();
    let { after } = query;
    for (;;) {
      let isWhole = true;
      for (const user of this.#from(query, after)) {
        if (entries.length === query.limit && !isBlocked(user, viewer))
          return { ids, entries, next: ids.at(-1) ?? null };
        after = user.id;
        if (!isBlocked(user, viewer)) {
          ids.push(after);
          entries.push(this.#options.users.entryJsonOnceFor(user, viewer));
        }
        isWhole = !slice.isOver();
        if (!isWhole) break;
      }
      if (isWhole) return { ids, entries, next: null };
      await slice.begin();
    }
  }

  /** Counts what this viewer could list. `isDoubted` says whether what is shown of a user may be out of date. */
  counts(viewer: Viewer, isDoubted: (user: User) => boolean): Promise<Counts> {
    const waiting = this.#waitingCounts.get(viewer.user);
    if (waiting !== undefined) return waiting;
    // One after another, and one for all who ask in the meantime: a count of a million users takes a fifth of a second.
    const counting = this.#lastCount.then(() => {
      this.#waitingCounts.delete(viewer.user);
      return this.#count(viewer, isDoubted);
    });
    this.#waitingCounts.set(viewer.user, counting);
    this.#lastCount = counting.catch(() => undefined);
    return counting;
  }

  async #count(viewer: Viewer, isDoubted: (user: User) => boolean): Promise<Counts> {
    const counts = zeroCounts(presentStatuses);
    const sessions = zeroCounts(adapters);
    let isStale = false;
    const { users, elsewhere } = this.#options;
    const slice = new TimeSlice(this.#options);
    await slice.begin();
    for (const user of users.held()) {
      const status = shownStatusOf(user.fold);
      if (status !== 'offline' && !isBlocked(user, viewer)) {
        if (elsewhere?.counts(user.id, user.firstSession !== null) ?? true) counts[status]++;
        for (let session = user.firstSession; session !== null; session = session.next) sessions[session.adapter]++;
        for (const adapter of elsewhere?.adaptersOf(user.id) ?? []) sessions[adapter]++;
        isStale ||= isDoubted(user);
      }
      if (!slice.isOver()) continue;
      await slice.begin();
    }
    return { ...counts, sessions, isStale };
  }

  async #build(): Promise<void> {
    const index = { online: new SortedById<User>(), away: new SortedById<User>(), busy: new SortedById<User>() };
    // From here on, changes are followed. The walk adds those who were there before.
    this.#index = index;
    const slice = new TimeSlice(this.#options);
    await slice.begin();
    for (const user of this.#options.users.held()) {
      const status = shownStatusOf(user.fold);
      if (status !== 'offline') index[status].add(user);
      if (!slice.isOver()) continue;
      await slice.begin();
    }
  }

  /** The users after that id, of all wanted statuses, in order. Valid until the next change. */
  *#from({ statuses, prefix }: ListQuery, after: string): Generator<User> {
    const index = this.#index;
    if (index === null) return;
    const begin = after < prefix ? prefix : after;
    const lists = [...statuses].map((status) => index[status].from(begin));
    const heads = lists.map((list) => list.next().value as User | undefined);
    for (;;) {
      let first: number | undefined;
      for (const [i, head] of heads.entries()) {
        if (head !== undefined && (first === undefined || head.id < (heads[first] as User).id)) first = i;
      }
      if (first === undefined) return;
      const user = heads[first] as User;
      heads[first] = lists[first]?.next().value as User | undefined;
      if (!user.id.startsWith(prefix)) return;
      if (user.id !== after) yield user;
    }
  }
}

/** Measures how long the current turn has worked. */
class TimeSlice {
  readonly #options: Pick<PresentUsersOptions, 'turns' | 'nowMs'>;
  #endsAt = 0;
  #unchecked = 0;

  constructor(options: Pick<PresentUsersOptions, 'turns' | 'nowMs'>) {
    this.#options = options;
  }

  /** Waits until the turn has room for a slice. */
  async begin(): Promise<void> {
    const turn = this.#options.turns.take(STEP_COST);
    if (turn !== undefined) await turn;
    this.#endsAt = this.#options.nowMs() + STEP_MS;
    this.#unchecked = 0;
  }

  /** Counts one more user. @returns whether the work must go on in another slice. */
  isOver(): boolean {
    if (++this.#unchecked < USERS_A_CHECK) return false;
    this.#unchecked = 0;
    return this.#options.nowMs() >= this.#endsAt;
  }
}

function isBlocked({ hiddenFrom }: User, { user }: Viewer): boolean {
  return hiddenFrom !== null && user !== null && hiddenFrom.has(user);
}

/**
 * Decides who is notified that what is shown may be stale, and since when. There are three kinds of reasons:
 * - A restart, or a suspension of the machine. It concerns everybody.
 * - A doubted mass lapse of one adapter. It concerns watchers that are shown a user with a session on that adapter.
 * - A failure to poll. It concerns watchers that are shown a user whom the hub cannot poll.
 *
 * A connection is sent `stale` when its first reason begins, again when another reason reaches further back, and
 * `fresh` when the last one is over. Other connections are sent nothing, so that the doubt reveals no user who is shown
 * as offline.
 *
 * Every reason is stored, because a run that ends meanwhile leaves the next one equally unsure.
 */
import type { Fanout, StaleNotifier } from './fanout/fanout.ts';
import { watchersOf } from './fanout/lists/watched-list.ts';
import type { Outbox } from './fanout/delivery/outbox.ts';
import type { Moment } from './lib/time/clock.ts';
import type { Doubt } from './presence/change.ts';
import type { Presence } from './presence/presence.ts';
import type { User } from './presence/user.ts';
import type { Users } from './presence/users.ts';
import type { Viewer } from './presence/viewer.ts';
import type { StoreState } from './storage/port.ts';

export interface Reason {
  /** The last moment of which the hub is sure, on the wall clock. */
  readonly since: number;
  /** Whether the doubt concerns what this viewer is shown of the user; null if it concerns everything. */
  readonly isAbout: ((user: User, viewer: Viewer) => boolean) | null;
  readonly isOver: (monoMs: number) => boolean;
}

interface StalenessOptions {
  readonly users: Pick<Users, 'find'>;
  /** Reports a new earliest `since` of all reasons; null: nothing is in doubt. */
  readonly onSureness: (since: number | null) => void;
  /** Reports the earliest `since` of the reasons that concern everybody; null: there is none. */
  readonly onDoubt?: (since: number | null) => void;
}

/** Sends pending changes, so that `fresh` comes after them. */
type Settler = Pick<Fanout, 'settle'>;

export class Staleness implements StaleNotifier {
  readonly #options: StalenessOptions;
  /** Connections that were sent `stale`, with the `since` of that message. */
  readonly #notified = new Map<Outbox, number>();
  #reasons: Reason[] = [];
  #reportedSince: number | null = null;
  /** Connections in `#notified` that may no longer be concerned. */
  readonly #perhapsFresh = new Set<Outbox>();

  constructor(options: StalenessOptions) {
    this.#options = options;
  }

  /** The moment, on the wall clock, since which something shown may be stale; null if nothing is. */
  get since(): number | null {
    return earliest(this.#reasons);
  }

  /** Whether there is any reason. */
  get isAny(): boolean {
    return this.#reasons.length > 0;
  }

  /** Whether there is a reason that does not concern everybody. */
  get isOn(): boolean {
    return this.#reasons.some(({ isAbout }) => isAbout !== null);
  }

  /** Whether the entries that this viewer is shown of these users may be stale. */
  isStale(ids: readonly string[], viewer: Viewer): boolean {
    const { users } = this.#options;
    return this.#reasons.some(({ isAbout }) => {
      if (isAbout === null) return true;
      return ids.some((id) => {
        const user = users.find(id);
        return user !== undefined && isAbout(user, viewer);
      });
    });
  }

  /** Begins a doubt. `outboxes` are those of all established connections. */
  begin(reason: Reason, outboxes: Iterable<Outbox>): void {
    this.#reasons.push(reason);
    this.#report();
    for (const outbox of outboxes) if (this.#concerns(reason, outbox)) this.#notify(outbox, reason.since);
  }

  /**
   * Applies a reason to this user. The reason may be new, or may have got an earlier `since`. Checks only the watchers
   * of the user.
   */
  beginAbout(reason: Reason, user: User): void {
    if (!this.#reasons.includes(reason)) this.#reasons.push(reason);
    this.#report();
    for (const outbox of watchersOf(user)) {
      if (reason.isAbout?.(user, outbox.viewer) === true) this.#notify(outbox, reason.since);
    }
  }

  /** Ends the doubt of `beginAbout` about this user. Watchers of no other doubted user are sent `fresh` soon. */
  endAbout(user: User): void {
    for (const outbox of watchersOf(user)) if (this.#notified.has(outbox)) this.#perhapsFresh.add(outbox);
  }

  /** Notifies a newly established connection of the reasons that concern everybody. */
  welcomed(outbox: Outbox): void {
    const since = earliest(this.#reasons.filter(({ isAbout }) => isAbout === null));
    if (since !== null) this.#notify(outbox, since);
  }

  /** Notifies a connection that is about to be shown these users. */
  before(outbox: Outbox, users: Iterable<User>): void {
    for (const { isAbout, since } of this.#reasons) {
      if (isAbout !== null && isAboutAny(users, outbox.viewer, isAbout)) this.#notify(outbox, since);
    }
  }

  closed(outbox: Outbox): void {
    this.#notified.delete(outbox);
    this.#perhapsFresh.delete(outbox);
  }

  /** Sends `fresh` for the reasons that are over. */
  tick(monoMs: number, fanout: Settler): void {
    const remaining = this.#reasons.filter(({ isOver }) => !isOver(monoMs));
    if (remaining.length < this.#reasons.length) {
      this.#reasons = remaining;
      this.#notifyFresh(this.#notified.keys(), fanout);
      this.#report();
    } else if (this.#perhapsFresh.size > 0) {
      this.#notifyFresh(this.#takeSome(), fanout);
    }
  }

  /** Takes as many connections as one tick has time for. One connection may watch ten thousand users. */
  #takeSome(): Outbox[] {
    const some: Outbox[] = [];
    let users = 0;
    for (const outbox of this.#perhapsFresh) {
      if (users >= USERS_PER_LOOK) break;
      this.#perhapsFresh.delete(outbox);
      some.push(outbox);
      users += 1 + outbox.users.size;
      for (const { friends } of outbox.lists) users += friends.size;
    }
    return some;
  }

  #notifyFresh(notified: Iterable<Outbox>, fanout: Settler): void {
    for (const outbox of notified) {
      if (this.#reasons.some((reason) => this.#concerns(reason, outbox))) continue;
      const at = fanout.settle(outbox);
      if (at === undefined) {
        this.#perhapsFresh.add(outbox); // try again on the next tick
        continue;
      }
      this.#notified.delete(outbox);
      outbox.push(JSON.stringify({ type: 'fresh', at }));
    }
  }

  #report(): void {
    this.#options.onDoubt?.(earliest(this.#reasons.filter(({ isAbout }) => isAbout === null)));
    const { since } = this;
    if (since === this.#reportedSince) return;
    this.#reportedSince = since;
    this.#options.onSureness(since);
  }

  #notify(outbox: Outbox, since: number): void {
    if ((this.#notified.get(outbox) ?? Infinity) <= since) return;
    this.#notified.set(outbox, since);
    outbox.push(JSON.stringify({ type: 'stale', since }));
  }

  #concerns({ isAbout }: Reason, { viewer, users, lists }: Outbox): boolean {
    if (isAbout === null || isAboutAny(users, viewer, isAbout)) return true;
    for (const { friends } of lists) if (isAboutAny(friends, viewer, isAbout)) return true;
    return false;
  }
}

function isAboutAny(users: Iterable<User>, viewer: Viewer, isAbout: NonNullable<Reason['isAbout']>): boolean {
  for (const user of users) if (isAbout(user, viewer)) return true;
  return false;
}

function earliest(reasons: readonly Reason[]): number | null {
  return reasons.length === 0 ? null : Math.min(...reasons.map(({ since }) => since));
}

/** Users checked per loop turn: about 2 ms. */
const USERS_PER_LOOK = 10_000;

/** An expired session is noticed up to two ticks late, and its change is sent before `fresh`. */
const SETTLED_AFTER_MS = 100;

/** After a restart: until all users are back, or the warm time is over. */
export function untilBack(
  presence: Pick<Presence, 'restoredCount'>,
  { sureUntil, certainFrom }: StoreState,
  warmMs: number,
  now: Moment,
): Reason {
  const endsAt = now.monoMs + warmMs + SETTLED_AFTER_MS;
  const since = Math.min(sureUntil ?? now.wallMs, now.wallMs);
  // After an unclean end the list of sessions may be incomplete, because a user may have come online in the last
  // moment.
  const isUnclean = sureUntil !== null && sureUntil < certainFrom;
  return { since, isAbout: null, isOver: (monoMs) => (!isUnclean && presence.restoredCount === 0) || monoMs >= endsAt };
}

/** After a suspension of the machine: until users who left during it have expired. */
export function untilLeaseIsOver(suspendedAt: number, leaseMs: number, now: Moment): Reason {
  const endsAt = now.monoMs + leaseMs + SETTLED_AFTER_MS;
  return { since: suspendedAt, isAbout: null, isOver: (monoMs) => monoMs >= endsAt };
}

/** During a doubted mass lapse: until the end of its hold. */
export function untilDecided({ adapter, since, heldUntil }: Doubt, users: Pick<Users, 'isShownOn'>): Reason {
  const endsAt = heldUntil + SETTLED_AFTER_MS;
  return {
    since,
    isAbout: (user, viewer) => users.isShownOn(user, viewer, adapter),
    isOver: (monoMs) => monoMs >= endsAt,
  };
}

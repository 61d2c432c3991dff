/**
 * Whether what is shown may be behind, and since when: after a restart or a suspension of the machine, which concern
 * everybody; while a mass lapse of one adapter is doubted, which concerns those who are shown a user with a session on it; or
 * while the hub cannot poll, which concerns those who are shown a user whom it cannot ask. They are told `stale` when the
 * first reason begins (again when another reaches further back), and `fresh` when the last one is over. Others are told
 * nothing, so that the doubt reveals no user who is shown as offline.
 *
 * The store is told of every reason, because a run that ends meanwhile leaves the next one no surer than it was. Part of
 * hub.ts.
 */
import type { WsJson } from '../adapters/ws-json/ws-json.ts';
import type { Forewarning } from '../fanout/fanout.ts';
import { watchersOf } from '../fanout/watched-list.ts';
import type { Outbox } from '../fanout/outbox.ts';
import type { Moment } from '../lib/clock.ts';
import type { Doubt } from '../presence/change.ts';
import type { Presence } from '../presence/presence.ts';
import type { User } from '../presence/user.ts';
import type { Viewer } from '../presence/viewer.ts';
import type { StoreState } from '../store/port.ts';
import type { Core } from './core.ts';
import { keepSureUntil, type Storage } from './storage.ts';
import type { HubContext } from './context.ts';

export interface Reason {
  /** The last moment of which the hub is sure, on the wall clock. */
  readonly since: number;
  /** Whether what this viewer is shown of the user is doubted; null for all that is shown. */
  readonly isAbout: ((user: User, viewer: Viewer) => boolean) | null;
  readonly isOver: (monoMs: number) => boolean;
}

interface StalenessOptions {
  readonly presence: Pick<Presence, 'find'>;
  /** Everybody who has been welcomed. */
  readonly outboxes: () => Iterable<Outbox>;
  /** The earliest `since` of all reasons is another one; null: all is known again. */
  readonly onSureness: (since: number | null) => void;
  /**
   * Tells the connection all that waits for it. @returns the `at` that holds for it then; undefined if it does not read, so
   * that some of it still waits.
   */
  readonly settle: (outbox: Outbox) => number | undefined;
}

export class Staleness implements Forewarning {
  readonly #options: StalenessOptions;
  /** Who has been told `stale`, and with which `since`. */
  readonly #told = new Map<Outbox, number>();
  #reasons: Reason[] = [];
  #reportedSince: number | null = null;
  /** Of those told: who is perhaps not concerned any more. */
  readonly #perhapsFresh = new Set<Outbox>();

  constructor(options: StalenessOptions) {
    this.#options = options;
  }

  /** Since when anything that is shown may be behind, on the wall clock; null if nothing is. */
  get since(): number | null {
    return earliest(this.#reasons);
  }

  /** Whether there is a reason that does not concern everybody. */
  get isOn(): boolean {
    return this.#reasons.some(({ isAbout }) => isAbout !== null);
  }

  /** Whether what this answer shows of these users may be behind. */
  isStale(ids: readonly string[], viewer: Viewer): boolean {
    const { presence } = this.#options;
    return this.#reasons.some(({ isAbout }) => {
      if (isAbout === null) return true;
      return ids.some((id) => {
        const user = presence.find(id);
        return user !== undefined && isAbout(user, viewer);
      });
    });
  }

  begin(reason: Reason): void {
    this.#reasons.push(reason);
    this.#report();
    for (const outbox of this.#options.outboxes()) if (this.#concerns(reason, outbox)) this.#tell(outbox, reason.since);
  }

  /**
   * The reason, which may be a new one or have an earlier `since`, is about this user from now on. Looks only at those who
   * watch the user.
   */
  beginAbout(reason: Reason, user: User): void {
    if (!this.#reasons.includes(reason)) this.#reasons.push(reason);
    this.#report();
    for (const outbox of watchersOf(user)) {
      if (reason.isAbout?.(user, outbox.viewer) === true) this.#tell(outbox, reason.since);
    }
  }

  /** No reason of `beginAbout` is about this user any more. Those who watch nobody else like it are told soon. */
  endAbout(user: User): void {
    for (const outbox of watchersOf(user)) if (this.#told.has(outbox)) this.#perhapsFresh.add(outbox);
  }

  /** The connection has been welcomed. */
  welcomed(outbox: Outbox): void {
    const since = earliest(this.#reasons.filter(({ isAbout }) => isAbout === null));
    if (since !== null) this.#tell(outbox, since);
  }

  /** The connection is about to be shown these users. */
  before(outbox: Outbox, users: Iterable<User>): void {
    for (const { isAbout, since } of this.#reasons) {
      if (isAbout !== null && isAboutAny(users, outbox.viewer, isAbout)) this.#tell(outbox, since);
    }
  }

  /** The connection is gone. */
  closed(outbox: Outbox): void {
    this.#told.delete(outbox);
    this.#perhapsFresh.delete(outbox);
  }

  /** The lease timer came by. */
  tick(monoMs: number): void {
    const remaining = this.#reasons.filter(({ isOver }) => !isOver(monoMs));
    if (remaining.length < this.#reasons.length) {
      this.#reasons = remaining;
      this.#tellFresh(this.#told.keys());
      this.#report();
    } else if (this.#perhapsFresh.size > 0) {
      this.#tellFresh(this.#takeSome());
    }
  }

  /** As many as one look has time for: a connection may watch ten thousand users. */
  #takeSome(): Outbox[] {
    const some: Outbox[] = [];
    let users = 0;
    for (const outbox of this.#perhapsFresh) {
      if (users >= USERS_PER_LOOK) break;
      this.#perhapsFresh.delete(outbox);
      some.push(outbox);
      users += 1 + outbox.users.size;
      for (const { friends } of outbox.circles) users += friends.size;
    }
    return some;
  }

  #tellFresh(told: Iterable<Outbox>): void {
    for (const outbox of told) {
      if (this.#reasons.some((reason) => this.#concerns(reason, outbox))) continue;
      const at = this.#options.settle(outbox);
      if (at === undefined) {
        this.#perhapsFresh.add(outbox); // it is tried again
        continue;
      }
      this.#told.delete(outbox);
      outbox.push(JSON.stringify({ type: 'fresh', at }));
    }
  }

  #report(): void {
    const { since } = this;
    if (since === this.#reportedSince) return;
    this.#reportedSince = since;
    this.#options.onSureness(since);
  }

  #tell(outbox: Outbox, since: number): void {
    if ((this.#told.get(outbox) ?? Infinity) <= since) return;
    this.#told.set(outbox, since);
    outbox.push(JSON.stringify({ type: 'stale', since }));
  }

  #concerns({ isAbout }: Reason, { viewer, users, circles }: Outbox): boolean {
    if (isAbout === null || isAboutAny(users, viewer, isAbout)) return true;
    for (const { friends } of circles) if (isAboutAny(friends, viewer, isAbout)) return true;
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

/** Begins with what the restart leaves unsure. */
export function buildStaleness(
  site: HubContext,
  { presence, fanout }: Core,
  { store }: Storage,
  wsJson: WsJson,
): Staleness {
  const { clock, config } = site;
  const staleness = new Staleness({
    presence,
    outboxes: () => wsJson.welcomedOutboxes(),
    onSureness: (since) => {
      keepSureUntil(site, store, since);
    },
    settle: (outbox) => fanout.settle(outbox),
  });
  fanout.forewarning = staleness;
  const now = clock.now();
  const reason = untilBack(presence, store.state, config.warmMs, now);
  if (!reason.isOver(now.monoMs)) staleness.begin(reason);
  else keepSureUntil(site, store, null);
  return staleness;
}

/** Users looked at in one turn of the loop: some 2 ms. */
const USERS_PER_LOOK = 10_000;

/** The sessions that ran out are looked at up to two looks late; what became of them goes out before `fresh`. */
const SETTLED_AFTER_MS = 100;

/** After a restart: until everybody is back, or the warm time is over. */
function untilBack(presence: Presence, { sureUntil, certainFrom }: StoreState, warmMs: number, now: Moment): Reason {
  const endsAt = now.monoMs + warmMs + SETTLED_AFTER_MS;
  const since = Math.min(sureUntil ?? now.wallMs, now.wallMs);
  // After an unclean end nobody can know whether all are back: somebody may have come in its last moment.
  const isUnclean = sureUntil !== null && sureUntil < certainFrom;
  return { since, isAbout: null, isOver: (monoMs) => (!isUnclean && presence.restoredCount === 0) || monoMs >= endsAt };
}

/** After the machine was suspended: until those who have gone meanwhile are seen to be gone. */
export function untilLeaseIsOver(suspendedAt: number, leaseMs: number, now: Moment): Reason {
  const endsAt = now.monoMs + leaseMs + SETTLED_AFTER_MS;
  return { since: suspendedAt, isAbout: null, isOver: (monoMs) => monoMs >= endsAt };
}

/** While a mass lapse is doubted. */
export function untilDecided({ adapter, since, heldUntil }: Doubt, presence: Pick<Presence, 'isShownOn'>): Reason {
  const endsAt = heldUntil + SETTLED_AFTER_MS;
  return {
    since,
    isAbout: (user, viewer) => presence.isShownOn(user, viewer, adapter),
    isOver: (monoMs) => monoMs >= endsAt,
  };
}

/**
 * Decides the `since`, `lastSeen` and `v` of every entry. `Presence` folds the sessions of a user and asks the ledger
 * to agree. Must not write users: `Presence.adopt` does.
 */
import type { TransitionCause } from '../../shared/messages/explain.ts';
import type { Moment } from '../lib/time/clock.ts';
import type { Stalls } from '../lib/time/stall-clock.ts';
import type { Frozen } from './blocks.ts';
import { isVisible, sameFold, sameShown, shownOf, type Fold, type Shown } from './fold.ts';
import { lastSignOf } from './sessions/session-list.ts';
import type { Session } from './sessions/session.ts';
import type { User } from './user.ts';
import type { VersionClock } from './version-clock.ts';

/** What a user becomes. `v` differs from the user's own if and only if others see a change. */
export interface Agreed {
  readonly fold: Fold;
  readonly since: number | null;
  readonly lastSeen: number | null;
  readonly v: number;
}

/**
 * Agrees on entries. A single hub agrees at once. A ledger that must ask other hubs returns undefined, and passes the
 * result to `Presence.adopt` later.
 */
export interface Ledger {
  /**
   * Agrees on the new fold of a user, after a transition of one of its sessions. It is called even if the fold is as
   * before, because an earlier one may still be pending. @returns undefined if the user stays as it is, at least for now.
   */
  settle(user: User, fold: Fold, now: Moment, session: Session, cause: TransitionCause): Agreed | undefined;
}

/** The ledger of a single hub. */
export class OwnLedger implements Ledger {
  readonly #clock: VersionClock;
  readonly #stalls: Stalls;
  readonly #offline: Shown;

  constructor(clock: VersionClock, stalls: Stalls, offline: Shown) {
    this.#clock = clock;
    this.#stalls = stalls;
    this.#offline = offline;
  }

  settle(user: User, fold: Fold, now: Moment): Agreed | undefined {
    const before = user.fold;
    if (sameFold(before, fold)) return undefined;
    const { since, lastSeen, v } = user;
    const shownBefore = shownOf(before, this.#offline);
    const shown = shownOf(fold, this.#offline);
    if (sameShown(shownBefore, shown)) return { fold, since, lastSeen, v };
    return {
      fold,
      since: shownBefore.status === shown.status ? since : now.wallMs,
      lastSeen: this.#lastSeen(user, now),
      v: this.#clock.versionAfter(v, now.wallMs),
    };
  }

  /** Returns what a viewer sees of a user that blocks it now, as if the user had left. */
  freeze({ fold, since, lastSeen, v }: User, now: Moment): Frozen {
    // A user that is already shown offline must look unchanged. A new version would reveal the block.
    if (!isVisible(fold)) return { since, lastSeen, v };
    // A goodbye is a heartbeat. With an older `lastSeen` the block would look like no other end.
    return { since: now.wallMs, lastSeen: now.wallMs, v: this.#clock.versionAfter(v, now.wallMs) };
  }

  /** Returns the version of an entry that a viewer sees again, above all versions that it has seen. */
  versionAfter(seen: number, now: Moment): number {
    return this.#clock.versionAfter(seen, now.wallMs);
  }

  /** The last heartbeat while the user was visible, on the wall clock. */
  #lastSeen(user: User, now: Moment): number | null {
    const signAt = lastSignOf(user);
    const visibleFromAt = isVisible(user.fold) ? user.visibleFromAt : now.monoMs;
    const seenAt = signAt < visibleFromAt ? null : this.#stalls.wallOf(signAt, now);
    return latestSeen(user.lastSeen, seenAt, now.wallMs);
  }
}

/**
 * Returns `lastSeen` after a heartbeat at `seenAt` (null: none since). It is never later than now, even if the clock
 * was ahead.
 */
function latestSeen(lastSeen: number | null, seenAt: number | null, wallMs: number): number | null {
  if (seenAt === null) return lastSeen === null ? null : Math.min(lastSeen, wallMs);
  // A date in the future is from before the wall clock was set back, so it is not a later heartbeat.
  const isFromAhead = lastSeen === null || lastSeen > wallMs;
  return Math.min(isFromAhead ? seenAt : Math.max(lastSeen, seenAt), wallMs);
}

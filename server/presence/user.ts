/**
 * A user as the hub holds it: its live sessions, what they fold to, and the entry that the outside sees.
 * Written by `Presence` alone. It is held while it has a session, an audience, or something not yet stored.
 */
import type { Entry } from '../../shared/entry.ts';
import type { Hidden } from './blocks.ts';
import { shownOf, type Fold, type Shown } from './fold.ts';
import type { Session } from './session.ts';

/** Who is to be told of a user: fanout's, kept here so that a change finds it without a look-up. */
export interface Audience {
  readonly isEmpty: boolean;
}

/** What an earlier time left of a user. */
export interface Remembered {
  /** Counts only where `v` is above 0. */
  readonly since: number;
  readonly lastSeen: number | null;
  readonly v: number;
}

/** The fields that a snapshot reads come first: together they are one line of the cache. */
export class User {
  readonly id: string;
  audience: Audience | null = null;
  /** The entry as JSON; null until somebody asks, and again after a change. */
  entryJson: string | null = null;
  /** Who sees the user as it was when it blocked them; null for nobody, which is nearly everybody's. */
  hiddenFrom: ReadonlyMap<string, Hidden> | null;
  /** The store holds an entry of this user, perhaps an older one. */
  isStored: boolean;
  firstSession: Session | null = null;
  fold: Fold;
  since: number | null;
  lastSeen: number | null;
  v: number;
  /** Since when this user is visible, monotonic; signs of life from before do not count. */
  visibleFromAt = 0;
  /** The last sign of a session that is no more, monotonic; -1 for none. */
  endedSignAt = -1;
  /** The same as `entryJson` for an admin, where others are not shown all of it. */
  adminEntryJson: string | null = null;
  /** It changed and the store has not heard of it. */
  isUnsaved = false;

  constructor(
    id: string,
    offline: Shown,
    remembered: Remembered | undefined,
    hiddenFrom: ReadonlyMap<string, Hidden> | null,
  ) {
    this.id = id;
    this.hiddenFrom = hiddenFrom;
    this.fold = offline;
    // Kept for its sessions alone: nobody has seen this user yet.
    const isSeen = remembered !== undefined && remembered.v > 0;
    this.since = isSeen ? remembered.since : null;
    this.lastSeen = remembered?.lastSeen ?? null;
    this.v = remembered?.v ?? 0;
    this.isStored = remembered !== undefined;
  }
}

/** `lastSeen` after a sign of life at `seenAt` (null: none since). Never later than now, though the clock may have been. */
export function latestSeen(lastSeen: number | null, seenAt: number | null, wallMs: number): number | null {
  if (seenAt === null) return lastSeen === null ? null : Math.min(lastSeen, wallMs);
  // A date that is still to come is from before the wall clock was set back: it is no later sign.
  const isFromAhead = lastSeen === null || lastSeen > wallMs;
  return Math.min(isFromAhead ? seenAt : Math.max(lastSeen, seenAt), wallMs);
}

/** The entry: what the outside sees. */
export function entryOf(user: User, offline: Shown): Entry {
  const { status, code, shownDevices, text } = shownOf(user.fold, offline);
  return {
    user: user.id,
    status,
    code,
    since: user.since,
    lastSeen: user.lastSeen,
    devices: [...shownDevices],
    ...(text === '' ? {} : { text }),
    v: user.v,
  };
}

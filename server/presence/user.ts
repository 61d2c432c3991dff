/**
 * A user as the hub holds it: its live sessions, their fold, and the entry that others see. Only `Presence`
 * and an erasure may write it. A user is held while it has a session, an audience, or unsaved changes.
 */
import type { Entry } from '../../shared/messages/entry.ts';
import type { Hidden } from './blocks.ts';
import { shownOf, type Fold, type Shown } from './fold.ts';
import type { Session } from './sessions/session.ts';

/** The watchers of a user. Fan-out owns them; they are kept here so that a change finds them without a lookup. */
export interface Audience {
  readonly isEmpty: boolean;
}

/** What is stored of a user. */
export interface Remembered {
  /** Valid only if `v` is above 0. */
  readonly since: number;
  readonly lastSeen: number | null;
  readonly v: number;
  /** Of a user that is present on another hub. Undefined: offline. */
  readonly fold?: Fold;
}

/** The fields that a snapshot reads come first, so that they share one cache line. */
export class User {
  readonly id: string;
  audience: Audience | null = null;
  /** The entry as JSON; null until it is needed, and again after a change. */
  entryJson: string | null = null;
  /** The blocked viewers and what each sees; null for nearly every user, who blocks nobody. */
  hiddenFrom: ReadonlyMap<string, Hidden> | null;
  /** Whether the store holds an entry of this user, perhaps an older one. */
  isStored: boolean;
  firstSession: Session | null = null;
  fold: Fold;
  since: number | null;
  lastSeen: number | null;
  v: number;
  /** When this user became visible, monotonic. Earlier heartbeats do not count for `lastSeen`. */
  visibleFromAt = 0;
  /** The last heartbeat of an ended session, monotonic; -1 if there is none. */
  endedSignAt = -1;
  /** Like `entryJson`, for an admin, if others may not see all of it. */
  adminEntryJson: string | null = null;
  /** Whether a change is not stored yet. */
  isUnsaved = false;

  constructor(
    id: string,
    offline: Shown,
    remembered: Remembered | undefined,
    hiddenFrom: ReadonlyMap<string, Hidden> | null,
  ) {
    this.id = id;
    this.hiddenFrom = hiddenFrom;
    this.fold = remembered?.fold ?? offline;
    // A user that is stored only for its sessions has never been seen.
    const isSeen = remembered !== undefined && remembered.v > 0;
    this.since = isSeen ? remembered.since : null;
    this.lastSeen = remembered?.lastSeen ?? null;
    this.v = remembered?.v ?? 0;
    this.isStored = remembered !== undefined;
  }
}

/** Makes the entry of a user without sessions that of a user who was never seen, but with this version. */
export function eraseEntry(user: User, v: number): void {
  user.since = null;
  user.lastSeen = null;
  user.v = v;
  user.visibleFromAt = 0;
  user.endedSignAt = -1;
  user.isStored = false;
  user.entryJson = null;
  user.adminEntryJson = null;
}

/** The entry that others see. */
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

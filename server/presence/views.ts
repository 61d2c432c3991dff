/**
 * The entry that a viewer sees of a user, as JSON: the full entry, the entry without what `HUB_LAST_SEEN` hides, or the
 * frozen entry of a block. Each form is made once per version, however many viewers see it. Pure except for that cache.
 */
import type { Entry } from '../../shared/messages/entry.ts';
import { frozenEntry, type Hidden } from './blocks.ts';
import { isVisible, type Shown } from './fold.ts';
import { entryOf, type User } from './user.ts';
import type { Viewer } from './viewer.ts';

export class Views {
  readonly #offline: Shown;
  readonly #hidesLastSeen: boolean;
  readonly #ensureStored: (user: User) => void;

  /** `ensureStored` runs before a user is shown that may not be stored. */
  constructor(offline: Shown, hidesLastSeen: boolean, ensureStored: (user: User) => void) {
    this.#offline = offline;
    this.#hidesLastSeen = hidesLastSeen;
    this.#ensureStored = ensureStored;
  }

  jsonFor(user: User, viewer: Viewer): string {
    const hidden = user.hiddenFrom === null ? undefined : hiddenOf(user, viewer);
    // A user that was never seen is not stored for its reader: that would reveal an invisible user by the time it takes.
    if (!user.isStored && (hidden ?? user).v > 0) this.#ensureStored(user);
    if (hidden !== undefined) return (hidden.json ??= this.#forMost(frozenEntry(user.id, hidden, this.#offline)));
    // The entry of a user that was never seen is not cached, because a connection may watch ten thousand unused names.
    if (user.v === 0) return JSON.stringify(entryOf(user, this.#offline));
    if (!this.#hidesLastSeen || !viewer.isAdmin)
      return (user.entryJson ??= this.#forMost(entryOf(user, this.#offline)));
    return (user.adminEntryJson ??= JSON.stringify(entryOf(user, this.#offline)));
  }

  /** Like `jsonFor`, for one read of very many users: keeps nothing that was not kept before. */
  jsonOnceFor(user: User, viewer: Viewer): string {
    const { entryJson, adminEntryJson } = user;
    const json = this.jsonFor(user, viewer);
    user.entryJson = entryJson;
    user.adminEntryJson = adminEntryJson;
    return json;
  }

  /**
   * The entry of a user that the viewer is shown as offline. It is made on each call, so that all such users cost the
   * same.
   */
  offlineJsonFor(user: User, viewer: Viewer): string {
    const shown = user.hiddenFrom === null ? user : (hiddenOf(user, viewer) ?? user);
    if (!user.isStored && shown.v > 0) this.#ensureStored(user);
    const entry = frozenEntry(user.id, shown, this.#offline);
    return this.#hidesLastSeen && viewer.isAdmin ? JSON.stringify(entry) : this.#forMost(entry);
  }

  /** Drops the cached JSON of what this viewer sees. */
  forget(user: User, viewer: Viewer): void {
    const hidden = user.hiddenFrom === null ? undefined : hiddenOf(user, viewer);
    if (hidden !== undefined) hidden.json = null;
    else user.entryJson = user.adminEntryJson = null;
  }

  isVisibleTo(user: User, viewer: Viewer): boolean {
    return isVisible(user.fold) && (user.hiddenFrom === null || hiddenOf(user, viewer) === undefined);
  }

  #forMost(entry: Entry): string {
    if (!this.#hidesLastSeen) return JSON.stringify(entry);
    // The `since` of an offline user would reveal when it left.
    return JSON.stringify({ ...entry, since: entry.status === 'offline' ? null : entry.since, lastSeen: null });
  }
}

/** Returns the version of the entry that this viewer sees. */
export function versionFor(user: User, viewer: Viewer): number {
  return (user.hiddenFrom === null ? undefined : hiddenOf(user, viewer))?.v ?? user.v;
}

function hiddenOf(user: User, viewer: Viewer): Hidden | undefined {
  return viewer.user === null ? undefined : user.hiddenFrom?.get(viewer.user);
}

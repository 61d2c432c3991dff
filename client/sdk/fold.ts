/**
 * Applies new entries to the entries of a watch. Pure. An entry that is not newer is dropped; a full snapshot replaces
 * everything. The old Map is never modified, and is returned if nothing changes.
 */
import type { Entry } from '../../shared/messages/entry.ts';

export type Entries = ReadonlyMap<string, Entry>;

/**
 * `newer`: an entry counts only if its version is larger. `these`: entries replace those of the same users. `whole`:
 * entries replace everything.
 */
export type FoldMode = 'newer' | 'these' | 'whole';

export interface Folded {
  readonly entries: Entries;
  readonly changed: readonly Entry[];
  readonly removed: readonly string[];
}

/** If nothing changes, `entries` is the old Map. */
export function fold(
  old: Entries,
  news: Iterable<Entry>,
  mode: FoldMode = 'newer',
  without: Iterable<string> = [],
): Folded {
  const entries = new Map(mode === 'whole' ? [] : old);
  const changed: Entry[] = [];
  for (const user of without) entries.delete(user);
  for (const entry of news) {
    const had = old.get(entry.user);
    if (had !== undefined && isKnown(entry, had, mode)) {
      entries.set(entry.user, had);
    } else {
      entries.set(entry.user, entry);
      changed.push(entry);
    }
  }
  const gone = mode === 'whole' ? old.keys() : without;
  const removed = [...gone].filter((user) => old.has(user) && !entries.has(user));
  return { entries: changed.length + removed.length > 0 ? entries : old, changed, removed };
}

/**
 * A version identifies an entry for one viewer. The token of another viewer may reveal a `lastSeen` that was hidden.
 */
function isKnown(entry: Entry, had: Entry, mode: FoldMode): boolean {
  return mode === 'newer' ? entry.v <= had.v : entry.v === had.v && entry.lastSeen === had.lastSeen;
}

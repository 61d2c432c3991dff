/**
 * What news make of the entries of a watch: pure. An entry that is not newer is dropped; a full snapshot replaces what there
 * was. The Map that was is never changed, and stays where nothing changes. Called by watched.
 */
import type { Entry } from '../../shared/entry.ts';

export type Entries = ReadonlyMap<string, Entry>;

/** `newer`: only what has a larger version counts. `these`: they replace their own. `whole`: they replace all. */
export type FoldMode = 'newer' | 'these' | 'whole';

export interface Folded {
  readonly entries: Entries;
  readonly changed: readonly Entry[];
  readonly removed: readonly string[];
}

/** Where nothing changes, `entries` is the Map that was. */
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

/** One version is one entry for one viewer; a token of another viewer may show `lastSeen` where it was hidden. */
function isKnown(entry: Entry, had: Entry, mode: FoldMode): boolean {
  return mode === 'newer' ? entry.v <= had.v : entry.v === had.v && entry.lastSeen === had.lastSeen;
}

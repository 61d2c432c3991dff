/** From an entry as the outside sees it to an entry as it is stored. */
import type { Entry } from '../../shared/entry.ts';
import type { StoredEntry } from './port.ts';

/** Only a user who was seen is stored, and such a one has a `since`. */
export function storedEntryOf(entry: Entry): StoredEntry {
  const { user, status, code, since, lastSeen, devices, text, v } = entry;
  return { user, status, code, since: since ?? 0, lastSeen, devices, text: text ?? null, v };
}

/** From an entry as the outside sees it, and the sessions behind it, to an entry as it is stored. */
import type { Entry } from '../../shared/entry.ts';
import type { StoredEntry, StoredSession } from './port.ts';

/** A user who was never seen has no `since`; with its version of 0 the stored one counts for nothing. */
export function storedEntryOf(entry: Entry, sessions: readonly StoredSession[]): StoredEntry {
  const { user, status, code, since, lastSeen, devices, text, v } = entry;
  return { user, status, code, since: since ?? 0, lastSeen, devices, text: text ?? null, v, sessions };
}

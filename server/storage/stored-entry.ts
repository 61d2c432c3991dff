/** Converts an entry, with the sessions behind it, to its stored form. */
import type { Entry } from '../../shared/messages/entry.ts';
import type { StoredEntry, StoredSession } from './port.ts';

/** A user that was never seen has no `since`. The stored one is ignored because of the version 0. */
export function storedEntryOf(entry: Entry, sessions: readonly StoredSession[]): StoredEntry {
  const { user, status, code, since, lastSeen, devices, text, v } = entry;
  return { user, status, code, since: since ?? 0, lastSeen, devices, text: text ?? null, v, sessions };
}

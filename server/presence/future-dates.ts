/**
 * Corrects dates in the future, which were taken before the wall clock was set back. They become now, with a new
 * version, because the entry changes. Nobody is notified, because no status changes. Pure.
 */
import type { VersionClock } from './version-clock.ts';
import type { Remembered, User } from './user.ts';

/** Returns the remembered values without dates in the future; the same object if there are none. */
export function datedBy<T extends Remembered>(remembered: T, wallMs: number, clock: VersionClock): T {
  const { since, lastSeen, v } = remembered;
  if (v === 0 || (since <= wallMs && (lastSeen ?? 0) <= wallMs)) return remembered;
  const dates = { since: Math.min(since, wallMs), lastSeen: lastSeen === null ? null : Math.min(lastSeen, wallMs) };
  return { ...remembered, ...dates, v: clock.versionAfter(v, wallMs) };
}

/** Corrects all users after the wall clock was set back. `onCorrected` must have the user stored. */
export function correctDates(
  users: Iterable<User>,
  wallMs: number,
  clock: VersionClock,
  onCorrected: (user: User) => void,
): void {
  for (const user of users) {
    const { since, lastSeen, v } = user;
    if (since === null) continue;
    const before = { since, lastSeen, v };
    const corrected = datedBy(before, wallMs, clock);
    if (corrected === before) continue;
    user.since = corrected.since;
    user.lastSeen = corrected.lastSeen;
    user.v = corrected.v;
    user.entryJson = null;
    user.adminEntryJson = null;
    onCorrected(user);
  }
}

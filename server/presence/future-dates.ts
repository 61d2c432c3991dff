/**
 * Dates that lie in the future: taken while the wall clock was ahead, which has been set back since. They are brought back
 * to now, under a version of their own, since an entry changes with them. Nobody is told: no status changed. Pure.
 */
import type { VersionClock } from './version-clock.ts';
import type { Remembered, User } from './user.ts';

/** The same where nothing of it lies in the future. */
export function datedBy<T extends Remembered>(remembered: T, wallMs: number, clock: VersionClock): T {
  const { since, lastSeen, v } = remembered;
  if (v === 0 || (since <= wallMs && (lastSeen ?? 0) <= wallMs)) return remembered;
  const dates = { since: Math.min(since, wallMs), lastSeen: lastSeen === null ? null : Math.min(lastSeen, wallMs) };
  return { ...remembered, ...dates, v: clock.versionAfter(v, wallMs) };
}

/** The wall clock was set back. `onCorrected`: the user is to be stored. */
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

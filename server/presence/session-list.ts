/**
 * The sessions of one user: a list through their `next` fields, since most users have one and a million lists would
 * weigh. Adds, removes and finds; what a session means is the core's business.
 */
import type { AdapterName, Session } from './session.ts';
import type { User } from './user.ts';

export function addToUser(session: Session): void {
  session.next = session.user.firstSession;
  session.user.firstSession = session;
}

export function removeFromUser(session: Session): void {
  const { user } = session;
  if (user.firstSession === session) {
    user.firstSession = session.next;
  } else {
    let before = user.firstSession;
    while (before !== null && before.next !== session) before = before.next;
    if (before !== null) before.next = session.next;
  }
  session.next = null;
}

/** The session of a source without a connection, live or restored. */
export function findSession(user: User, device: string, adapter: AdapterName): Session | undefined {
  for (let s = user.firstSession; s !== null; s = s.next) {
    if (s.adapter === adapter && s.device === device && s.phase !== 'grace') return s;
  }
  return undefined;
}

/** How many sessions the user would have with one more of that device and status, which may take the place of another. */
export function countWith(
  user: User,
  device: string,
  status: Session['status'],
): { readonly count: number; readonly replaces: boolean } {
  const replaces = lastWaiting(user, device, status) !== undefined;
  let count = replaces ? 0 : 1;
  for (let s = user.firstSession; s !== null; s = s.next) count++;
  return { count, replaces };
}

/** Whether the user has a session on that adapter, in whatever phase. */
export function isOn(user: User, adapter: AdapterName): boolean {
  for (let s = user.firstSession; s !== null; s = s.next) if (s.adapter === adapter) return true;
  return false;
}

/** The session of that number. */
export function sessionOfNo(user: User, no: number): Session | undefined {
  for (let s = user.firstSession; s !== null; s = s.next) if (s.no === no) return s;
  return undefined;
}

/** The last sign of life of any session, those that have ended included; monotonic milliseconds. */
export function lastSignOf(user: User): number {
  let signAt = user.endedSignAt;
  for (let s = user.firstSession; s !== null; s = s.next) signAt = Math.max(signAt, s.lastSignAt);
  return signAt;
}

/**
 * Of several that wait to come back, the one that waits longest: most likely the one that is coming. Restored ones wait
 * alike: there the one with the status that is said now, so that no other, hiding its user, gives its place away.
 */
export function lastWaiting(user: User, device: string, status?: Session['status']): Session | undefined {
  let found: Session | undefined;
  for (let s = user.firstSession; s !== null; s = s.next) {
    if (s.phase === 'live' || s.device !== device) continue;
    if (found === undefined || isLikelier(s, found, status)) found = s;
  }
  return found;
}

function isLikelier(candidate: Session, found: Session, status: Session['status'] | undefined): boolean {
  if (candidate.phase === 'restored' && found.phase === 'restored' && candidate.status !== found.status) {
    if (candidate.status === status) return true;
    if (found.status === status) return false;
  }
  return candidate.waitEndsAt > found.waitEndsAt;
}

/**
 * A restored session that hides its user goes on hiding it as long as others are only restored, too: a user who was
 * shown offline is not shown otherwise until a message of its own says so.
 */
export function endOf(session: Session): number {
  if (session.phase !== 'restored' || session.status !== 'invisible') return session.endsAt;
  let endsAt = session.endsAt;
  for (let s = session.user.firstSession; s !== null; s = s.next) {
    if (s.phase === 'restored') endsAt = Math.max(endsAt, s.endsAt);
  }
  return endsAt;
}

/**
 * The sessions of one user: a list linked through their `next` fields, because most users have one session and a
 * million arrays would take much memory. Adds, removes and finds sessions, but does not interpret them; the core does.
 */
import type { AdapterName, Session } from './session.ts';
import type { User } from '../user.ts';

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

/** Returns the session of a source without a connection, live or restored. */
export function findSession(user: User, device: string, adapter: AdapterName): Session | undefined {
  for (let s = user.firstSession; s !== null; s = s.next) {
    if (s.adapter === adapter && s.device === device && s.phase !== 'grace') return s;
  }
  return undefined;
}

/**
 * Returns how many sessions the user would have with one more of that device and status. The new one may replace
 * another.
 */
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

/** Whether the user has a session on that adapter, in any phase. */
export function isOn(user: User, adapter: AdapterName): boolean {
  for (let s = user.firstSession; s !== null; s = s.next) if (s.adapter === adapter) return true;
  return false;
}

/** All sessions of a user in the order in which they began. They may end while the list is used. */
export function sessionsOf({ firstSession }: User): Session[] {
  const sessions: Session[] = [];
  for (let s = firstSession; s !== null; s = s.next) sessions.push(s);
  return sessions.sort((a, b) => a.no - b.no);
}

export function sessionOfNo(user: User, no: number): Session | undefined {
  for (let s = user.firstSession; s !== null; s = s.next) if (s.no === no) return s;
  return undefined;
}

/** Returns the last heartbeat of all sessions, including ended ones, on the monotonic clock. */
export function lastSignOf(user: User): number {
  let signAt = user.endedSignAt;
  for (let s = user.firstSession; s !== null; s = s.next) signAt = Math.max(signAt, s.lastSignAt);
  return signAt;
}

/**
 * Returns the session that waits longest among those that wait to come back, because it is most likely the one that
 * returns. Restored sessions all wait equally long. Among them, one with the status of the new session is preferred, so
 * that a session that hides its user is not replaced by mistake.
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
 * Returns when a session ends. A restored session that hides its user lives as long as the user's other sessions are
 * all restored too: a user that was shown offline stays so until one of its own messages changes that.
 */
export function endOf(session: Session): number {
  if (session.phase !== 'restored' || session.status !== 'invisible') return session.endsAt;
  let endsAt = session.endsAt;
  for (let s = session.user.firstSession; s !== null; s = s.next) {
    if (s.phase === 'restored') endsAt = Math.max(endsAt, s.endsAt);
  }
  return endsAt;
}

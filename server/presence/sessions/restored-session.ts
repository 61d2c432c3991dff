/**
 * Sessions across a restart of the hub: the stored form and its restoration. Stored instants are on the wall clock,
 * because the forward clock restarts.
 */
import type { Moment } from '../../lib/time/clock.ts';
import type { Stalls } from '../../lib/time/stall-clock.ts';
import { adapters, Session, type AdapterName, type SessionOwner } from './session.ts';
import type { User } from '../user.ts';

/** A session that was live when the previous run ended. Instants are on the wall clock. */
export interface RestoredSession extends Pick<
  Session,
  'device' | 'status' | 'code' | 'text' | 'statusSetNo' | 'textSetNo' | 'startedAt'
> {
  readonly adapter: string;
  readonly lastSignAt: number;
  readonly leaseEndsAt: number;
}

/** A restored session has no source yet, so nobody needs to know of its end. */
const nobody: SessionOwner = { lapsed: () => undefined };

/**
 * Restores a stored session, which then waits for its user and device; undefined if no adapter of this hub can bring
 * them back.
 */
export function restoreSession(
  user: User,
  from: RestoredSession,
  no: number,
  warmMs: number,
  now: Moment,
): Session | undefined {
  const { adapter, device, status, code, text } = from;
  if (!isAdapterName(adapter)) return undefined;
  const claim = { user: user.id, device, adapter, status, code, text, leaseMs: warmMs, address: '', owner: nobody };
  // A sign of life from before the wall clock was set back counts as one from now, as do the dates of its user.
  const signAt = now.monoMs - Math.max(0, now.wallMs - from.lastSignAt);
  const session = new Session(user, claim, no, 0, signAt, 0);
  session.statusSetNo = from.statusSetNo;
  session.textSetNo = from.textSetNo;
  session.earlierStartAt = from.startedAt;
  session.phase = 'restored';
  // Only HTTP clients state the length of their lease themselves. The maximum is taken because the wall clock may have
  // been set back.
  const restMs = adapter === 'http' ? from.leaseEndsAt - Math.max(from.lastSignAt, now.wallMs) : 0;
  session.waitEndsAt = now.monoMs + Math.max(warmMs, restMs);
  return session;
}

/** Returns the sessions of a user as the next run may restore them. */
export function storableSessions(user: User, stalls: Stalls, now: Moment): RestoredSession[] {
  const sessions: RestoredSession[] = [];
  for (let s = user.firstSession; s !== null; s = s.next) {
    // The heartbeat of a session that has since ended still counts for the user. It is stored with the first session.
    const signAt = s === user.firstSession ? Math.max(s.lastSignAt, user.endedSignAt) : s.lastSignAt;
    sessions.push(storableSession(s, stalls.wallOf(signAt, now), now));
  }
  return sessions;
}

/** `lastSignAt` is on the wall clock. */
function storableSession(session: Session, lastSignAt: number, now: Moment): RestoredSession {
  const { adapter, device, status, code, text, statusSetNo, textSetNo, startedAt } = session;
  const leaseEndsAt = now.wallMs + (session.endsAt - now.monoMs);
  return { adapter, device, status, code, text, statusSetNo, textSetNo, startedAt, lastSignAt, leaseEndsAt };
}

function isAdapterName(name: string): name is AdapterName {
  return (adapters as readonly string[]).includes(name);
}

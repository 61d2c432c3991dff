/**
 * Sessions across a restart of the hub: the form that is stored, and the way back. Their instants are on the wall clock,
 * since the forward clock starts anew.
 */
import type { Moment } from '../lib/clock.ts';
import { adapters, Session, type AdapterName, type SessionOwner } from './session.ts';
import type { User } from './user.ts';

/** A session that was live when the last run of the hub ended. Instants are on the wall clock. */
export interface RestoredSession extends Pick<
  Session,
  'device' | 'status' | 'code' | 'text' | 'statusSetNo' | 'textSetNo' | 'startedAt'
> {
  readonly adapter: string;
  readonly lastSignAt: number;
  readonly leaseEndsAt: number;
}

/** It has no source yet that would want to hear of its end. */
const nobody: SessionOwner = { lapsed: () => undefined };

/** A stored session as it waits for its user and device; undefined where no adapter of this hub can bring them back. */
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
  const session = new Session(user, claim, no, 0, now.monoMs - (now.wallMs - from.lastSignAt), 0);
  session.statusSetNo = from.statusSetNo;
  session.textSetNo = from.textSetNo;
  session.earlierStartAt = from.startedAt;
  session.phase = 'restored';
  // Only over HTTP did the client itself say how long it is good for. The wall clock may have been set back since.
  const restMs = adapter === 'http' ? from.leaseEndsAt - Math.max(from.lastSignAt, now.wallMs) : 0;
  session.waitEndsAt = now.monoMs + Math.max(warmMs, restMs);
  return session;
}

/** A session as it is stored. `lastSignAt`: on the wall clock. */
export function storableSession(session: Session, lastSignAt: number, now: Moment): RestoredSession {
  const { adapter, device, status, code, text, statusSetNo, textSetNo, startedAt } = session;
  const leaseEndsAt = now.wallMs + (session.endsAt - now.monoMs);
  return { adapter, device, status, code, text, statusSetNo, textSetNo, startedAt, lastSignAt, leaseEndsAt };
}

function isAdapterName(name: string): name is AdapterName {
  return (adapters as readonly string[]).includes(name);
}

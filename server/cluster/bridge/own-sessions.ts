/** What this hub tells other nodes of a user: its sessions here, with ages instead of instants. Pure. */
import type { Moment } from '../../lib/time/clock.ts';
import { isVisible } from '../../presence/fold.ts';
import { STAMPS_A_MS } from '../../presence/presence.ts';
import { lastSignOf } from '../../presence/sessions/session-list.ts';
import type { User } from '../../presence/user.ts';
import type { OwnSession } from '../record/next-record.ts';

export interface OwnPart {
  readonly sessions: OwnSession[];
  readonly signAgeMs: number | null;
}

export function ownPart(user: User, now: Moment): OwnPart {
  const sessions: OwnSession[] = [];
  const ageOf = (setNo: number): number => Math.max(0, Math.round(now.wallMs - setNo / STAMPS_A_MS));
  let isVisibleHere = false;
  for (let s = user.firstSession; s !== null; s = s.next) {
    if (s.status !== 'invisible') isVisibleHere = true;
    sessions.push({
      k: keyOf(s.no),
      a: s.adapter,
      d: s.device,
      s: s.status,
      c: s.code,
      x: s.text,
      i: s.statusSetNo,
      j: s.textSetNo,
      l: s.leaseMs,
      statusAgeMs: ageOf(s.statusSetNo),
      textAgeMs: s.textSetNo === 0 ? null : ageOf(s.textSetNo),
      startAgeMs: Math.max(0, now.wallMs - s.connectedAt),
    });
  }
  const signAt = lastSignOf(user);
  // Heartbeats of a user that was not visible are nobody's business.
  const counts = (isVisibleHere || isVisible(user.fold)) && signAt >= user.visibleFromAt && signAt >= 0;
  return { sessions, signAgeMs: counts ? Math.max(0, now.monoMs - signAt) : null };
}

/** The key of a session in a record: its number. */
export function keyOf(no: number): string {
  return no.toString(36);
}

export function noOf(key: string): number {
  return Number.parseInt(key, 36);
}

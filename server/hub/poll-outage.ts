/**
 * Polled users that the hub cannot poll because its own network or resolver fails. Watchers that are shown such a user
 * are sent `stale`, until the hub can poll again or the session is gone.
 */
import type { PollOutage } from '../adapters/poll/polled.ts';
import type { Clock } from '../lib/time/clock.ts';
import type { Stalls } from '../lib/time/stall-clock.ts';
import type { Session } from '../presence/sessions/session.ts';
import type { User } from '../presence/user.ts';
import type { Users } from '../presence/users.ts';
import type { Viewer } from '../presence/viewer.ts';
import type { Reason, Staleness } from '../staleness.ts';

interface PollOutageOptions {
  readonly users: Pick<Users, 'isShownOn'>;
  readonly staleness: Pick<Staleness, 'beginAbout' | 'endAbout'>;
  readonly clock: Clock;
  readonly stalls: Stalls;
}

export function createPollOutage({ users, staleness, clock, stalls }: PollOutageOptions): PollOutage {
  const sessions = new Set<Session>();
  const isInOutage = (user: User): boolean => {
    for (let s = user.firstSession; s !== null; s = s.next) if (sessions.has(s)) return true;
    return false;
  };
  let current: (Reason & { since: number }) | undefined;
  /** One reason covers all sessions, because every answer checks each reason. */
  const createReason = (): Reason & { since: number } => {
    const reason = {
      since: Infinity,
      isAbout: (user: User, viewer: Viewer) => users.isShownOn(user, viewer, 'poll') && isInOutage(user),
      isOver: () => current !== reason,
    };
    return reason;
  };
  return {
    began(session) {
      sessions.add(session);
      current ??= createReason();
      current.since = Math.min(current.since, stalls.wallOf(session.lastSignAt, clock.now()));
      staleness.beginAbout(current, session.user);
    },
    ended(session) {
      sessions.delete(session);
      if (sessions.size > 0) staleness.endAbout(session.user);
      else current = undefined;
    },
  };
}

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
  /** Records since when a user is in doubt, or until when it was. */
  readonly record: (user: string, since: number, until: number | null) => void;
}

export function createPollOutage({ users, staleness, clock, stalls, record }: PollOutageOptions): PollOutage {
  /** With the moment since which each is in doubt. */
  const sessions = new Map<Session, number>();
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
      const since = stalls.wallOf(session.lastSignAt, clock.now());
      if (!sessions.has(session)) {
        sessions.set(session, since);
        if (session.status !== 'invisible') record(session.user.id, since, null);
      }
      current ??= createReason();
      current.since = Math.min(current.since, since);
      staleness.beginAbout(current, session.user);
    },
    ended(session) {
      const since = sessions.get(session);
      sessions.delete(session);
      if (since !== undefined && session.status !== 'invisible') record(session.user.id, since, clock.now().wallMs);
      if (sessions.size > 0) staleness.endAbout(session.user);
      else current = undefined;
    },
  };
}

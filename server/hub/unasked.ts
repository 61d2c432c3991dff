/**
 * The polled users whom the hub cannot ask, because its own network or resolver fails: those who are shown them are told
 * `stale` until every one of them can be asked again, or is gone. Part of hub.ts.
 */
import type { Unasked } from '../adapters/poll/polled.ts';
import type { Clock } from '../lib/clock.ts';
import type { Stalls } from '../lib/stall-clock.ts';
import type { Presence } from '../presence/presence.ts';
import type { Session } from '../presence/session.ts';
import type { User } from '../presence/user.ts';
import type { Viewer } from '../presence/viewer.ts';
import type { Reason, Staleness } from './staleness.ts';

interface UnaskedOptions {
  readonly presence: Pick<Presence, 'isShownOn'>;
  readonly staleness: Pick<Staleness, 'begin' | 'changed'>;
  readonly clock: Clock;
  readonly stalls: Stalls;
}

export function createUnasked({ presence, staleness, clock, stalls }: UnaskedOptions): Unasked {
  const sessions = new Set<Session>();
  let reason: (Reason & { since: number }) | undefined;
  const isUnasked = (user: User): boolean => {
    for (let s = user.firstSession; s !== null; s = s.next) if (sessions.has(s)) return true;
    return false;
  };
  const beginReason = (since: number): void => {
    const made = {
      since,
      isAbout: (user: User, viewer: Viewer) => presence.isShownOn(user, viewer, 'poll') && isUnasked(user),
      isOver: () => reason !== made,
    };
    reason = made;
    staleness.begin(made);
  };
  return {
    began(session) {
      sessions.add(session);
      const heardAt = stalls.wallOf(session.lastSignAt, clock.now());
      if (reason === undefined) {
        beginReason(heardAt);
        return;
      }
      reason.since = Math.min(reason.since, heardAt);
      staleness.changed();
    },
    ended(session) {
      sessions.delete(session);
      if (sessions.size > 0) staleness.changed();
      else reason = undefined;
    },
  };
}

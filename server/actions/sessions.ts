/**
 * Actions of an admin on sessions: explains why a user is shown as it is, and kicks a session. Gives sessions their
 * ids. Searches the journal in bites, so that other work runs between them.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Explanation } from '../../shared/messages/explain.ts';
import { MAX_TRANSITIONS } from '../../shared/limits.ts';
import type { Intake } from '../intake.ts';
import type { Clock } from '../lib/time/clock.ts';
import type { Stalls } from '../lib/time/stall-clock.ts';
import { explainUser } from '../presence/explain/explain.ts';
import type { Journal } from '../presence/explain/journal.ts';
import type { Presence } from '../presence/presence.ts';
import { sessionOfNo } from '../presence/sessions/session-list.ts';
import type { SessionIds } from '../presence/sessions/session-id.ts';

export interface SessionActions {
  readonly explain: (user: string) => Promise<Explanation>;
  /** Ends a session of the user at once. @returns false if there is no such session. */
  readonly kick: (user: string, sessionId: string) => boolean;
}

interface SessionsDeskOptions {
  readonly sessionIds: SessionIds;
  readonly clock: Clock;
  readonly stalls: Stalls;
  readonly presence: Presence;
  readonly intake: Intake;
  readonly journal: Journal;
}

/** Transitions searched per loop turn: 0.1 ms, or 1.5 ms before the code is compiled. */
const BITE = 16_384;

export function buildSessionActions(options: SessionsDeskOptions): SessionActions {
  const { sessionIds, clock, stalls, presence, intake, journal } = options;
  const idOf = (no: number): string => sessionIds.of(no);
  return {
    explain: async (id) => {
      const now = clock.now();
      const user = presence.peek(id);
      const explained = explainUser(user, {
        idOf,
        entry: presence.entryOf(user),
        wallOf: (monoMs) => stalls.wallOf(monoMs, now),
      });
      const search = journal.search(id, MAX_TRANSITIONS);
      while (journal.lookBack(search, BITE)) await nextTurn();
      return {
        at: now.wallMs,
        ...explained,
        transitions: search.found.map(({ session, ...noted }) => ({ ...noted, session: idOf(session) })),
        transitionsSince: journal.since,
      };
    },
    kick: (user, sessionId) => {
      const no = sessionIds.noOf(sessionId);
      const held = presence.find(user);
      const session = no === undefined || held === undefined ? undefined : sessionOfNo(held, no);
      if (session === undefined) return false;
      intake.kick(session);
      return true;
    },
  };
}

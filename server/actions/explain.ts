/**
 * Explains for an admin why a user is shown as it is. Searches the journal in small steps, so that other work runs
 * between them.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Explanation } from '../../shared/messages/explain.ts';
import { MAX_TRANSITIONS } from '../../shared/limits.ts';
import type { Clock } from '../lib/time/clock.ts';
import type { Stalls } from '../lib/time/stall-clock.ts';
import { explainUser } from '../presence/explain/explain.ts';
import type { Journal } from '../presence/explain/journal.ts';
import type { SessionIds } from '../presence/sessions/session-id.ts';
import type { Users } from '../presence/users.ts';

export interface ExplainOptions {
  readonly sessionIds: SessionIds;
  readonly clock: Clock;
  readonly stalls: Stalls;
  readonly users: Users;
  readonly journal: Journal;
}

/** Transitions searched per loop turn: 0.1 ms, or 1.5 ms before the code is compiled. */
const SEARCHED_A_TURN = 16_384;

export async function explain(
  { sessionIds, clock, stalls, users, journal }: ExplainOptions,
  id: string,
): Promise<Explanation> {
  const now = clock.now();
  const user = users.peek(id);
  const idOf = (no: number): string => sessionIds.of(no);
  const explained = explainUser(user, {
    idOf,
    entry: users.entryOf(user),
    wallOf: (monoMs) => stalls.wallOf(monoMs, now),
  });
  const search = journal.search(id, MAX_TRANSITIONS);
  while (journal.lookBack(search, SEARCHED_A_TURN)) await nextTurn();
  return {
    at: now.wallMs,
    ...explained,
    transitions: search.found.map(({ session, ...noted }) => ({ ...noted, session: idOf(session) })),
    transitionsSince: journal.since,
  };
}

/** Builds the history, and reports to it which times are uncertain. The history itself decides what that means. */
import { History } from '../history/history.ts';
import { Recorder } from '../history/recorder.ts';
import type { TurnBudget } from '../lib/time/turn-budget.ts';
import type { Doubt } from '../presence/change.ts';
import type { Users } from '../presence/users.ts';
import type { HubContext } from './context.ts';
import type { Storage } from './storage/open-storage.ts';

export interface HistoryParts {
  readonly recorder: Recorder;
  readonly history: History;
}

/** Returns null if history is off. A hub of a cluster knows only a part of each history, so it keeps none. */
export function buildHistory(
  context: HubContext,
  { historyStore: store, health }: Storage,
  users: Users,
  turns: TurnBudget,
): HistoryParts | null {
  const { config, clock, onStop } = context;
  if (config.historyDays === 0 || config.redisUrl !== null) return null;
  const onHealth = (error: unknown): void => {
    health.report('history', error);
  };
  const recorder = new Recorder({ store, clock, onHealth });
  const history = new History({ store, recorder, users, turns, clock, days: config.historyDays, onHealth });
  onStop(() => {
    history.stop();
    recorder.stop();
  });
  return { recorder, history };
}

const USERS_AT_ONCE = 500;

/**
 * Records that everybody who is shown with a session on the doubted adapter is uncertain until the hold ends. In small
 * steps, because that may be a million users.
 */
export async function recordDoubt(
  { clock }: HubContext,
  { recorder }: HistoryParts,
  users: Users,
  turns: TurnBudget,
  { adapter, since, heldUntil }: Doubt,
): Promise<void> {
  const { wallMs, monoMs } = clock.now();
  const to = wallMs + Math.max(0, heldUntil - monoMs);
  const everything = { user: null, isAdmin: true, follower: null, mayObserve: true };
  let some: string[] = [];
  let looked = 0;
  for (const user of users.held()) {
    if (users.isShownOn(user, everything, adapter)) some.push(user.id);
    if (++looked % USERS_AT_ONCE !== 0) continue;
    recorder.doubtUsers(some, since, to);
    some = [];
    await turns.take(USERS_AT_ONCE);
  }
  recorder.doubtUsers(some, since, to);
}

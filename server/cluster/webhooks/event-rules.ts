/** Turns a change into steps on the waiting events of each rule. The engine takes them together with the change. Pure. */
import { shownCause } from '../../presence/shown-cause.ts';
import type { Rule } from '../../webhooks/rules.ts';
import { decodeOrigin } from '../bridge/origins.ts';
import type { EventStep } from '../engine.ts';
import type { RecordChange } from '../node-events.ts';

/** `mostInBucket`: maximum waiting events of a rule in one bucket. */
export function stepsOf(
  rules: readonly Rule[],
  { user, from, to, origin, isLost }: RecordChange,
  mostInBucket: number,
): readonly EventStep[] {
  const steps: EventStep[] = [];
  for (const { name, includesUser, on, events, afterMs } of rules) {
    const isWanted = events === 'all' || from !== to || isLost;
    if (!isWanted || !includesUser(user)) continue;
    if (!on.has(to)) {
      steps.push({ rule: name, event: null });
      continue;
    }
    const cause = isLost && from === to ? 'restored' : shownCause(decodeOrigin(origin).cause, from, to);
    const event = { from, status: to, cause, afterMs, most: mostInBucket, isNews: isLost };
    steps.push({ rule: name, event });
  }
  return steps;
}

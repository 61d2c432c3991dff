/**
 * When to come back to a hub, out of how the connection ended: full jitter, so that many clients of one hub do not come
 * back as one; slower where the hub says that it has no room; not at all where it would only send the client away again.
 * Pure. Called by whatever keeps a connection.
 */
import { closeCodes } from '../../shared/reasons.ts';

const FIRST_MS = 500;
const LONGEST_MS = 30_000;
const FIRST_SLOW_MS = 5_000;
const LONGEST_SLOW_MS = 120_000;

/** `attempt` counts from 0; `random` is in [0, 1). */
export function fullJitterMs(attempt: number, random: () => number = Math.random): number {
  return Math.floor(random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 20)));
}

/** Never at once: between half and all of a wait that begins ten times as long. */
export function slowJitterMs(attempt: number, random: () => number = Math.random): number {
  const longestMs = Math.min(LONGEST_SLOW_MS, FIRST_SLOW_MS * 2 ** Math.min(attempt, 20));
  return Math.floor(((1 + random()) / 2) * longestMs);
}

/** `renewed`: with another token, or not at all. */
export type ComeBack = 'soon' | 'slowly' | 'renewed' | 'never';

const comeBacks: ReadonlyMap<number, ComeBack> = new Map([
  [closeCodes.policy.code, 'never'],
  [closeCodes.badMessages.code, 'never'],
  [closeCodes.forbidden.code, 'never'],
  [closeCodes.unauthenticated.code, 'renewed'],
  [closeCodes.overloaded.code, 'slowly'],
  [closeCodes.rateLimited.code, 'slowly'],
]);

export function comeBackAfter(closeCode: number): ComeBack {
  return comeBacks.get(closeCode) ?? 'soon';
}

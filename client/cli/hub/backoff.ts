/**
 * When to reconnect after a connection has ended: with full jitter, so that the clients of one hub do not return
 * together; more slowly if the hub is full; never if the hub would refuse again. Pure.
 */
import { closeCodes } from '../../../shared/reasons.ts';

const FIRST_MS = 500;
const LONGEST_MS = 30_000;
const FIRST_SLOW_MS = 5_000;
const LONGEST_SLOW_MS = 120_000;

/** `attempt` counts from 0; `random` is in [0, 1). */
export function fullJitterMs(attempt: number, random: () => number = Math.random): number {
  return Math.floor(random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 20)));
}

/** Never immediate: between half and all of a delay that starts ten times as long. */
export function slowJitterMs(attempt: number, random: () => number = Math.random): number {
  const longestMs = Math.min(LONGEST_SLOW_MS, FIRST_SLOW_MS * 2 ** Math.min(attempt, 20));
  return Math.floor(((1 + random()) / 2) * longestMs);
}

/** `renewed`: only with another token. */
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

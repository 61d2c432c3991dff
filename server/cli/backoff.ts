/** How long to wait before the next try: full jitter, so that many clients of one hub do not come back as one. */

const FIRST_MS = 500;
const LONGEST_MS = 30_000;

/** `attempt` counts from 0; `random` is in [0, 1). */
export function fullJitterMs(attempt: number, random: () => number = Math.random): number {
  return Math.floor(random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 20)));
}

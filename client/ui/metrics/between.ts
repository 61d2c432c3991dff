/**
 * Computes rates and quantiles from two scrapes. A counter that decreased was reset by a restart of the hub, so its new
 * value is all that is known of the interval. Pure.
 */
import type { Buckets } from './reading.ts';

function increase(before: number, now: number): number {
  return now >= before ? now - before : now;
}

/** Returns the rate per second; null if no time has passed. */
export function rate(before: number, now: number, elapsedMs: number): number | null {
  return elapsedMs > 0 ? (increase(before, now) * 1000) / elapsedMs : null;
}

/** Returns what was observed between two states of a histogram. All counts are cumulative. */
export function observedBetween(before: Buckets, now: Buckets): Buckets {
  const earlier = new Map(before);
  const isRestarted = now.some(([bound, count]) => count < (earlier.get(bound) ?? 0));
  return now.map(([bound, count]) => [bound, isRestarted ? count : count - (earlier.get(bound) ?? 0)]);
}

/**
 * Returns the value below which this part of the observations lies, interpolated linearly within its bucket; null if
 * nothing was observed. Beyond the last finite bound, returns that bound.
 */
export function quantile(part: number, buckets: Buckets): number | null {
  const total = buckets.at(-1)?.[1] ?? 0;
  if (total === 0) return null;
  const rank = part * total;
  let [lowerBound, below] = [0, 0];
  for (const [bound, count] of buckets) {
    if (count >= rank && count > below) {
      if (bound === Infinity) return lowerBound;
      return lowerBound + ((bound - lowerBound) * (rank - below)) / (count - below);
    }
    [lowerBound, below] = [bound, count];
  }
  return lowerBound;
}

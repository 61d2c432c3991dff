/**
 * What two scrapes say together: rates, and quantiles of what was observed between them. A counter that went back was
 * started anew with its hub: what it shows is then all that is known of the time between. Pure. Called by measures.
 */
import type { Buckets } from './reading.ts';

/** How much a counter grew. */
export function increase(before: number, now: number): number {
  return now >= before ? now - before : now;
}

/** Per second; null where no time has passed. */
export function rate(before: number, now: number, elapsedMs: number): number | null {
  return elapsedMs > 0 ? (increase(before, now) * 1000) / elapsedMs : null;
}

/** What was observed between two states of a histogram, cumulative as they are. */
export function observedBetween(before: Buckets, now: Buckets): Buckets {
  const earlier = new Map(before);
  const isRestarted = now.some(([bound, count]) => count < (earlier.get(bound) ?? 0));
  return now.map(([bound, count]) => [bound, isRestarted ? count : count - (earlier.get(bound) ?? 0)]);
}

/**
 * The value below which this part of the observations lies, by a straight line within its bucket; null where nothing was
 * observed. Beyond the last finite bound nobody knows more than that bound.
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

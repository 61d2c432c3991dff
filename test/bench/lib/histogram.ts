/**
 * Durations counted in buckets that grow with their size (64 to a doubling, so a percentile is at most 1.6% too large):
 * bounded memory for runs of any length, and plain numbers that pass between processes.
 */
const STEPS_A_DOUBLING = 64;
const SMALLEST_MS = 0.001;

export interface Counts {
  readonly buckets: Readonly<Record<string, number>>;
  readonly count: number;
  readonly maxMs: number;
}

export class Histogram {
  readonly #buckets = new Map<number, number>();
  #count = 0;
  #maxMs = 0;

  add(ms: number): void {
    const bucket = Math.max(0, Math.ceil(Math.log2(ms / SMALLEST_MS) * STEPS_A_DOUBLING));
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + 1);
    this.#count += 1;
    this.#maxMs = Math.max(this.#maxMs, ms);
  }

  merge(other: Counts): void {
    for (const [bucket, count] of Object.entries(other.buckets)) {
      this.#buckets.set(Number(bucket), (this.#buckets.get(Number(bucket)) ?? 0) + count);
    }
    this.#count += other.count;
    this.#maxMs = Math.max(this.#maxMs, other.maxMs);
  }

  get counts(): Counts {
    return { buckets: Object.fromEntries(this.#buckets), count: this.#count, maxMs: this.#maxMs };
  }

  get count(): number {
    return this.#count;
  }

  get maxMs(): number {
    return this.#maxMs;
  }

  /** The duration that a `share` (0 to 1) of all do not exceed; NaN if there are none. */
  percentile(share: number): number {
    let left = Math.ceil(this.#count * share);
    if (this.#count === 0) return Number.NaN;
    for (const [bucket, count] of [...this.#buckets].sort(([a], [b]) => a - b)) {
      left -= count;
      if (left <= 0) return Math.min(this.#maxMs, SMALLEST_MS * 2 ** (bucket / STEPS_A_DOUBLING));
    }
    return this.#maxMs;
  }

  clear(): void {
    this.#buckets.clear();
    this.#count = 0;
    this.#maxMs = 0;
  }
}

export function fromCounts(counts: Counts): Histogram {
  const histogram = new Histogram();
  histogram.merge(counts);
  return histogram;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

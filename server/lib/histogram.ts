/** A latency histogram: counts by upper bound. */

export class Histogram {
  /** Rising upper bounds in milliseconds. */
  readonly boundsMs: readonly number[];
  /** Counts of values up to each bound and above the previous one. The last count is for values above all bounds. */
  readonly counts: Float64Array;
  sumMs = 0;
  count = 0;

  constructor(boundsMs: readonly number[]) {
    this.boundsMs = boundsMs;
    this.counts = new Float64Array(boundsMs.length + 1);
  }

  observe(ms: number): void {
    let i = 0;
    while (i < this.boundsMs.length && ms > (this.boundsMs[i] ?? 0)) i++;
    this.counts[i] = (this.counts[i] ?? 0) + 1;
    this.sumMs += ms;
    this.count++;
  }
}

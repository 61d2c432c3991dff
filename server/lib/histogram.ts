/** How often something took how long: plain counts by upper bound, for a histogram that somebody reads later. */

export class Histogram {
  /** Upper bounds, milliseconds, rising. */
  readonly boundsMs: readonly number[];
  /** How many were at most each bound and above the one before; the last is beyond all of them. */
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

/**
 * What time it is, twice: by the wall (what people and versions read) and by a clock that only runs forward
 * (what ages and leases are measured with). Everything below the edges is given a moment and asks nobody.
 */

/** One instant on both clocks, whole milliseconds. */
export interface Moment {
  /** Since the Unix epoch; may be stepped by an operator or NTP. */
  readonly wallMs: number;
  /** Since an arbitrary start; never goes back. */
  readonly monoMs: number;
}

export interface Clock {
  now(): Moment;
}

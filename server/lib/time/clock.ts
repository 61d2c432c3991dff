/**
 * The time on two clocks: the wall clock, for people and versions, and the monotonic clock, for ages and leases. Code
 * below the edges of the hub is passed a moment and reads no clock.
 */

/** One instant on both clocks, in whole milliseconds. */
export interface Moment {
  /** Since the Unix epoch. May be stepped by an operator or NTP. */
  readonly wallMs: number;
  /** Since an arbitrary start. Never goes back. */
  readonly monoMs: number;
}

export interface Clock {
  now(): Moment;
}

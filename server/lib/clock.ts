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

/** The forward clock ticks in step with the wall's milliseconds, so that an instant carried from one to the other is exact. */
const STEP_MS = performance.timeOrigin % 1;

export const systemClock: Clock = {
  now: () => ({ wallMs: Date.now(), monoMs: Math.floor(STEP_MS + performance.now()) }),
};

/**
 * A clock that a test moves: both times stand still until `pass` or `stepWall` is called. Starts at instants that can't
 * be taken for one another, so that a mix-up of the wall clock with the monotonic one shows.
 */
import type { Moment } from '../../server/lib/time/clock.ts';
import type { RealClock } from '../../server/lib/time/system-clock.ts';

export class TestClock implements RealClock {
  wallMs = 1_767_225_600_000;
  monoMs = 7_013;
  suspendedMs = 0;

  now(): Moment {
    return { wallMs: this.wallMs, monoMs: this.monoMs };
  }

  /** Time passes on both clocks. */
  pass(ms: number): void {
    this.wallMs += ms;
    this.monoMs += ms;
  }

  /** The machine was suspended. */
  suspend(ms: number): void {
    this.pass(ms);
    this.suspendedMs += ms;
  }

  /** An operator or NTP sets the wall clock; no time passes. */
  stepWall(ms: number): void {
    this.wallMs += ms;
  }
}

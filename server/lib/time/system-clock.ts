/**
 * The system's time. On Linux the monotonic clock stops while the machine is suspended. This clock adds that time,
 * because a suspended hub receives no heartbeats, and stall-clock.ts treats the suspension like any other stall. If the
 * wall clock jumps forward together with the time since boot, the machine was suspended. If it jumps alone, it was set.
 */
import { uptime } from 'node:os';
import type { Clock, Moment } from './clock.ts';

/** A clock that measures suspensions of the machine. */
export interface RealClock extends Clock {
  /** Total milliseconds of suspension that `now` has seen. */
  readonly suspendedMs: number;
}

/** The system's clocks, in milliseconds. */
export interface SystemTimes {
  readonly wall: () => number;
  readonly monotonic: () => number;
  /** Continues while the machine is suspended. May have a resolution of one second. */
  readonly sinceBoot: () => number;
}

/** Minimum length of a suspension, because the time since boot may be this coarse. */
const LEAST_SUSPENSION_MS = 1000;

/** Aligns the forward clock with the wall clock's milliseconds, so that converting an instant is exact. */
const STEP_MS = performance.timeOrigin % 1;

const system: SystemTimes = {
  wall: () => Date.now(),
  monotonic: () => Math.floor(STEP_MS + performance.now()),
  sinceBoot: () => {
    try {
      return uptime() * 1000;
    } catch {
      // Some sandboxes do not provide it. Suspensions are not noticed there.
      return 0;
    }
  },
};

export class SystemClock implements RealClock {
  readonly #times: SystemTimes;
  #wallAheadMs: number;
  #bootAheadMs: number;
  #suspendedMs = 0;

  constructor(times: SystemTimes = system) {
    this.#times = times;
    const monotonicMs = times.monotonic();
    this.#wallAheadMs = times.wall() - monotonicMs;
    this.#bootAheadMs = times.sinceBoot() - monotonicMs;
  }

  get suspendedMs(): number {
    return this.#suspendedMs;
  }

  now(): Moment {
    const wallMs = this.#times.wall();
    const monotonicMs = this.#times.monotonic();
    const steppedMs = wallMs - monotonicMs - this.#wallAheadMs;
    if (steppedMs !== 0) {
      this.#wallAheadMs += steppedMs;
      if (steppedMs >= LEAST_SUSPENSION_MS) this.#suspendedMs += this.#takeSuspension(steppedMs, monotonicMs);
    }
    return { wallMs, monoMs: monotonicMs + this.#suspendedMs };
  }

  #takeSuspension(wallSteppedMs: number, monotonicMs: number): number {
    const bootAheadMs = this.#times.sinceBoot() - monotonicMs;
    const bootSteppedMs = Math.round(bootAheadMs - this.#bootAheadMs);
    this.#bootAheadMs = bootAheadMs;
    if (bootSteppedMs < LEAST_SUSPENSION_MS) return 0;
    // The wall clock is more precise, unless it was also set.
    return Math.abs(wallSteppedMs - bootSteppedMs) < LEAST_SUSPENSION_MS ? wallSteppedMs : bootSteppedMs;
  }
}

export const systemClock = new SystemClock();

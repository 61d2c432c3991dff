/**
 * The system's time. On Linux the monotonic clock stands still while the machine is suspended. This clock adds that time,
 * because a suspended hub has heard nobody: to stall-clock.ts it is a stall like any other. If the wall clock jumps
 * forward together with the time since boot, the machine was suspended; if it jumps alone, somebody has set it.
 */
import { uptime } from 'node:os';
import type { Clock, Moment } from './clock.ts';

/** A clock that knows how long the machine was suspended. */
export interface RealClock extends Clock {
  /** In all, in milliseconds, as far as `now` has seen. */
  readonly suspendedMs: number;
}

/** What the system says, in milliseconds. */
export interface SystemTimes {
  readonly wall: () => number;
  readonly monotonic: () => number;
  /** Goes on while the machine is suspended. May be whole seconds only. */
  readonly sinceBoot: () => number;
}

/** A suspension, from this length on: the time since boot may be as coarse as this. */
const LEAST_SUSPENSION_MS = 1000;

/** The forward clock ticks in step with the wall's milliseconds, so that an instant carried from one to the other is exact. */
const STEP_MS = performance.timeOrigin % 1;

const system: SystemTimes = {
  wall: () => Date.now(),
  monotonic: () => Math.floor(STEP_MS + performance.now()),
  sinceBoot: () => {
    try {
      return uptime() * 1000;
    } catch {
      // Some sandboxes do not say. No suspension is seen there.
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
    // The wall clock is the finer one, unless it was set, too.
    return Math.abs(wallSteppedMs - bootSteppedMs) < LEAST_SUSPENSION_MS ? wallSteppedMs : bootSteppedMs;
  }
}

export const systemClock = new SystemClock();

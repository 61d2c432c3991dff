/**
 * A clock whose forward time leaves out stalls. During a stall (a blocked event loop or a stopped process) the hub is
 * silent, not its clients (PROTOCOL.md section 2). The lease timer calls `tick` when a new turn of the event loop has
 * begun. A tick 250 ms or more after the previous one ends a stall, however often the clock was read meanwhile. Work
 * within a stall reads the clock too: forward time continues for 250 ms after a tick and then almost stops.
 *
 * Leases must be judged by the result of `tick`, never by `now`. `now` may be up to 250 ms ahead of it, before it is
 * known whether that time is part of a stall, and then waits for it. So a heartbeat is never dated too early.
 *
 * A suspension of the machine is also a stall; system-clock.ts detects it. A step of the wall clock does not move
 * forward time, but has an aftermath, because a paused virtual machine may show no other sign. Does not know leases.
 */
import type { Clock, Moment } from './clock.ts';
import type { RealClock } from './system-clock.ts';

/** Minimum length of a stall, and of a step of the wall clock that counts. */
export const STALL_MS = 250;
/** How long the effects of a stall last. Broken connections are noticed one by one. */
const AFTERMATH_MS = 1000;
/** Maximum stalls remembered, and how many of them are dropped at once. */
const MOST_REMEMBERED = 4096;
const DROPPED_AT_ONCE = 1024;

/** What is known of stalls. */
export interface Stalls {
  /** Converts an instant of forward time to the current wall clock. Future stalls are unknown. */
  wallOf(monoMs: number, now: Moment): number;
  /** Whether the instant is within a stall, or within a second after one. */
  isAftermath(monoMs: number): boolean;
}

/** A stall that is over, on the wall clock. */
export interface Stall {
  readonly from: number;
  readonly to: number;
  /** Whether the machine was suspended for some of it. */
  readonly isSuspension: boolean;
}

/** For the clock of a test, which never stalls. */
export const noStalls: Stalls = {
  wallOf: (monoMs, now) => now.wallMs - (now.monoMs - monoMs),
  isAftermath: () => false,
};

/** Returns real time, for work that must end in time even during a stall. */
export function realTime(clock: Clock): Clock {
  return clock instanceof StallClock ? clock.real : clock;
}

export class StallClock implements Clock, Stalls {
  readonly real: RealClock;
  readonly #onStall: (lastedMs: number, suspendedMs: number) => void;
  /** The last tick, in real time and in forward time. */
  #tickedRealMs: number;
  #tickedMs: number;
  /**
   * The real time from which the next tick is late. Infinity until the first tick, because nothing is timed before it.
   */
  #lateFromMs = Infinity;
  /** The latest forward time that `now` returned. */
  #latestMs: number;
  /** How far the wall clock is ahead of real time. */
  #wallAheadMs: number;
  /** The real time when forward time last moved during a stall. */
  #movedRealMs = 0;
  /** The forward time of the last stall or step of the wall clock. */
  #troubleAtMs = -Infinity;
  /** How far real time is ahead of forward time, and from which forward time on. The latest is last. */
  #offsets: { readonly fromMs: number; readonly aheadMs: number }[] = [{ fromMs: -Infinity, aheadMs: 0 }];

  /** Number and total length of the stalls so far. */
  readonly stalled = { count: 0, totalMs: 0 };
  #suspendedMs: number;
  #stall: Stall | null = null;

  /** `onStall` receives the length of each stall, and for how much of it the machine was suspended. */
  constructor(real: RealClock, onStall: (lastedMs: number, suspendedMs: number) => void) {
    this.real = real;
    this.#suspendedMs = real.suspendedMs;
    this.#onStall = onStall;
    const { wallMs, monoMs } = real.now();
    this.#wallAheadMs = wallMs - monoMs;
    this.#tickedRealMs = monoMs;
    this.#tickedMs = monoMs;
    this.#latestMs = monoMs;
  }

  now(): Moment {
    const { wallMs, monoMs } = this.real.now();
    if (monoMs < this.#lateFromMs) {
      const forwardMs = this.#tickedMs + (monoMs - this.#tickedRealMs);
      if (forwardMs > this.#latestMs) this.#latestMs = forwardMs;
    } else {
      this.#readLate(monoMs);
    }
    if (wallMs - monoMs !== this.#wallAheadMs) this.#stepped(wallMs - monoMs);
    return { wallMs, monoMs: this.#latestMs };
  }

  /**
   * Notes that a new turn of the event loop has begun. @returns the moment by which leases may be judged after sockets
   * have been read.
   */
  tick(): Moment {
    const { wallMs, monoMs } = this.real.now();
    const passedMs = monoMs - this.#tickedRealMs;
    const isLate = monoMs >= this.#lateFromMs;
    const beforeMs = this.#tickedMs;
    // A stall counts as one millisecond, so that heartbeats before and after it have different instants.
    this.#tickedMs += isLate ? 1 : passedMs;
    this.#tickedRealMs = monoMs;
    this.#lateFromMs = monoMs + STALL_MS;
    if (isLate) {
      this.#leaveOut(monoMs - this.#tickedMs);
    } else if (this.#tickedMs > this.#latestMs) {
      this.#latestMs = this.#tickedMs;
    }
    if (wallMs - monoMs !== this.#wallAheadMs) this.#stepped(wallMs - monoMs);
    const now = { wallMs, monoMs: this.#tickedMs };
    if (isLate) {
      const suspendedMs = this.real.suspendedMs - this.#suspendedMs;
      this.#stall = { from: this.wallOf(beforeMs, now), to: wallMs, isSuspension: suspendedMs > 0 };
      this.stalled.count++;
      this.stalled.totalMs += passedMs;
      this.#onStall(passedMs, suspendedMs);
    }
    this.#suspendedMs = this.real.suspendedMs;
    return now;
  }

  /** Returns the stall that the last tick ended; null if it ended none. Null in the next call. */
  takeStall(): Stall | null {
    const stall = this.#stall;
    this.#stall = null;
    return stall;
  }

  wallOf(monoMs: number, now: Moment): number {
    let i = this.#offsets.length - 1;
    while (i > 0 && (this.#offsets[i]?.fromMs ?? 0) > monoMs) i--;
    const wallMs = monoMs + (this.#offsets[i]?.aheadMs ?? 0) + this.#wallAheadMs;
    // Input that arrived while forward time waited is dated up to 250 ms too late. It is never later than now.
    return monoMs <= now.monoMs ? Math.min(wallMs, now.wallMs) : wallMs;
  }

  isAftermath(monoMs: number): boolean {
    return monoMs - this.#troubleAtMs <= AFTERMATH_MS;
  }

  /**
   * Handles a reading within a stall. Moves forward time at most once in 250 ms, so that heartbeats keep distinct
   * dates.
   */
  #readLate(realMs: number): void {
    const sinceMs = Math.max(this.#movedRealMs, this.#tickedRealMs);
    if (realMs - sinceMs >= STALL_MS) {
      this.#movedRealMs = realMs;
      this.#leaveOut(realMs - this.#latestMs - 1);
    }
  }

  /** Continues forward time, which is from now on that far behind real time. */
  #leaveOut(aheadMs: number): void {
    this.#latestMs++;
    this.#troubleAtMs = this.#latestMs;
    if (this.#offsets.length >= MOST_REMEMBERED) this.#offsets.splice(0, DROPPED_AT_ONCE);
    this.#offsets.push({ fromMs: this.#latestMs, aheadMs });
  }

  #stepped(wallAheadMs: number): void {
    if (Math.abs(wallAheadMs - this.#wallAheadMs) >= STALL_MS) this.#troubleAtMs = this.#latestMs;
    this.#wallAheadMs = wallAheadMs;
  }
}

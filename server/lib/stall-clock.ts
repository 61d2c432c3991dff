/**
 * A clock whose forward time leaves stalls out: a stall (event loop blocked, process stopped) is nobody's silence but the
 * hub's own (PROTOCOL.md section 2). The lease timer is the witness that the loop has come round: it calls `tick`, and a
 * tick that comes 250 ms or more after the last one ends a stall, however often the clock was read meanwhile. Work done
 * within a stall reads the clock, too: forward time goes on for 250 ms after a tick and then all but stands still.
 *
 * Leases are to be judged by what `tick` returns, never by `now`: `now` may be ahead of it by up to 250 ms, before it is
 * known whether these are a part of a stall, and waits for it afterwards. So a sign of life is never dated too early.
 *
 * A machine that was suspended is a stall, too (system-clock.ts tells). A step of the wall clock moves no forward time, but
 * has an aftermath, because a virtual machine that was paused may show no other sign. Does not know leases.
 */
import type { Clock, Moment } from './clock.ts';
import type { RealClock } from './system-clock.ts';

/** A stall: the time between two ticks, or a step of the wall clock, from this length on. */
export const STALL_MS = 250;
/** How long after a stall its effects still show: broken connections are found one by one. */
const AFTERMATH_MS = 1000;
/** Stalls that are remembered, and how many of them are dropped at once. */
const MOST_REMEMBERED = 4096;
const DROPPED_AT_ONCE = 1024;

/** What is known of stalls. */
export interface Stalls {
  /** An instant of forward time on the wall clock, as it is now. No stall is known that is still to come. */
  wallOf(monoMs: number, now: Moment): number;
  /** Whether that instant is within a stall, or within a second after one. */
  isAftermath(monoMs: number): boolean;
}

/** For a clock that never stalls: a test's own. */
export const noStalls: Stalls = {
  wallOf: (monoMs, now) => now.wallMs - (now.monoMs - monoMs),
  isAftermath: () => false,
};

/** Real time, for work that must end in time also during a stall, and most of all then. */
export function realTime(clock: Clock): Clock {
  return clock instanceof StallClock ? clock.real : clock;
}

export class StallClock implements Clock, Stalls {
  readonly real: RealClock;
  readonly #onStall: (lastedMs: number, suspendedMs: number) => void;
  /** The last tick in real time and in forward time. */
  #tickedRealMs: number;
  #tickedMs: number;
  /** From then on (real) the next tick is late. Infinity until the first tick: nothing is timed before it. */
  #lateFromMs = Infinity;
  /** The latest forward time that `now` gave out. */
  #latestMs: number;
  /** How far the wall clock is ahead of real time. */
  #wallAheadMs: number;
  /** In a stall: when (real) forward time last moved. */
  #movedRealMs = 0;
  /** When a stall or a step of the wall clock was last seen, in forward time. */
  #troubleAtMs = -Infinity;
  /** From which forward time on real time is how far ahead of it; the latest last. */
  #offsets: { readonly fromMs: number; readonly aheadMs: number }[] = [{ fromMs: -Infinity, aheadMs: 0 }];

  #suspendedMs: number;
  #suspendedAt: number | null = null;

  /** `onStall` hears of each stall found: its length, and for how much of it the machine was suspended. */
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

  /** The loop has come round. @returns the moment by which leases may be judged, once sockets have been read. */
  tick(): Moment {
    const { wallMs, monoMs } = this.real.now();
    const passedMs = monoMs - this.#tickedRealMs;
    const isLate = monoMs >= this.#lateFromMs;
    const beforeMs = this.#tickedMs;
    // One millisecond of a stall passes, so that a sign from before it and one from after it have two instants.
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
      if (suspendedMs > 0) this.#suspendedAt ??= this.wallOf(beforeMs, now);
      this.#onStall(passedMs, suspendedMs);
    }
    this.#suspendedMs = this.real.suspendedMs;
    return now;
  }

  /** When the machine was suspended, on the wall clock, if it was since this was last asked. */
  takeSuspendedAt(): number | null {
    const suspendedAt = this.#suspendedAt;
    this.#suspendedAt = null;
    return suspendedAt;
  }

  wallOf(monoMs: number, now: Moment): number {
    let i = this.#offsets.length - 1;
    while (i > 0 && (this.#offsets[i]?.fromMs ?? 0) > monoMs) i--;
    const wallMs = monoMs + (this.#offsets[i]?.aheadMs ?? 0) + this.#wallAheadMs;
    // What came while forward time waited is dated up to 250 ms too late. It is no later than now.
    return monoMs <= now.monoMs ? Math.min(wallMs, now.wallMs) : wallMs;
  }

  isAftermath(monoMs: number): boolean {
    return monoMs - this.#troubleAtMs <= AFTERMATH_MS;
  }

  /** A reading within a stall. It moves forward time at most once in 250 ms, so that signs of life keep a date. */
  #readLate(realMs: number): void {
    const sinceMs = Math.max(this.#movedRealMs, this.#tickedRealMs);
    if (realMs - sinceMs >= STALL_MS) {
      this.#movedRealMs = realMs;
      this.#leaveOut(realMs - this.#latestMs - 1);
    }
  }

  /** Forward time goes on here, and is that far behind real time from now on. */
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

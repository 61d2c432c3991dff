/**
 * A clock whose forward time stands still (but for 1 ms) while the process did: a stall (event loop blocked, process stopped) is
 * nobody's silence but our own (PROTOCOL.md section 2). Whoever reads it first after a stall finds it, so that nothing is
 * judged by time that nobody could use. A step of the wall clock moves no forward time, but has an aftermath too: a machine
 * that was suspended shows no other sign. Somebody must read it often (the lease timer does). Knows nothing of leases.
 */
import type { Clock, Moment } from './clock.ts';

/** A gap between two readings, or a step of the wall clock between them, from which on it is a stall. */
const STALL_MS = 250;
/** How long after a stall its effects still show: broken connections are found one by one. */
const AFTERMATH_MS = 1000;
/** Stalls are remembered as long as the longest lease may last. */
const REMEMBER_MS = 86_400_000;

/** What is known of stalls, in the forward time of the clock that leaves them out. */
export interface Stalls {
  /** Milliseconds that forward time left out since that instant. */
  stalledSince(monoMs: number): number;
  /** Whether that instant is within a second after a stall. */
  isAftermath(monoMs: number): boolean;
}

/** An instant of that forward time on the wall clock, as it is now; stalls before it count, stalls to come nobody knows. */
export function wallOf(monoMs: number, now: Moment, stalls: Stalls): number {
  return now.wallMs - (now.monoMs - monoMs) - stalls.stalledSince(monoMs);
}

/** For a clock that never stalls: a test's own. */
export const noStalls: Stalls = { stalledSince: () => 0, isAftermath: () => false };

export class StallClock implements Clock, Stalls {
  readonly #clock: Clock;
  readonly #onStall: (lastedMs: number) => void;
  #readAt: number;
  #readWallMs: number;
  /** When the wall clock was last seen to have stepped, in this clock's forward time. */
  #steppedAt = -Infinity;
  #stalledMs = 0;
  /** When each stall was over, in this clock's forward time; the latest last. */
  #stalls: { readonly endedAt: number; readonly leftOutMs: number }[] = [];

  /** `onStall` hears of each stall found, with its length in milliseconds. */
  constructor(clock: Clock, onStall: (lastedMs: number) => void) {
    this.#clock = clock;
    this.#onStall = onStall;
    ({ monoMs: this.#readAt, wallMs: this.#readWallMs } = clock.now());
  }

  now(): Moment {
    const { wallMs, monoMs } = this.#clock.now();
    const gapMs = monoMs - this.#readAt;
    const stepMs = Math.abs(wallMs - this.#readWallMs - gapMs);
    this.#readAt = monoMs;
    this.#readWallMs = wallMs;
    if (gapMs >= STALL_MS) this.#found(gapMs, monoMs);
    if (stepMs >= STALL_MS) this.#steppedAt = monoMs - this.#stalledMs;
    return { wallMs, monoMs: monoMs - this.#stalledMs };
  }

  stalledSince(monoMs: number): number {
    let stalledMs = 0;
    for (let i = this.#stalls.length - 1; i >= 0; i--) {
      const stall = this.#stalls[i];
      if (stall === undefined || stall.endedAt <= monoMs) break;
      stalledMs += stall.leftOutMs;
    }
    return stalledMs;
  }

  isAftermath(monoMs: number): boolean {
    const last = Math.max(this.#stalls.at(-1)?.endedAt ?? -Infinity, this.#steppedAt);
    return monoMs - last <= AFTERMATH_MS;
  }

  #found(lastedMs: number, monoMs: number): void {
    // One millisecond passes, so that a sign from before the stall and one from after it have two instants.
    this.#stalledMs += lastedMs - 1;
    const endedAt = monoMs - this.#stalledMs;
    this.#stalls = this.#stalls.filter((stall) => endedAt - stall.endedAt < REMEMBER_MS);
    this.#stalls.push({ endedAt, leftOutMs: lastedMs - 1 });
    this.#onStall(lastedMs);
  }
}

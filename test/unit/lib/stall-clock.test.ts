import { describe, expect, it } from 'vitest';
import { StallClock } from '../../../server/lib/stall-clock.ts';
import { TestClock } from '../../support/clock.ts';

function stage() {
  const real = new TestClock();
  const stalls: number[] = [];
  const clock = new StallClock(real, (lastedMs) => stalls.push(lastedMs));
  const start = clock.now();
  /** Time in which the loop ran: the clock is read as often as the lease timer reads it. */
  const run = (ms: number) => {
    for (let passed = 0; passed < ms; passed += 25) {
      real.pass(25);
      clock.now();
    }
  };
  return { real, clock, stalls, start, run };
}

describe('a clock that leaves stalls out', () => {
  it('runs as the real one while the loop does', () => {
    const { clock, start, run, stalls } = stage();
    run(10_000);
    expect(clock.now()).toEqual({ wallMs: start.wallMs + 10_000, monoMs: start.monoMs + 10_000 });
    expect(stalls).toEqual([]);
  });

  it('stands still for as long as the process did; the wall clock goes on', () => {
    const { real, clock, start, run, stalls } = stage();
    run(1000);
    real.pass(60_000);
    expect(clock.now()).toEqual({ wallMs: start.wallMs + 61_000, monoMs: start.monoMs + 1001 });
    expect(stalls).toEqual([60_000]);
    run(500);
    expect(clock.now().monoMs).toBe(start.monoMs + 1501);
  });

  it('takes 250 ms for a stall, and 249 for work', () => {
    const { real, clock, start, stalls } = stage();
    real.pass(249);
    expect(clock.now().monoMs).toBe(start.monoMs + 249);
    real.pass(250);
    expect(clock.now().monoMs).toBe(start.monoMs + 250);
    expect(stalls).toEqual([250]);
  });

  it('is not moved by a step of the wall clock', () => {
    const { real, clock, start, stalls } = stage();
    real.stepWall(3_600_000);
    real.pass(25);
    expect(clock.now()).toEqual({ wallMs: start.wallMs + 3_600_025, monoMs: start.monoMs + 25 });
    real.stepWall(-7_200_000);
    expect(clock.now().monoMs).toBe(start.monoMs + 25);
    expect(stalls).toEqual([]);
  });

  it('has an aftermath of a step of the wall clock, forward or back, as a machine has that was suspended', () => {
    for (const stepMs of [60_000, -60_000, 250]) {
      const { real, clock, run } = stage();
      run(1000);
      expect(clock.isAftermath(clock.now().monoMs)).toBe(false);
      real.stepWall(stepMs);
      real.pass(25);
      expect(clock.isAftermath(clock.now().monoMs)).toBe(true);
      run(1000);
      expect(clock.isAftermath(clock.now().monoMs)).toBe(true);
      run(25);
      expect(clock.isAftermath(clock.now().monoMs)).toBe(false);
    }
    const { real, clock, run } = stage();
    run(1000);
    real.stepWall(249);
    expect(clock.isAftermath(clock.now().monoMs)).toBe(false);
  });

  it('says what was left out since an instant, and how long the aftermath is', () => {
    const { real, clock, run } = stage();
    const before = clock.now().monoMs;
    real.pass(400);
    clock.now();
    run(100);
    const between = clock.now().monoMs;
    real.pass(5_000);
    const after = clock.now().monoMs;
    run(25);
    expect(clock.stalledSince(before)).toBe(5_398);
    expect(clock.stalledSince(between)).toBe(4_999);
    expect(clock.stalledSince(after)).toBe(0);
    expect(clock.isAftermath(after)).toBe(true);
    expect(clock.isAftermath(after + 1000)).toBe(true);
    expect(clock.isAftermath(after + 1001)).toBe(false);
  });
});

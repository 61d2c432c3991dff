import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { realTime, StallClock } from '../../../server/lib/time/stall-clock.ts';
import { TestClock } from '../../support/clock.ts';

function stage() {
  const real = new TestClock();
  const stalls: number[] = [];
  const clock = new StallClock(real, (lastedMs) => stalls.push(lastedMs));
  const start = clock.tick();
  /** Time in which the loop ran: the lease timer ticks. */
  const run = (ms: number) => {
    for (let passed = 0; passed < ms; passed += 25) {
      real.pass(25);
      clock.tick();
    }
  };
  /** Time in which the loop did not come round, but what kept it busy read the clock every 10 ms. */
  const beBusy = (ms: number) => {
    for (let passed = 0; passed < ms; passed += 10) {
      real.pass(10);
      clock.now();
    }
  };
  return { real, clock, stalls, start, run, beBusy };
}

describe('a clock that leaves stalls out', () => {
  it('runs as the real one while the loop does', () => {
    const { clock, start, run, stalls } = stage();
    run(10_000);
    expect(clock.now()).toEqual({ wallMs: start.wallMs + 10_000, monoMs: start.monoMs + 10_000 });
    expect(clock.tick()).toEqual(clock.now());
    expect(stalls).toEqual([]);
  });

  it('runs as the real one until the first tick, for nothing times the loop while the hub starts', () => {
    const real = new TestClock();
    const clock = new StallClock(real, () => expect.unreachable());
    const start = clock.now();
    real.pass(5_000);
    expect(clock.now().monoMs).toBe(start.monoMs + 5_000);
    expect(clock.tick().monoMs).toBe(start.monoMs + 5_000);
  });

  it('stands still for as long as the process did; the wall clock goes on', () => {
    const { real, clock, start, run, stalls } = stage();
    run(1000);
    real.pass(60_000);
    expect(clock.tick()).toEqual({ wallMs: start.wallMs + 61_000, monoMs: start.monoMs + 1001 });
    expect(stalls).toEqual([60_000]);
    run(500);
    expect(clock.now().monoMs).toBe(start.monoMs + 1501);
  });

  it('stands still also in a stall of short pieces that each read the clock', () => {
    const { clock, start, run, beBusy, stalls } = stage();
    run(1000);
    beBusy(30_000);
    expect(clock.tick().monoMs).toBe(start.monoMs + 1001);
    expect(stalls).toEqual([30_000]);
    run(500);
    expect(clock.now()).toEqual({ wallMs: start.wallMs + 31_500, monoMs: start.monoMs + 1501 });
  });

  it('takes 250 ms for a stall, and 249 for work (L10)', () => {
    const { real, clock, start, stalls } = stage();
    real.pass(249);
    expect(clock.tick().monoMs).toBe(start.monoMs + 249);
    real.pass(250);
    expect(clock.tick().monoMs).toBe(start.monoMs + 250);
    expect(stalls).toEqual([250]);
  });

  it('reads on for 249 ms after a tick, then all but stands still, and at last waits for the ticks', () => {
    const { real, clock, start, run, beBusy } = stage();
    const readMs = () => clock.now().monoMs - start.monoMs;
    real.pass(249);
    expect(readMs()).toBe(249);
    real.pass(1);
    expect(readMs()).toBe(250);
    beBusy(1000);
    expect(readMs()).toBe(254); // a millisecond for each 250
    expect(clock.tick().monoMs - start.monoMs).toBe(1);
    expect(readMs()).toBe(255); // what is read after a stall is later than what was read during it
    run(250);
    expect(readMs()).toBe(255);
    run(100);
    expect(readMs()).toBe(351);
  });

  it('is not moved by a step of the wall clock (L9)', () => {
    const { real, clock, start, stalls } = stage();
    real.stepWall(3_600_000);
    real.pass(25);
    expect(clock.tick()).toEqual({ wallMs: start.wallMs + 3_600_025, monoMs: start.monoMs + 25 });
    real.stepWall(-7_200_000);
    expect(clock.tick().monoMs).toBe(start.monoMs + 25);
    expect(stalls).toEqual([]);
  });

  it('takes a suspension of the machine for a stall, and says when it began, once', () => {
    const { real, clock, start, run, stalls } = stage();
    run(1000);
    const seen = clock.now();
    expect(clock.takeStall()).toBeNull();
    real.suspend(28_800_000);
    real.pass(10);
    expect(clock.tick().monoMs).toBe(start.monoMs + 1001);
    expect(stalls).toEqual([28_800_010]);
    expect(clock.wallOf(seen.monoMs, clock.now())).toBe(seen.wallMs);
    const to = seen.wallMs + 28_800_010;
    expect(clock.takeStall()).toEqual({ from: seen.wallMs, to, isSuspension: true });
    expect(clock.takeStall()).toBeNull();
    real.pass(60_000); // stopped, not suspended
    clock.tick();
    expect(clock.takeStall()).toEqual({ from: to, to: to + 60_000, isSuspension: false });
  });

  it('has an aftermath of a step of the wall clock, forward or back, as a machine has that was suspended (L11)', () => {
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

  it('has an aftermath from 250 ms on into a stall, and for a second after it', () => {
    const { clock, run, beBusy } = stage();
    run(1000);
    beBusy(240);
    expect(clock.isAftermath(clock.now().monoMs)).toBe(false);
    beBusy(10);
    expect(clock.isAftermath(clock.now().monoMs)).toBe(true);
    const after = clock.tick().monoMs;
    expect(clock.isAftermath(after)).toBe(true);
    expect(clock.isAftermath(clock.now().monoMs + 1000)).toBe(true);
    expect(clock.isAftermath(clock.now().monoMs + 1001)).toBe(false);
  });

  it('knows its instants on the wall clock: before, within and between stalls', () => {
    const { real, clock, run, beBusy } = stage();
    const seen: { readonly monoMs: number; readonly wallMs: number }[] = [];
    const see = () => seen.push(clock.now());
    see();
    real.pass(400);
    clock.tick();
    see();
    run(100);
    see();
    beBusy(200); // not yet a stall
    see();
    beBusy(300);
    see();
    real.pass(60_000);
    see();
    clock.tick();
    run(1000);
    see();
    for (const { monoMs, wallMs } of seen) expect(clock.wallOf(monoMs, clock.now())).toBe(wallMs);
    real.stepWall(-3_600_000);
    for (const { monoMs, wallMs } of seen) expect(clock.wallOf(monoMs, clock.now())).toBe(wallMs - 3_600_000);
    const now = clock.now();
    expect(clock.wallOf(now.monoMs + 5000, now)).toBe(now.wallMs + 5000);
  });

  it('keeps its promises whatever the loop does', () => {
    const op = fc.record({ kind: fc.constantFrom('tick', 'now'), passMs: fc.oneof(fc.nat(30), fc.nat(1000)) });
    fc.assert(
      fc.property(fc.array(op, { maxLength: 100 }), (ops) => {
        const { real, clock } = stage();
        let tickedMs = clock.tick().monoMs;
        let tickedRealMs = real.monoMs;
        let latestMs = tickedMs;
        let signs: { readonly monoMs: number; readonly wallMs: number; readonly sinceTickMs: number }[] = [];
        for (const { kind, passMs } of ops) {
          real.pass(passMs);
          if (kind === 'now') {
            const { monoMs, wallMs } = clock.now();
            expect(wallMs).toBe(real.wallMs);
            expect(monoMs, 'never goes back').toBeGreaterThanOrEqual(latestMs);
            latestMs = monoMs;
            signs.push({ monoMs, wallMs, sinceTickMs: real.monoMs - tickedRealMs });
            const seenAt = clock.wallOf(monoMs, clock.now());
            expect(seenAt).toBeLessThanOrEqual(wallMs);
            expect(wallMs - seenAt, 'is dated within 250 ms').toBeLessThanOrEqual(250);
            continue;
          }
          const gapMs = real.monoMs - tickedRealMs;
          const { monoMs } = clock.tick();
          expect(monoMs - tickedMs, 'all of a stall is left out, and nothing else').toBe(gapMs < 250 ? gapMs : 1);
          for (const sign of signs) {
            const judgedMs = tickedMs + (gapMs < 250 ? sign.sinceTickMs : 0);
            expect(sign.monoMs, 'no sign is dated before the time that its lease is judged by').toBeGreaterThanOrEqual(
              judgedMs,
            );
          }
          signs = [];
          tickedMs = monoMs;
          tickedRealMs = real.monoMs;
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('hands out the real time behind it, for work that must end in a stall', () => {
    const { real, clock } = stage();
    expect(realTime(clock)).toBe(real);
    expect(realTime(real)).toBe(real);
  });
});

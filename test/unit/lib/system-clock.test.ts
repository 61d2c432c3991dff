import { describe, expect, it } from 'vitest';
import { SystemClock, systemClock } from '../../../server/lib/time/system-clock.ts';

/** A machine with the three clocks of Linux; `coarse`: the time since boot is whole seconds. */
function machine({ coarse = false } = {}) {
  const times = { wall: 1_767_225_600_000, monotonic: 7_013, sinceBoot: 7_500 };
  const clock = new SystemClock({
    wall: () => times.wall,
    monotonic: () => times.monotonic,
    sinceBoot: () => (coarse ? Math.floor(times.sinceBoot / 1000) * 1000 : times.sinceBoot),
  });
  const pass = (ms: number): void => {
    times.wall += ms;
    times.monotonic += ms;
    times.sinceBoot += ms;
  };
  const suspend = (ms: number): void => {
    times.wall += ms;
    times.sinceBoot += ms;
  };
  const set = (ms: number): void => {
    times.wall += ms;
  };
  return { clock, pass, suspend, set };
}

describe.each([{ coarse: false }, { coarse: true }])('the system’s time, $coarse', (how) => {
  it('goes on while the machine is suspended, though the monotonic clock does not (L12)', () => {
    const { clock, pass, suspend } = machine(how);
    const start = clock.now();
    pass(10_000);
    suspend(8 * 3_600_000);
    pass(40);
    expect(clock.now()).toEqual({
      wallMs: start.wallMs + 8 * 3_600_000 + 10_040,
      monoMs: start.monoMs + 8 * 3_600_000 + 10_040,
    });
    expect(clock.suspendedMs).toBe(8 * 3_600_000);
    pass(333);
    suspend(60_000);
    expect(clock.now().monoMs).toBe(start.monoMs + 8 * 3_600_000 + 70_373);
    expect(clock.suspendedMs).toBe(8 * 3_600_000 + 60_000);
  });

  it('is not moved if somebody has set the wall clock', () => {
    const { clock, pass, set } = machine(how);
    const start = clock.now();
    for (const ms of [3_600_000, -7_200_000, 1_000, 999, -999]) {
      pass(555);
      set(ms);
      clock.now();
    }
    expect(clock.now().monoMs).toBe(start.monoMs + 5 * 555);
    expect(clock.suspendedMs).toBe(0);
  });

  it('takes the time since boot if the wall clock was set during the suspension', () => {
    const { clock, suspend, set } = machine(how);
    const start = clock.now();
    suspend(600_000);
    set(3_600_000);
    expect(Math.abs(clock.now().monoMs - start.monoMs - 600_000)).toBeLessThan(1000);
  });
});

it('reads the real clocks', async () => {
  const before = systemClock.now();
  await new Promise((resolve) => setTimeout(resolve, 50));
  const after = systemClock.now();
  expect(after.monoMs - before.monoMs).toBeGreaterThanOrEqual(49);
  expect(Math.abs(after.wallMs - Date.now())).toBeLessThan(1000);
  expect(systemClock.suspendedMs).toBe(0);
});

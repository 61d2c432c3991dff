/** The hub clock: versions are times that never go back, and never above what was promised durably. */
import { describe, expect, it } from 'vitest';
import { VersionClock } from '../../../server/presence/version-clock.ts';

function clockWith(floor: number): { readonly clock: VersionClock; readonly ceilings: number[] } {
  const ceilings: number[] = [];
  return { clock: new VersionClock(floor, (ceiling) => ceilings.push(ceiling) > 0), ceilings };
}

describe('the hub clock', () => {
  it('is the wall clock while that goes forward, and stands while it goes back', () => {
    const { clock } = clockWith(0);
    expect([1000, 1500, 400, 1501].map((wallMs) => clock.now(wallMs))).toEqual([1000, 1500, 1500, 1501]);
    expect(clock.last).toBe(1501);
  });

  it('starts at its floor if the wall clock is behind it', () => {
    const { clock } = clockWith(9000);
    expect(clock.now(1000)).toBe(9000);
    expect(clock.versionAfter(0, 1000)).toBe(9000);
  });

  it('gives a version above the previous one and not below the time', () => {
    const { clock } = clockWith(0);
    expect(clock.versionAfter(0, 1000)).toBe(1000);
    expect(clock.versionAfter(1000, 1000)).toBe(1001);
    expect(clock.versionAfter(5000, 1000)).toBe(5001);
    expect(clock.versionAfter(1001, 1200)).toBe(1200);
  });

  it('says an `at` below every version that comes later', () => {
    const { clock } = clockWith(0);
    for (const wallMs of [1000, 1000, 900, 1001]) {
      const at = clock.sentUpTo(wallMs);
      expect(clock.versionAfter(0, wallMs)).toBeGreaterThan(at);
    }
  });

  it('has promised a ceiling before anything at or below it is given out, and writes one rarely', () => {
    const { clock, ceilings } = clockWith(0);
    for (let wallMs = 1000; wallMs < 11_000; wallMs += 10) {
      const given = [clock.now(wallMs), clock.sentUpTo(wallMs), clock.versionAfter(wallMs + 5, wallMs)];
      expect(Math.max(...given)).toBeLessThanOrEqual(ceilings.at(-1)!);
    }
    expect(ceilings.length).toBeLessThan(25);
    expect(clock.versionAfter(1_000_000, 11_000)).toBeLessThanOrEqual(ceilings.at(-1)!);
  });

  it('goes on if the ceiling can not be made durable, tries again every other second, and promises again then', () => {
    const attempts: number[] = [];
    let isBroken = true;
    const clock = new VersionClock(0, (ceiling) => {
      attempts.push(ceiling);
      return !isBroken;
    });
    for (let wallMs = 1000; wallMs < 11_000; wallMs += 10) expect(clock.now(wallMs)).toBe(wallMs);
    expect(attempts).toHaveLength(5);
    isBroken = false;
    expect(clock.now(11_000)).toBe(11_000);
    expect(attempts.at(-1)).toBeGreaterThan(11_000);
  });
});

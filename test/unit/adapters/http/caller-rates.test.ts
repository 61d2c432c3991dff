/** How many requests a caller may make, and what is remembered of callers. */
import { describe, expect, it } from 'vitest';
import { CallerRates } from '../../../../server/adapters/http/caller-rates.ts';
import { TestClock } from '../../../support/clock.ts';

const rate = { perS: 10, burst: 20 };

function takeMany(rates: CallerRates, caller: string, count: number): number[] {
  return Array.from({ length: count }, () => rates.take(caller));
}

describe('a caller', () => {
  it('may use its burst at once, and learns how long to wait then', () => {
    const rates = new CallerRates(rate, new TestClock());
    expect(takeMany(rates, 'a', 20)).toEqual(Array.from({ length: 20 }, () => 0));
    expect(rates.take('a')).toBe(200);
  });

  it.each([
    [0, 0],
    // A call that comes too soon counts as well, and so has to wait for its own place too.
    [-1, 101],
  ])('that comes %d ms after that wait has to wait for %d ms', (early, waitsMs) => {
    const clock = new TestClock();
    const rates = new CallerRates(rate, clock);
    clock.pass(takeMany(rates, 'a', 25).at(-1)! + early);
    expect(rates.take('a')).toBe(waitsMs);
  });

  it('has a rate of its own', () => {
    const rates = new CallerRates(rate, new TestClock());
    takeMany(rates, 'a', 30);
    expect(rates.take('b')).toBe(0);
  });

  it('keeps its debt over a turn of the generations', () => {
    const clock = new TestClock();
    const rates = new CallerRates(rate, clock);
    clock.pass(3_900);
    takeMany(rates, 'a', 40);
    clock.pass(200);
    rates.take('b');
    expect(rates.take('a')).toBeGreaterThan(0);
  });
});

describe('the map of callers', () => {
  it('forgets those who have been at rest for long enough to be full again', () => {
    const clock = new TestClock();
    const rates = new CallerRates(rate, clock);
    for (let i = 0; i < 100; i++) rates.take(`a${i}`);
    expect(rates.size).toBe(100);
    // From the deepest debt to full takes 4 s: after two such spans nothing of them can matter.
    for (let i = 0; i < 2; i++) {
      clock.pass(4_000);
      rates.take('b');
    }
    expect(rates.size).toBe(1);
  });

  it('never holds more than its bound, and keeps those who came last', () => {
    const rates = new CallerRates(rate, new TestClock(), 100);
    for (let i = 0; i < 1_000; i++) rates.take(`a${i}`);
    takeMany(rates, 'last', 30);
    for (let i = 0; i < 40; i++) rates.take(`b${i}`);
    expect(rates.size).toBeLessThanOrEqual(100);
    expect(rates.take('last')).toBeGreaterThan(0);
  });
});

import { describe, expect, it } from 'vitest';
import { formatAgo, formatDuration, formatLeft, formatTime } from '../../../../client/dashboard/ages.ts';

describe('an age', () => {
  it.each([
    [0, '0 s'],
    [999, '0 s'],
    [1000, '1 s'],
    [65_400, '1 min 5 s'],
    [3_600_000, '1 h'],
    [7_805_000, '2 h 10 min'],
    [90_000_000, '1 d 1 h'],
    [-5, '0 s'],
  ])('of %s ms is %s', (ms, said) => {
    expect(formatDuration(ms)).toBe(said);
  });

  it('says "just now" within the second, and before it by a clock that is behind', () => {
    expect(formatAgo(1000, 1500)).toBe('just now');
    expect(formatAgo(2000, 1500)).toBe('just now');
    expect(formatAgo(1000, 63_000)).toBe('1 min 2 s ago');
  });
});

describe('what is left', () => {
  it('counts down to a tenth of a second, and is then due', () => {
    expect(formatLeft(100_000, 1000)).toBe('1 min 39 s');
    expect(formatLeft(5400, 1000)).toBe('4.4 s');
    expect(formatLeft(1000, 1000)).toBe('due');
    expect(formatLeft(1000, 2000)).toBe('due');
  });
});

describe('a time of day', () => {
  const at = new Date(2026, 10, 26, 9, 5, 7, 42).getTime();

  it('has its date only where that is another day', () => {
    expect(formatTime(at, at + 1000)).toBe('09:05:07');
    expect(formatTime(at, at + 1000, true)).toBe('09:05:07.042');
    expect(formatTime(at, at + 86_400_000)).toBe('2026-11-26 09:05:07');
  });
});

/** Ages and times of day, in words and precisely. */
import { describe, expect, it } from 'vitest';
import { agoInWords, formatAgo, formatDuration, formatTime, timeInWords } from '../../../client/ui/ago.ts';

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

  it.each([
    [3_599_999, '59 min'],
    [3_600_000, '1 h'],
    [86_400_000 * 400, '400 d'],
  ])('of %s ms is %s in one unit', (ms, said) => {
    expect(formatDuration(ms, 1)).toBe(said);
  });

  it('says "just now" within the second, and before it by a clock that is behind', () => {
    expect(formatAgo(1000, 1500)).toBe('just now');
    expect(formatAgo(2000, 1500)).toBe('just now');
    expect(formatAgo(1000, 63_000)).toBe('1 min 2 s ago');
  });
});

describe('a time of day', () => {
  const at = new Date(2026, 10, 26, 9, 5, 7, 42).getTime();

  it('includes its date only if that is another day', () => {
    expect(formatTime(at, at + 1000)).toBe('09:05:07');
    expect(formatTime(at, at + 1000, true)).toBe('09:05:07.042');
    expect(formatTime(at, at + 86_400_000)).toBe('2026-11-26 09:05:07');
  });
});

describe('in words', () => {
  const MINUTE = 60_000;
  const now = new Date(2026, 10, 22, 12, 3, 20).getTime();

  it.each([
    [-5_000, 'just now'],
    [59_999, 'just now'],
    [MINUTE, '1 minute ago'],
    [3 * MINUTE + 50_000, '3 minutes ago'],
    [60 * MINUTE, '1 hour ago'],
    [23.9 * 60 * MINUTE, '23 hours ago'],
    [24 * 60 * MINUTE, 'yesterday'],
    [29 * 24 * 60 * MINUTE, '29 days ago'],
  ])('%d ms before now is %s', (ms, words) => expect(agoInWords(now - ms, now)).toBe(words));

  it('what is long ago has a date, and a time of another day too', () => {
    expect(agoInWords(new Date(2026, 2, 1, 8).getTime(), now)).toBe('on March 1, 2026');
    expect(timeInWords(now, now)).toBe('12:03');
    expect(timeInWords(new Date(2026, 10, 21, 23, 59).getTime(), now)).toBe('23:59 on November 21, 2026');
    expect(timeInWords(new Date(2026, 2, 1, 8).getTime(), now)).toBe('08:00 on March 1, 2026');
  });
});

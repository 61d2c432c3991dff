/** The rhythm of flushes keeps the contract's limit, however long a flush takes. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { FlushRhythm, MAX_WAIT_MS, restAfter } from '../../../server/fanout/rhythm.ts';
import { MAX_FLUSH_WAIT_MS } from '../../../shared/limits.ts';

let nowMs = 0;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setImmediate'] });
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

it('waits no longer than the contract lets two changes of a user be told as one', () => {
  expect(MAX_WAIT_MS).toBeLessThanOrEqual(MAX_FLUSH_WAIT_MS);
});

it('flushes at once after rest, and within its longest wait after a flush that took a second', () => {
  const flush = vi.fn(() => void (nowMs += 1_000));
  const rhythm = new FlushRhythm(flush);
  rhythm.request();
  vi.advanceTimersByTime(0);
  expect(flush).toHaveBeenCalledTimes(1);
  rhythm.request();
  vi.advanceTimersByTime(MAX_WAIT_MS - 1);
  expect(flush).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(1);
  expect(flush).toHaveBeenCalledTimes(2);
});

it('rests after a short flush only as long as that is no delay to speak of, and after a long one half as long as it took', () => {
  expect([0, 0.25, 0.5, 1, 5, 6, 8, 10, 12, 500].map(restAfter)).toEqual([0, 1, 2, 3, 3, 3, 4, 5, 6, 6]);
});

it('comes back to short rests after a hiccup, where telling takes less than two thirds of the time', () => {
  for (const part of [0.3, 0.5, 0.6]) {
    let flushMs = 200;
    // What came while it flushed and rested is what the next flush has to tell.
    for (let turn = 0; turn < 50; turn++) flushMs = part * (flushMs + restAfter(flushMs));
    expect(restAfter(flushMs)).toBeLessThanOrEqual(3);
  }
});

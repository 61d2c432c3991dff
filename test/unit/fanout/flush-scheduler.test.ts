/** The rhythm of flushes keeps the contract's limit, however long a flush takes. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { FlushScheduler, MAX_WAIT_MS, restAfter } from '../../../server/fanout/delivery/flush-scheduler.ts';
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

it('waits no longer than the contract lets two changes of a user be sent as one (W39)', () => {
  expect(MAX_WAIT_MS).toBeLessThanOrEqual(MAX_FLUSH_WAIT_MS);
});

it('flushes at once after rest, and within its longest wait after a flush that took a second', () => {
  const flush = vi.fn(() => {
    nowMs += 1_000;
    return 50;
  });
  const rhythm = new FlushScheduler(flush);
  rhythm.request();
  vi.advanceTimersByTime(0);
  expect(flush).toHaveBeenCalledTimes(1);
  rhythm.request();
  vi.advanceTimersByTime(MAX_WAIT_MS - 1);
  expect(flush).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(1);
  expect(flush).toHaveBeenCalledTimes(2);
});

it('rests after a short flush only as long as that is no delay to speak of, however many entries went into a message', () => {
  for (const entriesAMessage of [1, 50]) {
    const rests = [0, 0.25, 0.5, 1].map((tookMs) =>
      restAfter({ tookMs, periodMs: tookMs + 1, entriesPerMessage: entriesAMessage }),
    );
    expect(rests.slice(0, 3)).toEqual([0, 1, 2]);
    expect(rests[3]).toBe(4);
  }
});

it('does not rest longer if each message has one entry, no matter how long it flushes', () => {
  const rests = [1, 5, 500].map((tookMs) => restAfter({ tookMs, periodMs: tookMs + 1, entriesPerMessage: 1 }));
  expect(rests).toEqual([4, 4, 4]);
});

it('rests longer the more of the time fewer messages have spared, up to its longest', () => {
  const rests = [1, 1.5, 1.75, 1.875, 2, 3, 50].map((entriesAMessage) =>
    restAfter({ tookMs: 3, periodMs: 12, entriesPerMessage: entriesAMessage }),
  );
  expect(rests).toEqual([4, 4, 4.5, 5.25, 6, 6, 6]);
});

/** Where 1,000 connections are sent that many changes a second, on a machine so many times as slow: the rest it settles at. */
function settledRest(deliveriesPerS: number, timesAsSlow: number, hiccupMs: number): number {
  const connections = 1000;
  let tookMs = hiccupMs;
  let periodMs = hiccupMs;
  let entriesAMessage = 1;
  let restMs = 0;
  for (let turn = 0; turn < 200; turn++) {
    restMs = restAfter({ tookMs, periodMs, entriesPerMessage: entriesAMessage });
    // What came while it flushed and rested is what the next flush has to send.
    const entries = (deliveriesPerS / 1000) * (tookMs + restMs);
    const messages = connections * (1 - Math.exp(-entries / connections));
    tookMs = timesAsSlow * (messages * 0.0035 + entries * 0.0007);
    periodMs = restMs + tookMs;
    entriesAMessage = entries / messages;
  }
  return restMs;
}

it('comes back to short rests after a hiccup at 50,000 deliveries a second, on a machine of half the speed, too', () => {
  for (const timesAsSlow of [1, 2]) {
    for (const hiccupMs of [0.1, 20, 200]) expect(settledRest(50_000, timesAsSlow, hiccupMs)).toBeLessThanOrEqual(4);
  }
});

it('settles at long rests at 150,000 deliveries a second, whatever it began with', () => {
  expect([0.1, 20, 200].map((hiccupMs) => settledRest(150_000, 1, hiccupMs))).toEqual([6, 6, 6]);
});

import { beforeEach, describe, expect, it } from 'vitest';
import { fromCounts } from '../../bench/lib/histogram.ts';
import { Lapses } from '../../bench/lib/lapses.ts';

const TIMEOUT_MS = 5000;

describe('lapses', () => {
  let lapses = new Lapses(10, TIMEOUT_MS);
  beforeEach(() => {
    lapses = new Lapses(10, TIMEOUT_MS);
    for (let user = 0; user < 10; user += 1) lapses.beat(user, 100 * user);
  });

  it('are late from the last heartbeat and the timeout on', () => {
    lapses.beat(3, 1000);
    lapses.fallSilent([2, 3]);
    lapses.reportedOffline(2, 200 + TIMEOUT_MS + 30);
    lapses.reportedOffline(3, 1000 + TIMEOUT_MS + 70);
    const { due, reported, early, late, falseOffline, spanMs } = lapses.figures;
    expect({ due, reported, early, falseOffline }).toEqual({ due: 2, reported: 2, early: 0, falseOffline: 0 });
    expect(late.maxMs).toBe(70);
    expect(fromCounts(late).percentile(0.5)).toBeCloseTo(30, 0);
    expect(spanMs).toBe(1000 + 70 - 200);
    expect(lapses.areAllReported).toBe(true);
  });

  it('reported before they are due are early and not late', () => {
    lapses.fallSilent([5]);
    lapses.reportedOffline(5, 500 + TIMEOUT_MS - 1);
    const { early, earliestMs, late } = lapses.figures;
    expect({ early, earliestMs, counted: late.count }).toEqual({ early: 1, earliestMs: -1, counted: 0 });
  });

  it('of those who beat are false, before and after the others fell silent', () => {
    lapses.reportedOffline(1, 10_000);
    lapses.fallSilent([2]);
    lapses.reportedOffline(1, 10_000);
    expect(lapses.figures.falseOffline).toBe(2);
    expect(lapses.areAllReported).toBe(false);
  });

  it('reported twice count as false the second time', () => {
    lapses.fallSilent([2]);
    lapses.reportedOffline(2, 10_000);
    lapses.reportedOffline(2, 10_001);
    const { reported, falseOffline } = lapses.figures;
    expect({ reported, falseOffline }).toEqual({ reported: 1, falseOffline: 1 });
  });

  it('of a second silence are counted from zero, but false reports are kept', () => {
    lapses.fallSilent([2]);
    lapses.reportedOffline(2, 10_000);
    lapses.reportedOffline(9, 10_000);
    lapses.fallSilent([3, 4]);
    lapses.reportedOffline(3, 300 + TIMEOUT_MS + 5);
    const { due, reported, late, falseOffline } = lapses.figures;
    expect({ due, reported, maxMs: late.maxMs, falseOffline }).toEqual({
      due: 2,
      reported: 1,
      maxMs: 5,
      falseOffline: 1,
    });
  });
});

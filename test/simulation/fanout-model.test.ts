/** Fan-out in random runs. A failing run prints its seed and the shortest list of deeds that fails. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, it, vi } from 'vitest';
import { fanoutDeed, FanoutRun, type FanoutDeed } from './fanout-run.ts';

function run(deeds: readonly FanoutDeed[]): void {
  const all = new FanoutRun();
  for (const deed of deeds) all.apply(deed);
  all.end();
  vi.clearAllTimers();
}

describe('fan-out', () => {
  // Flushes are the test's to choose: those that fan-out would make by itself never come.
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setImmediate', 'setTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  it('tells every client the truth, once, in order, and nothing that it does not watch', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(fc.array(fanoutDeed, { maxLength: 60, size: 'max' }), (deeds) => run(deeds)),
      { numRuns: 2000 },
    );
  });
});

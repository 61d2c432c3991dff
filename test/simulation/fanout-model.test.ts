/** Fan-out in random runs. A failing run prints its seed and the shortest list of deeds that fails. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, it, vi } from 'vitest';
import { fanoutDeed, FanoutRun, warmUp, type FanoutDeed } from './fanout-run.ts';

interface Kind {
  readonly isWarm: boolean;
  readonly hidesLastSeen: boolean;
  /** How often a user is reported at most. */
  readonly reportEveryMs: number;
  /** From how many watchers on a user is sent in steps. */
  readonly largeAudience: number;
}

function run(deeds: readonly FanoutDeed[], { isWarm, ...options }: Kind): void {
  const all = new FanoutRun(options);
  for (const deed of isWarm ? [...warmUp, ...deeds] : deeds) all.apply(deed);
  all.end();
  vi.clearAllTimers();
}

const kind: fc.Arbitrary<Kind> = fc.record({
  isWarm: fc.constantFrom(true, true, false),
  hidesLastSeen: fc.boolean(),
  reportEveryMs: fc.constantFrom(0, 50),
  largeAudience: fc.constantFrom(1, 2, 1000),
});

describe('fan-out', () => {
  // Flushes are the test's to choose: those that fan-out would make by itself never come.
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setImmediate', 'setTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  it(
    'sends every client the truth it may know, once, in order, of whom it watches (I17, W26, W41)',
    { timeout: 120_000 },
    () => {
      fc.assert(fc.property(fc.array(fanoutDeed, { maxLength: 60, size: 'max' }), kind, run), { numRuns: 1500 });
    },
  );
});

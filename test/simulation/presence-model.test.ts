/** The core against its model, in random runs. A failing run prints its seed and the shortest list of deeds that fails. */
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { coreDeed, CoreRun, type CoreDeed } from './core-run.ts';

function run(deeds: readonly CoreDeed[], graceMs?: number): void {
  const core = new CoreRun(graceMs === undefined ? {} : { graceMs });
  for (const deed of deeds) core.apply(deed);
  core.end();
}

describe('the core', () => {
  it('agrees with the model after every deed', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(fc.array(coreDeed, { maxLength: 50, size: 'max' }), (deeds) => run(deeds)),
      { numRuns: 3000 },
    );
  });

  it('agrees with the model where there is no grace', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(fc.array(coreDeed, { maxLength: 30, size: 'max' }), (deeds) => run(deeds, 0)),
      { numRuns: 500 },
    );
  });
});

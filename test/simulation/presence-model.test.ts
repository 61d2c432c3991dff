/** The core against its model, in random runs. A failing run prints its seed and the shortest list of deeds that fails. */
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { PresenceStage, type StageOptions } from '../support/presence-stage.ts';
import { coreDeed, CoreRun, type CoreDeed } from './core-run.ts';

function run(deeds: readonly CoreDeed[], options: StageOptions = {}): void {
  const core = new CoreRun(new PresenceStage(options));
  for (const deed of deeds) core.apply(deed);
  core.end();
}

describe('the core', () => {
  it('agrees with the model after every deed', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(fc.array(coreDeed, { maxLength: 50, size: 'max' }), (deeds) => run(deeds)),
      { numRuns: 2000 },
    );
  });

  it('agrees with the model if there is no grace', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(fc.array(coreDeed, { maxLength: 30, size: 'max' }), (deeds) => run(deeds, { graceMs: 0 })),
      { numRuns: 500 },
    );
  });

  // Runs that once failed.

  it('takes a late goodbye of a session that is over, though its user was let go and recalled since', () => {
    const claim = { user: 'a', device: 'web', text: undefined, leaseMs: 400, status: 'online', code: 1 } as const;
    const adapter = 'tcp-xml';
    run([
      { kind: 'begin', claim, adapter },
      { kind: 'leave', at: 0 },
      { kind: 'evict' },
      { kind: 'begin', claim, adapter },
      { kind: 'lose', at: 1 },
      { kind: 'leave', at: 0 },
    ]);
  });

  it('counts no sign of life of an invisible user that came in the millisecond in which it was last visible', () => {
    const claim = { user: 'a', device: 'web', text: undefined, leaseMs: 400, status: 'online', code: 1 } as const;
    const adapter = 'tcp-xml';
    run([
      { kind: 'begin', claim, adapter },
      { kind: 'pass', ms: 3000, budget: 1 },
      { kind: 'begin', claim: { ...claim, status: 'invisible', code: -1 }, adapter },
      { kind: 'begin', claim, adapter },
      { kind: 'pass', ms: 1, budget: 1 },
      { kind: 'giveUp', at: 1 },
    ]);
  });
});

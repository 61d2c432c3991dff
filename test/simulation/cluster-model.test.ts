/**
 * Three nodes under random deeds and faults: see cluster-run.ts. `SEEDS=10000 npx vitest run test/simulation/cluster-model`
 * runs more, from `SEED` on.
 */
import { describe, expect, it } from 'vitest';
import { ClusterRun } from './cluster-run.ts';

const FIRST = Number(process.env['SEED'] ?? 1);
const SEEDS = Number(process.env['SEEDS'] ?? 200);
const DEEDS = 60;

describe('three nodes on one engine', () => {
  it(
    `agree with the truth within 5 s after each fault (${SEEDS} seeds)`,
    async () => {
      const failures: string[] = [];
      for (let seed = FIRST; seed < FIRST + SEEDS && failures.length < 3; seed++) {
        await new ClusterRun(seed).run(DEEDS).catch((error: unknown) => failures.push((error as Error).message));
      }
      expect(failures).toEqual([]);
    },
    1000 * SEEDS + 60_000,
  );
});

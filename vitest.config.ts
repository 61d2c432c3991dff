/**
 * The tests: `unit` runs from the sources alone and takes seconds. All others may start processes, so they run on a fresh
 * dist/. `load` measures pages under load, so it runs when all others are done, one file at a time.
 */
import { defineConfig } from 'vitest/config';
import { SkippedReporter } from './test/support/skipped-reporter.ts';

const shared = {
  pool: 'forks' as const,
  // A client comes back with jitter of up to 30 s, and tests wait for events: a bound, not a pace.
  testTimeout: 60_000,
  hookTimeout: 60_000,
  // The machines that run this have two cores, and timing is part of what is tested.
  maxWorkers: 2,
};

/** A file for the results as JSON. */
const results = process.env['TEST_RESULTS'];

export default defineConfig({
  test: {
    ...shared,
    reporters: ['default', ...(results === undefined ? [] : ['json']), new SkippedReporter()],
    ...(results !== undefined && { outputFile: { json: results } }),
    projects: [
      // Threads start faster than processes, and nothing here needs a process of its own.
      { test: { ...shared, pool: 'threads', name: 'unit', include: ['test/{unit,rules}/**/*.test.ts'] } },
      {
        test: {
          ...shared,
          name: 'hub',
          include: ['test/**/*.test.ts'],
          exclude: ['test/{unit,rules}/**', 'test/load/**', '**/node_modules/**'],
          globalSetup: ['test/support/build-dist.ts'],
        },
      },
      {
        test: {
          ...shared,
          name: 'load',
          include: ['test/load/**/*.test.ts'],
          globalSetup: ['test/support/build-dist.ts'],
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});

/** The tests: `unit` runs from the sources alone; all others may start processes, so they run on a fresh dist/. */
import { defineConfig } from 'vitest/config';

const shared = {
  pool: 'forks' as const,
  testTimeout: 20_000,
  hookTimeout: 60_000,
  // The machines that run this have two cores, and timing is part of what is tested.
  maxWorkers: 2,
};

export default defineConfig({
  test: {
    ...shared,
    projects: [
      { test: { ...shared, name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      {
        test: {
          ...shared,
          name: 'hub',
          include: ['test/**/*.test.ts'],
          exclude: ['test/unit/**', 'node_modules/**'],
          globalSetup: ['test/support/build-dist.ts'],
        },
      },
    ],
  },
});

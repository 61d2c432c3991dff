/** No source has more than 300 lines, comments included, and no folder has more than 14 sources. */
import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import { filesIn, readSource } from './sources.ts';

const MAX_LINES = 300;
const MAX_FILES = 14;

const sources = filesIn('server', 'client', 'shared').filter((path) => /\.(tsx?|mjs)$/.test(path));

/** What is larger than it may be. */
function faults(sizes: ReadonlyMap<string, number>, max: number): string[] {
  return [...sizes].flatMap(([path, size]) => (size > max ? [`${path}: ${size}`] : []));
}

test('no source has more than 300 lines', () => {
  const lines = new Map(sources.map((path) => [path, readSource(path).split('\n').length - 1]));
  expect(faults(lines, MAX_LINES)).toEqual([]);
});

test('no folder has more than 14 sources', () => {
  const counts = new Map<string, number>();
  for (const path of sources) counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1);
  expect(faults(counts, MAX_FILES)).toEqual([]);
});

/**
 * No cycle of imports over more than two files, type imports included: to understand one file of a cycle, one must read
 * all of them.
 */
import { expect, test } from 'vitest';
import { filesIn, importedBy, readSource } from './sources.ts';

type Graph = ReadonlyMap<string, readonly string[]>;

/** The strongly connected components with more than one file (Tarjan's algorithm). */
function cyclesIn(graph: Graph): string[][] {
  const order = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const cycles: string[][] = [];
  const visit = (file: string): number => {
    const no = order.size;
    order.set(file, no);
    low.set(file, no);
    stack.push(file);
    for (const next of graph.get(file) ?? []) {
      if (!graph.has(next)) continue;
      if (!order.has(next)) low.set(file, Math.min(low.get(file) ?? 0, visit(next)));
      else if (stack.includes(next)) low.set(file, Math.min(low.get(file) ?? 0, order.get(next) ?? 0));
    }
    if (low.get(file) === no) {
      const cycle = stack.splice(stack.indexOf(file));
      if (cycle.length > 1) cycles.push(cycle.sort());
    }
    return low.get(file) ?? no;
  };
  for (const file of graph.keys()) if (!order.has(file)) visit(file);
  return cycles;
}

const graphOf = (edges: Readonly<Record<string, string>>): Graph =>
  new Map(Object.entries(edges).map(([from, to]) => [from, to.split(' ')]));

test('cycles are found, however long and however they are joined', () => {
  expect(cyclesIn(graphOf({ a: 'b', b: 'c', c: 'd' }))).toEqual([]);
  expect(cyclesIn(graphOf({ a: 'b', b: 'a c', c: 'd', d: 'c' }))).toEqual([
    ['c', 'd'],
    ['a', 'b'],
  ]);
  expect(cyclesIn(graphOf({ a: 'b', b: 'c', c: 'a d', d: 'b' }))).toEqual([['a', 'b', 'c', 'd']]);
});

test('no import cycle has more than two files', () => {
  const sources = filesIn('server', 'client', 'shared').filter((path) => /\.tsx?$/.test(path));
  const cycles = cyclesIn(new Map(sources.map((path) => [path, importedBy(path, readSource(path))])));
  expect(cycles.filter(({ length }) => length > 2)).toEqual([]);
});

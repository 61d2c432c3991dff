/** The small set behaves like a `Set` below, at and above the size from which it uses one. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SmallSet } from '../../../server/lib/collections/small-set.ts';

describe('a small set', () => {
  it('is walked over a long time: by all that stay, each once, whatever comes and goes', () => {
    const op = fc.record({ kind: fc.constantFrom('add', 'delete', 'step'), item: fc.nat(300) });
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(300), { maxLength: 200 }),
        fc.array(op, { maxLength: 300, size: 'max' }),
        (first, ops) => {
          const small = new SmallSet<number>();
          for (const item of first) small.add(item);
          const staying = new Set(first);
          const walk = small.walk();
          const seen: number[] = [];
          for (const { kind, item } of ops) {
            if (kind === 'add') small.add(item);
            else if (kind === 'delete') {
              small.delete(item);
              staying.delete(item);
            } else {
              const next = walk.next();
              if (next.done !== true) seen.push(next.value);
            }
          }
          for (let next = walk.next(); next.done !== true; next = walk.next()) seen.push(next.value);
          const seenOfStaying = seen.filter((item) => staying.has(item));
          expect(seenOfStaying.sort((a, b) => a - b)).toEqual([...staying].sort((a, b) => a - b));
        },
      ),
      { numRuns: 200 },
    );
  });

  it('answers as a Set does, through growing and shrinking', () => {
    const op = fc.record({
      kind: fc.constantFrom('add', 'add', 'add', 'add new', 'delete', 'clear and fill'),
      item: fc.nat(300),
    });
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(300), { maxLength: 200 }),
        fc.array(op, { maxLength: 300, size: 'max' }),
        (first, ops) => {
          const small = new SmallSet<number>();
          let plain = new Set<number>(first);
          small.fill([...first]);
          for (const { kind, item } of ops) {
            if (kind === 'add') {
              expect(small.add(item)).toBe(!plain.has(item));
              plain.add(item);
            } else if (kind === 'add new') {
              if (!small.has(item)) small.addNew(item);
              plain.add(item);
            } else if (kind === 'delete') {
              expect(small.delete(item)).toBe(plain.delete(item));
            } else if (item < 2) {
              small.clear();
              expect([small.size, ...small]).toEqual([0]);
              plain = new Set([item, 1000, 1001]);
              small.fill([...plain]);
            }
            expect([small.size, small.has(item)]).toEqual([plain.size, plain.has(item)]);
          }
          expect([...small]).toEqual([...plain]);
        },
      ),
      { numRuns: 200 },
    );
  });
});

/** The small set is a `Set`, below, at and above the size where it becomes one. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SmallSet } from '../../../server/lib/small-set.ts';

describe('a small set', () => {
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

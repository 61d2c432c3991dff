/** The small set is a `Set`, below, at and above the size where it becomes one. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SmallSet } from '../../../server/lib/small-set.ts';

describe('a small set', () => {
  it('answers as a Set does, through growing and shrinking', () => {
    const op = fc.record({ kind: fc.constantFrom('add', 'add', 'delete'), item: fc.nat(40) });
    fc.assert(
      fc.property(fc.array(op, { maxLength: 150, size: 'max' }), (ops) => {
        const small = new SmallSet<number>();
        const plain = new Set<number>();
        for (const { kind, item } of ops) {
          if (kind === 'add') {
            expect(small.add(item)).toBe(!plain.has(item));
            plain.add(item);
          } else {
            expect(small.delete(item)).toBe(plain.delete(item));
          }
          expect([small.size, small.has(item)]).toEqual([plain.size, plain.has(item)]);
        }
        expect([...small]).toEqual([...plain]);
      }),
      { numRuns: 200 },
    );
  });
});

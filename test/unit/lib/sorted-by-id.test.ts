/** Items in the order of their ids are a sorted array, whatever comes and goes. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SortedById } from '../../../server/lib/collections/sorted-by-id.ts';

it('holds what was added and not deleted, in order, and walks from any id', () => {
  const id = fc.nat(4000).map(String);
  const op = fc.record({ isAdd: fc.boolean(), id });
  fc.assert(
    fc.property(
      fc.uniqueArray(id, { maxLength: 3000, size: 'max' }),
      fc.array(op, { maxLength: 3000, size: 'max' }),
      id,
      (first, ops, from) => {
        const sorted = new SortedById<{ id: string }>();
        const model = new Set(first);
        for (const one of first) sorted.add({ id: one });
        for (const { isAdd, id: one } of ops) {
          if (isAdd) {
            sorted.add({ id: one });
            model.add(one);
          } else {
            sorted.delete(one);
            model.delete(one);
          }
        }
        const expected = [...model].sort();
        expect([...sorted.from('')].map((item) => item.id)).toEqual(expected);
        expect([...sorted.from(from)].map((item) => item.id)).toEqual(expected.filter((one) => one >= from));
        expect(sorted.size).toBe(expected.length);
        // Emptied in order and in no order, it stays sound.
        for (const one of first) sorted.delete(one);
        for (const one of first) model.delete(one);
        expect([...sorted.from('')].map((item) => item.id)).toEqual([...model].sort());
      },
    ),
    { numRuns: 60 },
  );
});

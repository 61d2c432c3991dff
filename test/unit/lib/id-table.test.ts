/** The table of ids finds what a `Map` would, whatever the ids look like. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IdTable } from '../../../server/lib/collections/id-table.ts';

interface Thing {
  readonly id: string;
}

describe('a table of ids', () => {
  it('answers as a Map does', () => {
    const id = fc.oneof(
      fc.string({ maxLength: 3 }),
      fc.nat(300).map((n) => `u${n}`),
      fc.constantFrom('__proto__', 'constructor', '', 'user-123456789'),
    );
    const op = fc.record({ kind: fc.constantFrom('add', 'add', 'delete', 'get'), id });
    fc.assert(
      fc.property(fc.array(op, { maxLength: 2000, size: 'max' }), (ops) => {
        const table = new IdTable<Thing>();
        const plain = new Map<string, Thing>();
        for (const { kind, id: at } of ops) {
          if (kind === 'add' && !plain.has(at)) {
            const thing = { id: at };
            table.add(thing);
            plain.set(at, thing);
          } else if (kind === 'delete') {
            expect(table.delete(at)).toBe(plain.delete(at));
          }
          expect(table.get(at)).toBe(plain.get(at));
        }
        expect(table.size).toBe(plain.size);
        for (const [at, thing] of plain) expect(table.get(at)).toBe(thing);
        expect(new Set(table.values())).toEqual(new Set(plain.values()));
      }),
      { numRuns: 100 },
    );
  });

  it('still holds ten thousand things after every second one was deleted', () => {
    const table = new IdTable<Thing>();
    const things = Array.from({ length: 20_000 }, (_, i) => ({ id: `user-${i}` }));
    for (const thing of things) table.add(thing);
    things.forEach(({ id }, i) => i % 2 === 0 && table.delete(id));
    expect(things.map(({ id }) => table.get(id))).toEqual(things.map((thing, i) => (i % 2 === 0 ? undefined : thing)));
    expect(table.size).toBe(10_000);
  });

  it('finds all the ids of a list as it finds each, those that are not there and those named twice among them', () => {
    const id = fc.nat(60).map((n) => (n % 7 === 0 ? `user-${n}` : `u${n}`));
    fc.assert(
      fc.property(fc.uniqueArray(id), fc.array(id, { maxLength: 200 }), (held, named) => {
        const table = new IdTable<Thing>();
        for (const heldId of held) table.add({ id: heldId });
        expect(table.getAll(named)).toEqual(named.map((namedId) => table.get(namedId)));
      }),
    );
  });

  it('finds all of a list even if some have the same hash, as about ten pairs of 300,000 do', () => {
    const table = new IdTable<Thing>();
    const things = Array.from({ length: 300_000 }, (_, i) => ({ id: `u${i}` }));
    for (const thing of things) table.add(thing);
    for (let from = 0; from < things.length; from += 1000) {
      const some = things.slice(from, from + 1000);
      const found = table.getAll(some.map(({ id }) => id));
      expect(found.every((thing, i) => thing === some[i])).toBe(true);
    }
  });

  it('may lose things while it is walked', () => {
    const table = new IdTable<Thing>();
    for (let i = 0; i < 1000; i++) table.add({ id: `u${i}` });
    for (const { id } of table.values()) table.delete(id);
    expect([table.size, [...table.values()]]).toEqual([0, []]);
  });
});

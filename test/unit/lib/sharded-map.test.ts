/** The sharded map is a `Map` by string, whatever the keys look like. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ShardedMap } from '../../../server/lib/sharded-map.ts';

describe('a sharded map', () => {
  it('answers as a Map does', () => {
    const key = fc.oneof(
      fc.string({ maxLength: 3 }),
      fc.constantFrom('__proto__', 'constructor', '', 'user-123456789'),
    );
    const op = fc.record({ kind: fc.constantFrom('set', 'delete', 'get'), key, value: fc.nat() });
    fc.assert(
      fc.property(fc.array(op, { maxLength: 80 }), (ops) => {
        const sharded = new ShardedMap<number>();
        const plain = new Map<string, number>();
        for (const { kind, key: at, value } of ops) {
          if (kind === 'set') {
            sharded.set(at, value);
            plain.set(at, value);
          } else if (kind === 'delete') {
            expect(sharded.delete(at)).toBe(plain.delete(at));
          }
          expect(sharded.get(at)).toBe(plain.get(at));
          expect(sharded.size).toBe(plain.size);
        }
        expect([...sharded.values()].sort()).toEqual([...plain.values()].sort());
      }),
      { numRuns: 500 },
    );
  });

  it('may lose keys while it is walked', () => {
    const map = new ShardedMap<string>();
    for (let i = 0; i < 1000; i++) map.set(`u${i}`, `u${i}`);
    for (const key of map.values()) map.delete(key);
    expect([map.size, [...map.values()]]).toEqual([0, []]);
  });

  it('tells apart keys that differ far from their end only', () => {
    const map = new ShardedMap<number>();
    map.set('aaaaaaaa-12345678', 1);
    map.set('bbbbbbbb-12345678', 2);
    expect([map.get('aaaaaaaa-12345678'), map.get('bbbbbbbb-12345678'), map.size]).toEqual([1, 2, 2]);
  });
});

/** The timing wheel, by example and against a naive model that keeps a list of dates. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DONE, NOT_SCHEDULED, TimingWheel, type Timed } from '../../../server/lib/time/timing-wheel.ts';

const TICK_MS = 10;
const SLOTS = 8;

class Item implements Timed {
  wheelTick = NOT_SCHEDULED;
  wheelPlace = 0;
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

function wheelAt(nowMs: number): TimingWheel<Item> {
  return new TimingWheel<Item>(TICK_MS, SLOTS, nowMs);
}

/** The names visited by one look without end of budget; every visited item is done. */
function visited(wheel: TimingWheel<Item>, nowMs: number): string[] {
  const names: string[] = [];
  expect(
    wheel.advance(nowMs, Infinity, (item) => {
      names.push(item.name);
      return DONE;
    }),
  ).toBe(false);
  return names;
}

describe('a timing wheel', () => {
  it('visits an item when it is due or up to a tick later, never earlier', () => {
    for (let due = 1003; due < 1003 + 3 * SLOTS * TICK_MS; due += 3) {
      const wheel = wheelAt(1003);
      wheel.schedule(new Item('a'), due);
      let visitedAt = 0;
      for (let now = 1003; now <= due + TICK_MS; now++) if (visited(wheel, now).length > 0) visitedAt = now;
      expect(visitedAt).toBeGreaterThanOrEqual(due);
    }
  });

  it('visits at the next tick what was due before it was scheduled', () => {
    const wheel = wheelAt(1000);
    wheel.schedule(new Item('late'), 5);
    expect(visited(wheel, 1009)).toEqual([]);
    expect(visited(wheel, 1010)).toEqual(['late']);
  });

  it('visits each item once after a jump of hours, whichever turn it waited for', () => {
    const wheel = wheelAt(0);
    const names = Array.from({ length: 500 }, (_, i) => `${i}`);
    for (const [i, name] of names.entries()) wheel.schedule(new Item(name), i * 7);
    wheel.schedule(new Item('far'), 20_000_000);
    expect(visited(wheel, 3 * 3_600_000).sort()).toEqual(names.sort());
    expect(visited(wheel, 19_999_999)).toEqual([]);
    expect(visited(wheel, 20_000_000)).toEqual(['far']);
  });

  it('asks after a jump only once, even if the answer is a date that the jump passed in the turn', () => {
    const wheel = wheelAt(0);
    wheel.schedule(new Item('alive'), 15);
    let asked = 0;
    const nowMs = 10 * SLOTS * TICK_MS + 5;
    wheel.advance(nowMs, Infinity, () => {
      asked++;
      return nowMs + 1;
    });
    expect(asked).toBe(1);
    expect(visited(wheel, nowMs + 1 + TICK_MS)).toEqual(['alive']);
  });

  it('looks at no more than its budget, goes on where it stopped, and says that more is due', () => {
    const wheel = wheelAt(0);
    for (let i = 0; i < 10; i++) wheel.schedule(new Item(`${i}`), i < 6 ? 20 : 40);
    const names: string[] = [];
    const bite = (budget: number): boolean =>
      wheel.advance(100, budget, (item) => {
        names.push(item.name);
        return DONE;
      });
    expect([bite(4), names.length]).toEqual([true, 4]);
    expect([bite(0), names.length]).toEqual([true, 4]);
    expect([bite(4), names.length]).toEqual([true, 8]);
    expect([bite(4), names.length]).toEqual([false, 10]);
    expect(new Set(names).size).toBe(10);
  });

  it('takes in what is scheduled or cancelled between two bites', () => {
    const wheel = wheelAt(0);
    const items = Array.from({ length: 6 }, (_, i) => new Item(`${i}`));
    for (const item of items) wheel.schedule(item, 20);
    wheel.advance(30, 2, () => DONE);
    wheel.cancel(items[3]!);
    wheel.schedule(items[4]!, 60);
    wheel.schedule(items[0]!, 25);
    expect(visited(wheel, 30).sort()).toEqual(['0', '2', '5']);
    expect(visited(wheel, 60)).toEqual(['4']);
  });

  it('does not visit a cancelled item, but does if it is scheduled again', () => {
    const wheel = wheelAt(0);
    const item = new Item('a');
    wheel.schedule(item, 30);
    wheel.cancel(item);
    expect(visited(wheel, 50)).toEqual([]);
    wheel.schedule(item, 60);
    wheel.cancel(item);
    wheel.schedule(item, 60);
    expect(visited(wheel, 70)).toEqual(['a']);
  });

  it('visits an item at its last date only, moved earlier, later, away and back', () => {
    const wheel = wheelAt(0);
    const item = new Item('a');
    for (const due of [70, 30, 70, 200, 30, 70]) wheel.schedule(item, due);
    expect(visited(wheel, 69)).toEqual([]);
    expect(visited(wheel, 70)).toEqual(['a']);
    expect(visited(wheel, 1000)).toEqual([]);
  });

  it('keeps one place for each item, however often it is moved, canceled and scheduled again', () => {
    const wheel = wheelAt(0);
    const items = Array.from({ length: 3 }, (_, i) => new Item(`${i}`));
    for (let i = 0; i < 10_000; i++) {
      for (const item of items) wheel.schedule(item, i % 2 === 0 ? 20 : 70);
      if (i % 100 === 0) for (const item of items) wheel.cancel(item);
      expect(wheel.placeCount).toBeLessThanOrEqual(3);
    }
    expect(wheel.placeCount).toBe(3);
    expect(visited(wheel, 70)).toHaveLength(3);
    expect(wheel.placeCount).toBe(0);
  });

  it('lets go of what was canceled at once, also of a slot in hand', () => {
    const wheel = wheelAt(0);
    const items = Array.from({ length: 10 }, (_, i) => new Item(`${i}`));
    for (const item of items) wheel.schedule(item, 20);
    wheel.advance(30, 2, () => DONE);
    expect(wheel.placeCount).toBe(8);
    for (const item of items) wheel.cancel(item);
    expect(wheel.placeCount).toBe(0);
    expect(visited(wheel, 1000)).toEqual([]);
  });

  it('agrees with a list of dates, whatever is scheduled, moved and cancelled while time passes', () => {
    const op = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          kind: fc.constant('schedule'),
          item: fc.nat(5),
          inMs: fc.integer({ min: -20, max: 300 }),
        }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel'), item: fc.nat(5), inMs: fc.constant(0) }) },
      {
        weight: 4,
        arbitrary: fc.record({
          kind: fc.constant('advance'),
          item: fc.nat(4),
          inMs: fc.oneof(fc.nat(30), fc.nat(2000)),
        }),
      },
    );
    fc.assert(
      fc.property(fc.array(op, { maxLength: 60 }), (ops) => {
        let now = 1234;
        const wheel = wheelAt(now);
        const items = Array.from({ length: 6 }, (_, i) => new Item(`${i}`));
        const dueOf = new Map<Item, number>();
        /** An item due before it was scheduled may wait a tick from then on. */
        const latestOf = new Map<Item, number>();
        const put = (item: Item, due: number): void => {
          dueOf.set(item, due);
          latestOf.set(item, Math.max(due, now) + TICK_MS);
        };
        for (const { kind, item: no, inMs } of ops) {
          const item = items[no]!;
          if (kind === 'schedule') {
            wheel.schedule(item, now + inMs);
            put(item, now + inMs);
          } else if (kind === 'cancel') {
            wheel.cancel(item);
            dueOf.delete(item);
          } else {
            now += inMs;
            const budget = no + 1;
            let isMoreDue = true;
            for (let bites = 0; isMoreDue; bites++) {
              expect(bites).toBeLessThan(1000);
              let seen = 0;
              isMoreDue = wheel.advance(now, budget, (due) => {
                expect(dueOf.get(due), 'visited without a date, or twice').toBeDefined();
                expect(dueOf.get(due)).toBeLessThanOrEqual(now);
                expect(++seen).toBeLessThanOrEqual(budget);
                dueOf.delete(due);
                if (Number(due.name) % 2 === 0) return DONE;
                put(due, now + 90);
                return now + 90;
              });
            }
            for (const left of dueOf.keys()) expect(latestOf.get(left)).toBeGreaterThan(now);
          }
          expect(wheel.placeCount, 'one place for each date').toBe(dueOf.size);
        }
      }),
      { numRuns: 3000 },
    );
  });
});

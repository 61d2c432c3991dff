import { describe, expect, it } from 'vitest';
import type { TailedChange } from '../../../../../client/dashboard/hub/wire.ts';
import { MAX_ROWS, mixIn, NO_FILTER, passes, TailRows } from '../../../../../client/dashboard/tail/tail-rows.ts';

const change = (user: string, { status = 'online', cause = 'heartbeat', adapter = 'tcp-xml' } = {}): TailedChange =>
  ({
    at: 1,
    cause,
    adapter,
    from: 'offline',
    entry: { user, status, code: 1, since: 1, lastSeen: 1, devices: [], v: 1 },
  }) as unknown as TailedChange;
const users = ({ rows }: TailRows) => rows.map(({ entry }) => entry.user);

describe('the filter of the tail', () => {
  it('takes part of a user id, a status, a cause and an adapter, all at once', () => {
    const lapse = change('ada.42', { status: 'offline', cause: 'lapse' });
    expect(passes(lapse, NO_FILTER)).toBe(true);
    expect(passes(lapse, { user: '42', status: 'offline', cause: 'lapse', adapter: 'tcp-xml' })).toBe(true);
    for (const other of [{ user: '43' }, { status: 'online' }, { cause: 'leave' }, { adapter: 'http' }]) {
      expect(passes(lapse, { ...NO_FILTER, ...other })).toBe(false);
    }
  });
});

describe('the rows of the tail', () => {
  it('have the newest first and are numbered in the order in which they came', () => {
    const tail = new TailRows();
    tail.add([change('1'), change('2')]);
    tail.add([change('3')]);
    expect(users(tail)).toEqual(['3', '2', '1']);
    expect(tail.rows.map(({ number }) => number)).toEqual([3, 2, 1]);
  });

  it('are some hundreds and no more, however much comes', () => {
    const tail = new TailRows();
    for (let batch = 0; batch < 50; batch++) tail.add(Array.from({ length: 200 }, (_, i) => change(`${batch}.${i}`)));
    expect(tail.rows).toHaveLength(MAX_ROWS);
    expect(tail.count).toBe(10_000);
    expect(users(tail)[0]).toBe('49.199');
  });

  it('keep a rare change that passes, though thousands that do not come after it', () => {
    const tail = new TailRows();
    tail.setFilter({ ...NO_FILTER, cause: 'lapse' });
    tail.add([change('rare', { cause: 'lapse' })]);
    for (let batch = 0; batch < 5; batch++) tail.add(Array.from({ length: 200 }, () => change('often')));
    expect(users(tail)).toEqual(['rare']);
  });

  it('come back as far as they are remembered, if the filter is widened', () => {
    const tail = new TailRows();
    tail.add([change('1'), change('2', { adapter: 'http' }), change('3')]);
    tail.setFilter({ ...NO_FILTER, adapter: 'http' });
    expect(users(tail)).toEqual(['2']);
    tail.setFilter(NO_FILTER);
    expect(users(tail)).toEqual(['3', '2', '1']);
  });

  it('say which causes and adapters there were', () => {
    const tail = new TailRows();
    tail.add([change('1', { cause: 'lapse' }), change('2', { adapter: 'http' })]);
    expect(tail.causes).toEqual(['heartbeat', 'lapse']);
    expect(tail.adapters).toEqual(['http', 'tcp-xml']);
    const { causes } = tail;
    tail.add([change('3')]);
    expect(tail.causes).toBe(causes);
  });

  it('come a few at a time, the newest first, and are in order and all there in the end', () => {
    const tail = new TailRows();
    tail.add([change('1'), change('2')]);
    const shown = tail.rows;
    expect(mixIn(tail.rows, [], 2)).toBe(tail.rows);
    tail.add([change('3'), change('4'), change('5')]);
    const mixed = mixIn(tail.rows, shown, 2);
    expect(mixed.map(({ entry }) => entry.user)).toEqual(['5', '4', '2', '1']);
    expect(mixIn(tail.rows, mixed, 2)).toBe(tail.rows);
  });
});

/** In which order friends stand, and whom a search finds. */
import { expect, test } from 'vitest';
import type { Entry } from '../../../../client/sdk/index.ts';
import { Order } from '../../../../client/ui/order.ts';

const entry = (user: string, status: Entry['status'], more: Partial<Entry> = {}): Entry => ({
  user,
  status,
  code: 1,
  since: 1,
  lastSeen: 1,
  devices: [],
  v: 1,
  ...more,
});
const mapOf = (...entries: Entry[]) => new Map(entries.map((one) => [one.user, one]));
const idsOf = (order: Order, entries: ReadonlyMap<string, Entry>, search = '') =>
  order.of(entries, search).map(({ user }) => user);

test('online first, then busy, then away, each by id as people count; offline by last seen, never seen last', () => {
  const entries = mapOf(
    entry('never', 'offline', { lastSeen: null }),
    entry('old', 'offline', { lastSeen: 5 }),
    entry('u10', 'online'),
    entry('away', 'away'),
    entry('recent', 'offline', { lastSeen: 9 }),
    entry('U2', 'online'),
    entry('busy', 'busy'),
    entry('u1', 'online'),
  );
  expect(idsOf(new Order(), entries)).toEqual(['u1', 'U2', 'u10', 'busy', 'away', 'recent', 'old', 'never']);
});

test('a friend who changes status moves, and one who comes or goes is added or removed', () => {
  const order = new Order();
  expect(idsOf(order, mapOf(entry('a', 'offline'), entry('b', 'online')))).toEqual(['b', 'a']);
  expect(idsOf(order, mapOf(entry('a', 'online'), entry('b', 'online')))).toEqual(['a', 'b']);
  expect(idsOf(order, mapOf(entry('c', 'online'), entry('b', 'online')))).toEqual(['b', 'c']);
  expect(idsOf(order, mapOf(entry('c', 'online')))).toEqual(['c']);
});

test('a search finds part of an id or of a text, in any case', () => {
  const entries = mapOf(entry('Alan', 'online'), entry('b', 'away', { text: 'At lunch, ALAS' }), entry('c', 'busy'));
  expect(idsOf(new Order(), entries, ' ala ')).toEqual(['Alan', 'b']);
  expect(idsOf(new Order(), entries, 'nobody')).toEqual([]);
});

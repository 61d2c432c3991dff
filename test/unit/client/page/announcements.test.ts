/** What is announced to a screen reader. */
import { expect, test } from 'vitest';
import { Announcements } from '../../../../client/page/announcements.ts';
import type { Entry } from '../../../../client/sdk/index.ts';

const be = (status: Entry['status'], ...users: string[]): Entry[] =>
  users.map((user) => ({ user, status, code: 1, since: 1, lastSeen: 1, devices: [], v: 1 }));

test('a friend seen for the first time is not announced, and neither is a changed text', () => {
  const announcements = new Announcements();
  announcements.add(be('online', 'a', 'b'), []);
  announcements.add(be('online', 'a'), []);
  expect(announcements.isEmpty).toBe(true);
});

test('a few are named, with what they are in the end', () => {
  const announcements = new Announcements();
  announcements.add(be('offline', 'a', 'b', 'c'), []);
  announcements.add(be('online', 'a', 'b'), []);
  announcements.add(be('busy', 'a'), []);
  expect(announcements.take()).toBe('a is busy. b is online');
  expect(announcements.isEmpty).toBe(true);
});

test('a friend back in the announced status is not announced, and neither is a former friend', () => {
  const announcements = new Announcements();
  announcements.add(be('online', 'a', 'b'), []);
  announcements.add(be('offline', 'a', 'b'), []);
  announcements.add(be('online', 'a'), ['b']);
  expect(announcements.isEmpty).toBe(true);
});

test('many are counted', () => {
  const announcements = new Announcements();
  announcements.add(be('offline', 'a', 'b', 'c', 'd', 'e'), []);
  announcements.add([...be('online', 'a', 'b', 'c'), ...be('away', 'd')], []);
  expect(announcements.take()).toBe('4 friends changed: 3 now online, 1 away');
});

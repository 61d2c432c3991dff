/** What a screen reader is told. */
import { expect, test } from 'vitest';
import { News } from '../../../../client/page/news.ts';
import type { Entry } from '../../../../client/sdk/index.ts';

const be = (status: Entry['status'], ...users: string[]): Entry[] =>
  users.map((user) => ({ user, status, code: 1, since: 1, lastSeen: 1, devices: [], v: 1 }));

test('who is seen for the first time is no news, and a changed text is none', () => {
  const news = new News();
  news.hear(be('online', 'a', 'b'), []);
  news.hear(be('online', 'a'), []);
  expect(news.isEmpty).toBe(true);
});

test('a few are named, with what they are in the end', () => {
  const news = new News();
  news.hear(be('offline', 'a', 'b', 'c'), []);
  news.hear(be('online', 'a', 'b'), []);
  news.hear(be('busy', 'a'), []);
  expect(news.tell()).toBe('a is busy. b is online');
  expect(news.isEmpty).toBe(true);
});

test('who is back to what was told is no news, nor who is no friend any more', () => {
  const news = new News();
  news.hear(be('online', 'a', 'b'), []);
  news.hear(be('offline', 'a', 'b'), []);
  news.hear(be('online', 'a'), ['b']);
  expect(news.isEmpty).toBe(true);
});

test('many are counted', () => {
  const news = new News();
  news.hear(be('offline', 'a', 'b', 'c', 'd', 'e'), []);
  news.hear([...be('online', 'a', 'b', 'c'), ...be('away', 'd')], []);
  expect(news.tell()).toBe('4 friends changed: 3 now online, 1 away');
});

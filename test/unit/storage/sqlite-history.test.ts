/** The history in SQLite: old rows go faster than new users come. */
import { expect, test } from 'vitest';
import { openDatabase } from '../../../server/storage/sqlite/database.ts';
import { SqliteHistory } from '../../../server/storage/sqlite/sqlite-history.ts';

const DAY_MS = 86_400_000;
const USERS = 3000;

test('a purge visits many users in one step, and removes all that is old', () => {
  const opened = openDatabase(':memory:', { sync: 'normal', wallMs: 0 });
  const history = new SqliteHistory(opened, 2000);
  const write = (user: string, at: number): void =>
    history.write([{ user, at, from: 'offline', to: 'online', cause: 'began', merged: null }], at);
  for (let n = 0; n < USERS; n++) write(`once-${n}`, DAY_MS + n);
  for (let n = 0; n < 2 * DELETED_AT_ONCE; n++) write('often', DAY_MS + n);
  write('often', 3 * DAY_MS);
  let steps = 0;
  let longestMs = 0;
  for (let after: string | undefined = ''; after !== undefined; steps++) {
    const begunAt = performance.now();
    after = history.purge(after, 2 * DAY_MS)?.after;
    longestMs = Math.max(longestMs, performance.now() - begunAt);
  }
  expect(opened.db.prepare('SELECT user, at FROM history').all()).toEqual([{ user: 'often', at: 3 * DAY_MS }]);
  // A hub makes 20 steps a second. With more steps here, a purge would be slower than the arrival of new users.
  expect(steps).toBeLessThan(60);
  process.stdout.write(`purge: ${steps} steps, the longest ${longestMs.toFixed(1)} ms\n`);
  opened.close();
});

/** Rows that one step may delete. */
const DELETED_AT_ONCE = 500;

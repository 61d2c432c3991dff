/** Rows that no hub has written: each is named and skipped, and the others are read. */
import { expect, test } from 'vitest';
import { CEILING_AHEAD_MS } from '../../../server/presence/version-clock.ts';
import { openDatabase } from '../../../server/storage/sqlite/database.ts';
import { SqliteStore } from '../../../server/storage/sqlite/sqlite-store.ts';
import { entry, session } from '../../contract/store-contract.ts';

function corruptStore(sql: string) {
  const database = openDatabase(':memory:', { sync: 'normal', wallMs: 1_000_000 });
  const named: string[] = [];
  const store = new SqliteStore(database, CEILING_AHEAD_MS, (row) => named.push(row));
  store.keep([entry('good', 5, { sessions: [session()] }), entry('bad', 6, { sessions: [session()] })]);
  store.block({ user: 'good', viewer: '7', since: 1, lastSeen: 1, v: 5 });
  store.block({ user: 'bad', viewer: '8', since: 1, lastSeen: 1, v: 6 });
  database.db.exec(sql);
  return { store, named };
}

test.each([
  ['sessions that are no JSON', "UPDATE entry SET sessions = '[{' WHERE user = 'bad'"],
  ['sessions that are no list', "UPDATE entry SET sessions = '7' WHERE user = 'bad'"],
  ['a session without its fields', "UPDATE entry SET sessions = '[{}]' WHERE user = 'bad'"],
  ['a list of sessions that holds null', "UPDATE entry SET sessions = '[null]' WHERE user = 'bad'"],
  ['devices that are no JSON', "UPDATE entry SET devices = 'web' WHERE user = 'bad'"],
  ['a version beyond 2^53', "UPDATE entry SET v = 9223372036854775807 WHERE user = 'bad'"],
  ['a time beyond 2^53', "UPDATE entry SET since = 9223372036854775807 WHERE user = 'bad'"],
  ['a version from the far future', "UPDATE entry SET v = 9007199254740000 WHERE user = 'bad'"],
  ['a negative version', "UPDATE entry SET v = -1 WHERE user = 'bad'"],
])('an entry with %s is named and skipped (S15)', (_, sql) => {
  const { store, named } = corruptStore(sql);
  expect(store.withSessions().map(({ user }) => user)).toEqual(['good']);
  expect(named).toEqual(['the entry of user "bad"']);
  expect(store.recall('good')).toBeDefined();
});

test('an entry whose sessions alone are corrupt keeps its version, so that versions only grow', () => {
  const { store } = corruptStore("UPDATE entry SET sessions = '[{', v = 1000100 WHERE user = 'bad'");
  expect(store.recall('bad')).toMatchObject({ v: 1_000_100 });
});

test('halves of surrogate pairs that an older hub stored are replaced, and the entry gets a version of this run', () => {
  const { store, named } = corruptStore('');
  const stored = [session({ device: 'tab \ud83d' }), session({ text: '\ude42 here' })];
  store.keep([
    entry('half', 7, { devices: ['tab \ud83d', 'web'], text: '\ude42 here', sessions: stored }),
    entry('hidden', 8, { status: 'offline', sessions: [session({ status: 'invisible', text: '\ud83d' })] }),
    entry('whole', 9, { text: '\ud83d\ude42 \\ud83d', sessions: [session({ text: '\ud83d\ude42 \\ud83d' })] }),
  ]);
  const entries = new Map(store.withSessions().map((one) => [one.user, one]));
  expect(entries.get('half')).toMatchObject({
    v: store.state.clockFloor,
    sessions: [{ device: 'tab \ufffd' }, { text: '\ufffd here' }],
  });
  // It is shown offline as before: nothing of it was changed.
  expect(entries.get('hidden')).toMatchObject({ v: store.recall('hidden')?.v, sessions: [{ text: '\ufffd' }] });
  expect(entries.get('whole')).toMatchObject({
    v: store.recall('whole')?.v,
    sessions: [{ text: '\ud83d\ude42 \\ud83d' }],
  });
  expect(named).toEqual([]);
});

test('an entry of a user whose id is none is named in one short line', () => {
  const { store, named } = corruptStore("UPDATE entry SET user = hex(zeroblob(5000)) || char(10) WHERE user = 'bad'");
  expect(store.withSessions().map(({ user }) => user)).toEqual(['good']);
  expect(named.join('').length).toBeLessThan(200);
  expect(named.join('')).not.toContain('\n');
});

test.each([
  ['a version beyond 2^53', "UPDATE block SET v = 9223372036854775807 WHERE user = 'bad'"],
  ['a time beyond 2^53', "UPDATE block SET since = 9223372036854775807 WHERE user = 'bad'"],
  ['a viewer that is no user id', "UPDATE block SET viewer = 'not an id' WHERE user = 'bad'"],
])('a block with %s is named and skipped', (_, sql) => {
  const { store, named } = corruptStore(sql);
  expect(store.blocks().map(({ user }) => user)).toEqual(['good']);
  expect(named).toEqual([expect.stringMatching(/^the block of user "bad" against "(8|not an id)"$/)]);
});

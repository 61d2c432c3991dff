import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openSqlite, troubleOf } from '../../../server/lib/sqlite.ts';
import { SqliteRoster } from '../../../server/roster/sqlite-roster.ts';
import { openDatabase } from '../../../server/store/database.ts';

test('an edit while another program writes is refused whole and named busy; the next one passes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hub-roster-'));
  const database = openDatabase(folder, { sync: 'normal', wallMs: 1000 });
  const roster = new SqliteRoster(database);
  const other = openSqlite(join(folder, 'hub.sqlite'));
  other.exec('BEGIN IMMEDIATE');
  let trouble = '';
  try {
    roster.edit({ kind: 'add', edges: [{ user: 'a', friend: 'b' }] }, 1);
  } catch (error) {
    trouble = troubleOf(error);
  }
  expect(trouble).toBe('busy');
  expect(roster.friendsOf('a')).toEqual([]);
  other.exec('ROLLBACK');
  other.close();
  roster.edit({ kind: 'add', edges: [{ user: 'a', friend: 'b' }] }, 2);
  expect(roster.friendsOf('a')).toEqual(['b']);
  database.close();
  rmSync(folder, { recursive: true });
});

test('a reader does not hold up the hub: edits pass while another program has a snapshot open', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hub-roster-'));
  const database = openDatabase(folder, { sync: 'normal', wallMs: 1000 });
  const roster = new SqliteRoster(database);
  const reader = openSqlite(join(folder, 'hub.sqlite'));
  reader.exec('BEGIN');
  const count = reader.prepare<{ n: number }>('SELECT count(*) AS n FROM edge');
  expect(count.get()?.n).toBe(0);
  roster.edit({ kind: 'add', edges: [{ user: 'a', friend: 'b' }] }, 1);
  expect(count.get()?.n).toBe(0);
  reader.exec('COMMIT');
  expect(count.get()?.n).toBe(1);
  reader.close();
  database.close();
  rmSync(folder, { recursive: true });
});

test('a large edit that a crash cut short is completed by the next start, and by nothing twice', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hub-roster-'));
  const friends = Array.from({ length: 700 }, (_, n) => `f${n}`);
  const first = openDatabase(folder, { sync: 'normal', wallMs: 1000 });
  const roster = new SqliteRoster(first);
  roster.edit({ kind: 'replace', user: 'a', friends: ['old', 'f1'], mutual: true }, 1);
  const parts = roster.editInParts({ kind: 'replace', user: 'a', friends, mutual: true }, 2, {
    added: [],
    removed: [],
  });
  for (let n = 0; n < 4; n++) expect(parts.next().done).toBe(false);
  expect(roster.isUnfinished).toBe(true);
  expect(roster.friendsOf('a').length).toBeLessThan(700);
  first.close();
  const second = openDatabase(folder, { sync: 'normal', wallMs: 2000 });
  const after = new SqliteRoster(second);
  expect(after.finish().added.length).toBeGreaterThan(0);
  expect(after.friendsOf('a')).toEqual([...friends].sort());
  expect([after.follows('old', 'a'), after.follows('f699', 'a')]).toEqual([false, true]);
  expect(after.changesSince('a', 1)?.removed).toEqual(['old']);
  expect(after.finish()).toEqual({ added: [], removed: [] });
  second.close();
  rmSync(folder, { recursive: true });
});

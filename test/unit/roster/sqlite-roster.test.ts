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

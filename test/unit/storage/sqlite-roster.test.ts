import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSqlite, troubleOf } from '../../../server/storage/sqlite/sqlite.ts';
import { SqliteRoster } from '../../../server/storage/sqlite/sqlite-roster.ts';
import type { RosterEdit } from '../../../server/roster/port.ts';
import { migrate, steps } from '../../../server/storage/sqlite/schema.ts';
import { openDatabase, type OpenedDatabase } from '../../../server/storage/sqlite/database.ts';

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

describe('the row of a whole list', () => {
  const edit = (user: string, friend: string, kind: 'add' | 'remove'): RosterEdit => ({
    kind,
    edges: [{ user, friend }],
  });

  test('is made by the first read after an edit, always right, and gone with the last friend', () => {
    const database = openDatabase(':memory:', { sync: 'normal', wallMs: 1000 });
    const roster = new SqliteRoster(database);
    const expected = new Map<string, Set<string>>();
    for (let at = 1; at <= 2000; at++) {
      const user = `u${(at * 7) % 5}`;
      const friend = `f${(at * 31) % 13}`;
      const isAdded = (at * 17) % 7 < 4;
      const friends = expected.get(user) ?? new Set();
      expected.set(user, friends);
      if (isAdded) friends.add(friend);
      else friends.delete(friend);
      roster.edit(edit(user, friend, isAdded ? 'add' : 'remove'), at);
      // Some lists are read after each edit, and some after several.
      if (at % 3 === 0) expect(roster.friendsOf(user)).toEqual([...friends].sort());
    }
    for (const [user, friends] of expected) expect(roster.friendsOf(user)).toEqual([...friends].sort());
    for (const friend of expected.get('u0') ?? []) roster.edit(edit('u0', friend, 'remove'), 3000);
    expected.get('u0')?.clear();
    const rows = database.db
      .prepare<{ user: string; friends: string }>('SELECT * FROM friend_list ORDER BY user')
      .all();
    expect(rows.map((row) => [row.user, row.friends])).toEqual(
      ['u1', 'u2', 'u3', 'u4'].map((user) => [user, [...(expected.get(user) ?? [])].sort().join(',')]),
    );
    database.close();
  });

  test('is dropped by an edit of another program, and made again by the next read', () => {
    const database = openDatabase(':memory:', { sync: 'normal', wallMs: 1000 });
    const roster = new SqliteRoster(database);
    roster.edit(edit('a', 'b', 'add'), 1);
    database.db.exec("INSERT INTO edge VALUES ('a', 'c', 2)");
    const count = database.db.prepare<{ n: number }>('SELECT count(*) AS n FROM friend_list');
    expect(count.get()?.n).toBe(0);
    expect(roster.friendsOf('a')).toEqual(['b', 'c']);
    expect(count.get()?.n).toBe(1);
    database.close();
  });

  test('is made for every list when a database of an earlier hub is opened', () => {
    const db = openSqlite(':memory:');
    const before = steps.findIndex((step) => step.includes('friend_list'));
    migrate(db, steps.slice(0, before));
    db.exec("INSERT INTO edge VALUES ('a', 'c', 1), ('a', 'b', 2), ('d', 'a', 3)");
    migrate(db, steps);
    expect(db.prepare('SELECT user, friends FROM friend_list ORDER BY user').all()).toMatchObject([
      { user: 'a', friends: 'b,c' },
      { user: 'd', friends: 'a' },
    ]);
    expect(db.prepare('SELECT count(*) AS n FROM edge').get()).toEqual({ n: 3 });
    expect(new SqliteRoster({ db }).friendsOf('a')).toEqual(['b', 'c']);
    db.close();
  });
});

describe('a large edit', () => {
  const friends = Array.from({ length: 700 }, (_, n) => `f${n}`);
  const replacement: RosterEdit = { kind: 'replace', user: 'a', friends, mutual: true };
  let folder: string;
  let database: OpenedDatabase;
  let roster: SqliteRoster;
  const open = (): void => {
    database = openDatabase(folder, { sync: 'normal', wallMs: 1000 });
    roster = new SqliteRoster(database);
  };
  const begin = (edit: RosterEdit, atMs: number) => {
    const parts = roster.editInParts(edit, atMs);
    for (;;) {
      const part = parts.next();
      if (part.done === true) return part.value;
    }
  };
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hub-roster-'));
    open();
    roster.edit({ kind: 'replace', user: 'a', friends: ['old', 'f1'], mutual: true }, 1);
  });
  afterEach(() => {
    database.close();
    rmSync(folder, { recursive: true });
  });

  test('is seen whole from its beginning on, whatever of it is stored, and says what it changes (H7)', () => {
    const whole = new SqliteRoster(openDatabase(':memory:', { sync: 'normal', wallMs: 1000 }));
    whole.edit({ kind: 'replace', user: 'a', friends: ['old', 'f1'], mutual: true }, 1);
    const change = whole.edit(replacement, 2);
    const isAsIfWhole = (): void => {
      for (const user of ['a', 'old', 'f1', 'f699', 'stranger']) {
        expect(roster.friendsOf(user)).toEqual(whole.friendsOf(user));
        for (const since of [0, 1, 2])
          expect(roster.changesSince(user, since)).toEqual(whole.changesSince(user, since));
        for (const friend of ['a', 'f1', 'old']) expect(roster.follows(user, friend)).toBe(whole.follows(user, friend));
      }
    };
    expect(begin(replacement, 2)).toEqual(change);
    expect(roster.isUnsettled).toBe(true);
    isAsIfWhole();
    for (const _ of roster.settleInParts()) isAsIfWhole();
    expect(roster.isUnsettled).toBe(false);
    isAsIfWhole();
  });

  test('that is cut short by another program’s lock is stored once that is gone', () => {
    begin(replacement, 2);
    const other = openSqlite(join(folder, 'hub.sqlite'));
    const settling = roster.settleInParts();
    for (let n = 0; n < 3; n++) settling.next();
    other.exec('BEGIN IMMEDIATE');
    expect(() => [...roster.settleInParts()]).toThrow();
    expect(roster.isUnsettled).toBe(true);
    expect(roster.friendsOf('a')).toHaveLength(700);
    expect(() => begin(replacement, 3)).toThrow();
    other.exec('ROLLBACK');
    expect([...roster.settleInParts()].length).toBeGreaterThan(1);
    const stored = other.prepare<{ n: number }>("SELECT count(*) AS n FROM edge WHERE user = 'a' OR friend = 'a'");
    expect(stored.get()?.n).toBe(1400);
    other.close();
  });

  test('that storage does not take has changed nothing', () => {
    const other = openSqlite(join(folder, 'hub.sqlite'));
    other.exec('BEGIN IMMEDIATE');
    expect(() => begin(replacement, 2)).toThrow();
    other.exec('ROLLBACK');
    other.close();
    expect(roster.isUnsettled).toBe(false);
    expect(roster.friendsOf('a')).toEqual(['f1', 'old']);
    expect(begin(replacement, 2).removed).toHaveLength(2);
  });

  test('that could never be stored as a whole is not begun', () => {
    expect(() => begin({ ...replacement, friends: [...friends, 'a'] }, 2)).toThrow();
    expect(roster.friendsOf('a')).toEqual(['f1', 'old']);
  });

  test('that a crash cut short is completed by the next start, and by nothing twice (H7)', () => {
    begin(replacement, 2);
    const settling = roster.settleInParts();
    for (let n = 0; n < 4; n++) expect(settling.next().done).toBe(false);
    database.close();
    open();
    expect(roster.friendsOf('a').length).toBeLessThan(700);
    roster.complete();
    expect(roster.friendsOf('a')).toEqual([...friends].sort());
    expect([roster.follows('old', 'a'), roster.follows('f699', 'a')]).toEqual([false, true]);
    expect(roster.changesSince('a', 1)?.removed).toEqual(['old']);
    roster.edit({ kind: 'remove', edges: [{ user: 'a', friend: 'f7' }] }, 3);
    roster.complete();
    expect(roster.follows('a', 'f7')).toBe(false);
  });
});

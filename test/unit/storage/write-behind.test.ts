/** What the write-behind gives to the store, and when: upon a real store in memory, and users that say how they are. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openDatabase, type OpenedDatabase } from '../../../server/storage/sqlite/database.ts';
import { SqliteStore } from '../../../server/storage/sqlite/sqlite-store.ts';
import { WriteBehind } from '../../../server/storage/write-behind.ts';

interface Someone {
  readonly id: string;
  isHere: boolean;
  isUnsaved: boolean;
  isStored: boolean;
}

let database: OpenedDatabase;
let store: SqliteStore;

beforeEach(() => {
  database = openDatabase(':memory:', { sync: 'normal', wallMs: 1000 });
  store = new SqliteStore(database, 0);
});

afterEach(() => {
  database.close();
});

const someone = (id: string, isHere: boolean): Someone => ({ id, isHere, isUnsaved: false, isStored: false });

function writeBehind(mustKeep: (user: Someone) => boolean): WriteBehind<Someone> {
  return new WriteBehind<Someone>({
    store,
    storedOf: ({ id }) => ({
      ...{
        user: id,
        status: 'offline',
        code: -1,
        since: 1,
        lastSeen: 1,
        devices: [],
        text: null,
        v: 5000,
        sessions: [],
      },
    }),
    mustKeep,
    onHealth: () => undefined,
  });
}

it('stores who changed, once it is asked to', () => {
  const writing = writeBehind(() => true);
  const user = someone('42', true);
  writing.add(user);
  expect(user.isUnsaved).toBe(true);
  writing.flush();
  expect(user).toMatchObject({ isUnsaved: false, isStored: true });
  expect(store.recall('42')).toMatchObject({ v: 5000 });
});

it('releases a stored user, even if nobody was ever shown it', () => {
  const writing = writeBehind(() => true);
  for (let i = 0; i < 1000; i++) writing.add(someone(`${i}`, true));
  expect(writing.waitingCount).toBe(1000);
  writing.flush();
  expect(writing.waitingCount).toBe(0);
});

it('keeps users only in memory that need not be stored yet, and does not count them as unsaved', () => {
  const writing = writeBehind(({ isHere }) => !isHere);
  const user = someone('42', true);
  writing.add(user);
  writing.writeFirsts();
  writing.flush();
  expect(user).toMatchObject({ isUnsaved: false, isStored: false });
  expect(store.recall('42')).toBeUndefined();
  user.isHere = false;
  writing.add(user);
  writing.flush();
  expect(store.recall('42')).toBeDefined();
});

it('stores what belongs to entries together with them, or not at all', () => {
  const writing = writeBehind(() => true);
  database.db.exec('CREATE TABLE note (user TEXT)');
  const notes = (): unknown[] => database.db.prepare('SELECT user FROM note').all();
  const user = someone('42', true);
  let isFailing = true;
  let written = 0;
  writing.attach({
    write: () => {
      database.db.exec(`INSERT INTO note VALUES ('42')`);
      // It may read the entry, which asks to have it stored.
      writing.writeFirsts();
      if (isFailing) throw new Error('full');
    },
    written: () => written++,
  });
  writing.add(user);
  writing.storeFirst(user);
  writing.writeFirsts();
  expect([store.recall('42'), notes(), written, user.isStored]).toEqual([undefined, [], 0, false]);
  isFailing = false;
  writing.flush();
  expect(store.recall('42')).toMatchObject({ v: 5000 });
  expect([notes(), written, user.isStored]).toEqual([[{ user: '42' }], 1, true]);
});

it('includes everyone who waits to be stored first in each transaction with a companion', () => {
  const writing = writeBehind(() => true);
  const stored: boolean[] = [];
  const [first, ...others] = Array.from({ length: 150 }, (_, n) => someone(`${n}`, true));
  writing.attach({ write: () => stored.push(store.recall('0') !== undefined), written: () => undefined });
  for (const user of others) {
    user.isStored = true;
    writing.add(user);
  }
  writing.storeFirst(first!);
  writing.flush();
  expect(stored[0]).toBe(true);
});

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

it('lets go of a user who is stored, though nobody was ever told of it', () => {
  const writing = writeBehind(() => true);
  for (let i = 0; i < 1000; i++) writing.add(someone(`${i}`, true));
  expect(writing.waitingCount).toBe(1000);
  writing.flush();
  expect(writing.waitingCount).toBe(0);
});

it('leaves those to memory whom the store need not hear of yet, and does not count them as unsaved', () => {
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

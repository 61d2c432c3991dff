import { beforeEach, describe, expect, it } from 'vitest';
import { ForgetStrangers } from '../../../server/hub/storage/forget-strangers.ts';
import { StorageUnavailable } from '../../../server/lib/storage-unavailable.ts';
import { openDatabase, type OpenedDatabase } from '../../../server/storage/sqlite/database.ts';
import { SqliteRoster } from '../../../server/storage/sqlite/sqlite-roster.ts';
import { SqliteStore } from '../../../server/storage/sqlite/sqlite-store.ts';
import { entry, session } from '../../contract/store-contract.ts';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const BORN = 1_000 * DAY_MS;

let database: OpenedDatabase;
let store: SqliteStore;
let held: Set<string>;
let now: number;
beforeEach(() => {
  database = openDatabase(':memory:', { sync: 'normal', wallMs: BORN });
  store = new SqliteStore(database, 500);
  held = new Set();
  now = BORN;
});

const gone = (user: string, v = now) => entry(user, v, { status: 'offline', code: -1, devices: [] });
const forgetting = (maxStrangers = 1000, followed?: (users: readonly string[]) => Promise<Set<string>>) =>
  new ForgetStrangers({
    store,
    followed,
    isHeld: (user) => held.has(user),
    now: () => now,
    maxStrangers,
    attempt: (work) => {
      work();
      return true;
    },
  });
const pass = (on: ForgetStrangers, rows = 100): void => {
  for (let done = 0; done <= rows; done += 100) on.step();
};
const kept = (...users: string[]): string[] => users.filter((user) => store.recall(user) !== undefined);

describe('the stored entry of a user without followers', () => {
  it('is forgotten 30 days after the user was last there (I19)', () => {
    store.keep([gone('old'), gone('new', now + DAY_MS)]);
    now += 30 * DAY_MS + 1;
    pass(forgetting());
    expect(kept('old', 'new')).toEqual(['new']);
    expect(store.forgottenAt).toBe(now);
  });

  it('stays while the user is in memory, has a session, is or has a friend, or has a block (I19)', () => {
    store.keep(['held', 'followed', 'follower', 'blocking', 'nobody'].map((user) => gone(user)));
    store.keep([entry('present', now, { sessions: [session()] }), entry('shown', now)]);
    held.add('held');
    new SqliteRoster(database).edit({ kind: 'add', edges: [{ user: 'follower', friend: 'followed' }] }, now);
    store.block({ user: 'blocking', viewer: 'x', since: now, lastSeen: now, v: now });
    now += 365 * DAY_MS;
    const on = forgetting();
    pass(on);
    pass(on);
    const users = ['held', 'followed', 'follower', 'blocking', 'present', 'shown'];
    expect(kept(...users, 'nobody')).toEqual(users);
  });

  it('stays if another storage says that the user has friends, cannot say, or the user returned meanwhile (I19)', async () => {
    store.keep(['followed', 'nobody', 'returned'].map((user) => gone(user)));
    now += 31 * DAY_MS;
    await forgetting(1000, () => Promise.reject(new StorageUnavailable('is away', new Error('away')))).stepAsking();
    expect(kept('followed', 'nobody', 'returned')).toHaveLength(3);
    const asking = forgetting(1000, (users) => {
      expect(users).toEqual(['followed', 'nobody', 'returned']);
      store.raiseCeiling(now);
      store.keep([gone('returned')]);
      return Promise.resolve(new Set(['followed']));
    });
    await asking.stepAsking();
    expect(kept('followed', 'nobody', 'returned')).toEqual(['followed', 'returned']);
  });

  it('is forgotten sooner if there are very many, the oldest first (I19)', () => {
    store.keep(Array.from({ length: 900 }, (_, no) => gone(`early-${no}`)));
    now += 2 * 60 * MINUTE_MS;
    store.keep(Array.from({ length: 90 }, (_, no) => gone(`late-${no}`)));
    now += 2 * MINUTE_MS;
    const on = forgetting(100);
    pass(on, 1000); // finds them
    pass(on, 1000); // and forgets
    expect(kept('early-0', 'early-899', 'late-0', 'late-89')).toEqual(['late-0', 'late-89']);
  });

  it('is looked at more often while many leave', () => {
    const on = forgetting(10);
    expect(on.step()).toBe(2000);
    for (let no = 0; no < 11; no++) on.left();
    store.keep(Array.from({ length: 150 }, (_, no) => gone(`u${no}`)));
    expect(on.step()).toBe(5);
  });

  it('takes bounded work a step, however many there are', () => {
    store.keep(Array.from({ length: 1000 }, (_, no) => gone(`u${String(no).padStart(4, '0')}`)));
    now += 31 * DAY_MS;
    const on = forgetting();
    on.step();
    expect(kept('u0000', 'u0099', 'u0100')).toEqual(['u0100']);
  });

  it('is marked as forgotten across runs', () => {
    store.keep([gone('old')]);
    now += 31 * DAY_MS;
    pass(forgetting());
    expect(new SqliteStore(database, 500).forgottenAt).toBe(now);
  });
});

/** Lists in memory, with a source that a test answers by hand: what happens when reads and changes cross. */
import { beforeEach, describe, expect, it } from 'vitest';
import { StorageUnavailable } from '../../../server/lib/storage-unavailable.ts';
import { CachedRoster, type NumberedChange } from '../../../server/roster/cached-roster.ts';
import type { RosterChange } from '../../../server/roster/port.ts';
import type { ListSource, ReadList } from '../../../server/roster/remote.ts';

interface Read {
  readonly users: readonly string[];
  answer(friends: readonly string[], position?: number): Promise<void>;
  fail(): Promise<void>;
}

let reads: Read[];
let reported: RosterChange[];
let health: string[];
let inUse: Set<string>;
let monoMs: number;
let nowMs: number;

/** Lets everything run that waits for no read. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
const away = new StorageUnavailable('is away', new Error('away'));

const source: ListSource = {
  read: (users) =>
    new Promise((resolve, reject) => {
      reads.push({
        users,
        answer: (friends, position = 0) => {
          resolve(new Map<string, ReadList>(users.map((user) => [user, { friends, position }])));
          return turn();
        },
        fail: () => {
          reject(away);
          return turn();
        },
      });
    }),
};

function newRoster(ttlMs = Infinity, slackMs = 0): CachedRoster {
  const roster = new CachedRoster({
    source,
    ttlMs,
    slackMs,
    monoMs: () => monoMs,
    onHealth: (error) => health.push(error?.reason ?? 'well'),
  });
  roster.start({
    changed: (change) => {
      reported.push(change);
      return { atMs: nowMs, notified: Promise.resolve() };
    },
    isInUse: (user) => inUse.has(user),
    now: () => nowMs,
  });
  return roster;
}

const change = (id: number, friend: string, isAdded: boolean): NumberedChange => ({ id, user: '42', friend, isAdded });

beforeEach(() => {
  reads = [];
  reported = [];
  health = [];
  inUse = new Set();
  monoMs = 1000;
  nowMs = 5000;
});

async function loaded(roster: CachedRoster, friends: readonly string[], position = 0): Promise<void> {
  const loading = roster.load(['42']);
  await turn();
  await reads.at(-1)?.answer(friends, position);
  await loading;
}

describe('a list', () => {
  it('is read once with all others that are wanted in the same turn, and then answered at once', async () => {
    const roster = newRoster();
    const all = Promise.all(['42 43', '42', '44'].map(async (users) => roster.load(users.split(' '))));
    await turn();
    expect(reads.map(({ users }) => users)).toEqual([['42', '43', '44']]);
    await reads[0]?.answer(['7']);
    await all;
    expect(roster.load(['42', '43', '44'])).toBeUndefined();
    expect(roster.friendsOf('43')).toEqual(['7']);
  });

  it('that was never loaded is not taken for an empty one', () => {
    expect(() => newRoster().friendsOf('42')).toThrow(StorageUnavailable);
    expect(() => newRoster().follows('42', '7')).toThrow(StorageUnavailable);
  });

  it('read before a change that arrives first is read again', async () => {
    const roster = newRoster();
    const loading = roster.load(['42']);
    await turn();
    await roster.apply([change(5, '7', false)]);
    await reads[0]?.answer(['7'], 4);
    expect(reads).toHaveLength(2);
    await reads[1]?.answer([], 5);
    await loading;
    expect(roster.friendsOf('42')).toEqual([]);
  });

  it('read after a change that arrives later does not go back to it', async () => {
    const roster = newRoster();
    await loaded(roster, ['7'], 6);
    // 7 came with 4, went with 5 and came again with 6. The list holds all of this.
    await roster.apply([change(4, '7', true), change(5, '7', false)]);
    expect(roster.friendsOf('42')).toEqual(['7']);
    expect(reported).toEqual([{ added: [{ user: '42', friend: '7' }], removed: [] }]);
  });

  it('is read again by a refresh that is asked for while it is read', async () => {
    const roster = newRoster();
    const loading = roster.load(['42']);
    await turn();
    const refreshed = roster.refresh('42');
    await reads[0]?.answer(['old']);
    expect(reads).toHaveLength(2);
    await reads[1]?.answer(['new']);
    await Promise.all([loading, refreshed]);
    expect(roster.friendsOf('42')).toEqual(['new']);
  });

  it('reports what a later read shows to have changed, and answers what changed since an instant', async () => {
    const roster = newRoster();
    await loaded(roster, ['7', '8']);
    nowMs = 6000;
    const refreshed = roster.refresh('42');
    await turn();
    await reads[1]?.answer(['8', '9']);
    await refreshed;
    expect(reported).toEqual([{ added: [{ user: '42', friend: '9' }], removed: [{ user: '42', friend: '7' }] }]);
    expect(roster.changesSince('42', 5999)).toEqual({ added: ['9'], removed: ['7'] });
    expect(roster.changesSince('42', 6000)).toEqual({ added: [], removed: [] });
    expect(roster.changesSince('42', 4998)).toBeUndefined();
  });
});

it('a change that another hub may have reported before or after an instant leaves the answer for it open', async () => {
  const roster = newRoster(Infinity, 100);
  await loaded(roster, ['7']);
  nowMs = 6000;
  await roster.apply([change(1, '8', true)]);
  const answered = [5098, 5099, 5899, 5900, 6100, 6101].filter(
    (since) => roster.changesSince('42', since) !== undefined,
  );
  expect(answered).toEqual([5099, 5899, 6101]);
});

describe('a source that fails', () => {
  it('is asked once a second, and requests for a list meanwhile are answered at once', async () => {
    const roster = newRoster();
    const first = expect(roster.load(['42'])).rejects.toBe(away);
    await turn();
    await reads[0]?.fail();
    await first;
    await expect(roster.load(['43'])).rejects.toBe(away);
    expect([reads.length, health]).toEqual([1, ['is away']]);
    monoMs += 1000;
    const second = roster.load(['43']);
    await turn();
    await reads[1]?.answer(['7']);
    await second;
    expect([roster.friendsOf('43'), health]).toEqual([['7'], ['is away', 'well']]);
  });

  it('leaves an old list as it is, without a wait', async () => {
    const roster = newRoster(60_000);
    await loaded(roster, ['7']);
    monoMs += 60_001;
    const again = roster.load(['42']);
    await turn();
    await reads[1]?.fail();
    await again;
    expect(roster.load(['42'])).toBeUndefined();
    expect(roster.friendsOf('42')).toEqual(['7']);
    expect(reported).toEqual([]);
    roster.stop();
  });
});

it('after missed changes, lists in use are read again, and others are forgotten', async () => {
  const roster = newRoster();
  await loaded(roster, ['7']);
  const other = roster.load(['43']);
  await turn();
  await reads.at(-1)?.answer(['7']);
  await other;
  inUse.add('42');
  const done = roster.refreshAll();
  await turn();
  expect(reads.at(-1)?.users).toEqual(['42']);
  await reads.at(-1)?.answer(['8']);
  await done;
  expect(reported).toMatchObject([{ added: [{ friend: '8' }], removed: [{ friend: '7' }] }]);
  expect(roster.load(['43'])).toBeInstanceOf(Promise);
  await turn();
  await reads.at(-1)?.answer([]);
});

it('the lists that were not wanted for longest are dropped beyond 50,000, but never one in use', async () => {
  const roster = newRoster();
  inUse.add('u0');
  const loading = roster.load(Array.from({ length: 50_001 }, (_, n) => `u${n}`));
  await turn();
  for (const read of reads) await read.answer(['7']);
  await loading;
  expect(roster.load(['u0', 'u50000'])).toBeUndefined();
  expect(() => roster.friendsOf('u1')).toThrow(StorageUnavailable);
});

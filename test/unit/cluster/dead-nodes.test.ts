/** When the sessions of a dead node are removed from the records. */
import { expect, it } from 'vitest';
import { DeadNodeCleanup } from '../../../server/cluster/dead-nodes.ts';
import type { Engine } from '../../../server/cluster/engine.ts';
import { MemberList } from '../../../server/cluster/members.ts';
import type { SharedSession, UserRecord } from '../../../server/cluster/record/record.ts';

const TICK_MS = 100;
const session = { a: 'ws-json', d: 'web', l: 25_000 } as SharedSession;
const record = { parts: { dead: [session] } } as unknown as UserRecord;

/** When the record of a user of a dead node is due, in milliseconds since the death, if it still has the session. */
async function dueMs(forMs: number): Promise<number[]> {
  const members = new MemberList(6000);
  let now = 0;
  const answer = (state: 'live' | 'dead'): void => {
    const other = { inc: 'self', beat: now, state: 'live', facts: '' } as const;
    members.update(
      { members: [other, { inc: 'dead', beat: 1, state, facts: '' }], history: 'h', replicas: undefined, erasedAt: 0 },
      now,
      now,
    );
  };
  const times: number[] = [];
  const cleanup = new DeadNodeCleanup({
    engine: { fence: (bucket: number) => Promise.resolve(bucket === 0 ? ['user'] : []) } as unknown as Engine,
    ...{ buckets: 4, members, graceMs: 2000, warmMs: 0 },
    isFormer: () => false,
    scheduleWrite: (user) => {
      times.push(members.endedMs('dead'));
      cleanup.settled(user, record);
    },
    isPolled: () => false,
    load: () => undefined,
    onOrphan: () => undefined,
  });
  answer('live');
  for (answer('dead'); members.endedMs('dead') < forMs; now += TICK_MS) {
    answer('dead');
    cleanup.tick('self');
    await Promise.resolve().then(() => undefined); // the fences
    await new Promise((resolve) => setImmediate(resolve));
  }
  return times;
}

it('a session of a dead node is removed when its grace of 3 s is over, not later (C10)', async () => {
  const [first, second] = await dueMs(5000);
  expect(first).toBeLessThanOrEqual(TICK_MS);
  expect(second).toBe(3000);
});

it('a session that could not be removed is tried again every half second', async () => {
  expect((await dueMs(4600)).slice(1)).toEqual([3000, 3500, 4000, 4500]);
});

it('users of another share that are looked for late are no reason for a doubt, and are orphans if they have sessions left', async () => {
  const members = new MemberList(6000);
  const orphans: [string, boolean][] = [];
  const http = { a: 'http', d: 'cron', l: 3_600_000 } as SharedSession;
  const waiting: string[] = [];
  const cleanup = new DeadNodeCleanup({
    engine: { fence: (bucket: number) => Promise.resolve(bucket === 0 ? ['user'] : []) } as unknown as Engine,
    ...{ buckets: 2, members, graceMs: 2000, warmMs: 25_000 },
    isFormer: () => false,
    scheduleWrite: (user) => waiting.push(user),
    isPolled: () => false,
    load: () => undefined,
    onOrphan: (user, isOrphan) => orphans.push([user, isOrphan]),
  });
  const answer = (now: number, state: 'live' | 'dead'): void => {
    const live = ['other', 'self'].map((inc) => ({ inc, beat: now, state: 'live', facts: '' }) as const);
    const all = [...live, { inc: 'dead', beat: state === 'live' ? now : 1000, state, facts: '' }];
    members.update({ members: all, history: 'h', replicas: undefined, erasedAt: 0 }, now, now);
  };
  for (let now = 0; now <= 1000; now += TICK_MS) answer(now, 'live');
  const doubted: number[] = [];
  for (let now = 1100; members.endedMs('dead') < 6000; now += TICK_MS) {
    answer(now, 'dead');
    cleanup.tick('self');
    if (cleanup.isShowingDead) doubted.push(members.endedMs('dead'));
    await new Promise((resolve) => setImmediate(resolve)); // the fences
  }
  expect(Math.max(...doubted)).toBeLessThan(4000);
  expect([waiting, cleanup.isSearching]).toEqual([['user'], false]);
  cleanup.settled('user', { parts: { dead: [http] } } as unknown as UserRecord);
  cleanup.settled('user', { parts: {} } as unknown as UserRecord);
  cleanup.settled('another', { parts: {} } as unknown as UserRecord);
  expect(orphans).toEqual([
    ['user', true],
    ['user', false],
  ]);
  expect(cleanup.isShowingDead).toBe(false);
});

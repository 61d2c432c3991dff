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

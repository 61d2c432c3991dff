/** What the sender of a rule remembers of waiting events, so that the store may lose them. */
import { describe, expect, it } from 'vitest';
import type { StoredBatch } from '../../../../server/cluster/webhooks/event-store.ts';
import { RuleQueue } from '../../../../server/cluster/webhooks/rule-queue.ts';

const batchOf = (id: string, ...users: string[]): StoredBatch => ({
  ...{ id, body: '{}', count: users.length, formedAt: 0, attempts: 0, nextAt: 0 },
  taken: users.map((user) => ({ bucket: 1, user, id: 'hub.1-mail' })),
});

describe('the sender of a rule remembers the users whose events', () => {
  it('wait in a bucket, and for a while after the bucket is empty, because the store may have lost its data (N10)', () => {
    const queue = new RuleQueue(4);
    queue.addUser(1, 'a');
    queue.beginScan(1);
    queue.endScan(1, undefined, [], 1000);
    expect([...queue.users()]).toEqual(['a']);
  });

  it('are in a batch that disappeared from the store (N10)', () => {
    const queue = new RuleQueue(4);
    queue.foundBatch(batchOf('one', 'a', 'b'), 1000);
    queue.foundBatch(undefined, 2000);
    expect([...queue.users()]).toEqual(['a', 'b']);
    queue.foundBatch(batchOf('two', 'c'), 3000);
    expect(new Set(queue.users())).toEqual(new Set(['a', 'b', 'c']));
  });

  it('were there a while ago, but not forever', () => {
    const queue = new RuleQueue(4);
    for (const [i, user] of ['a', 'b', 'c'].entries()) {
      queue.foundBatch(batchOf(user, user), 12_000 * i);
      queue.foundBatch(undefined, 12_000 * i + 1000);
    }
    expect(new Set(queue.users())).toEqual(new Set(['b', 'c']));
  });
});

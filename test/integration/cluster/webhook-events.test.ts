/** The events of webhooks in a real Redis: what happens to them together with a record, and on their way into a batch. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NewEvent, Operation, OperationAnswer, StepResult } from '../../../server/cluster/engine.ts';
import { RedisEvents } from '../../../server/cluster/redis/redis-events.ts';
import { openRedisEngine, type RedisSupervisor } from '../../../server/cluster/redis/supervisor.ts';
import type { StoredBatch, Taken } from '../../../server/cluster/webhooks/event-store.ts';
import { needing } from '../../support/needs.ts';
import { RedisServer } from '../../support/redis/redis-server.ts';

const RULE = 'mail';
const HOUR_MS = 3_600_000;

describe('webhook events in Redis', needing('redis-server'), () => {
  let redis: RedisServer;
  let supervisor: RedisSupervisor;
  let events: RedisEvents;
  let ops = 0;
  const clocks = new Map<string, number>();

  beforeEach(async () => {
    redis = await RedisServer.start();
    const isBack = new Promise<void>((resolve) => {
      void openRedisEngine(redis.url, { prefix: 'ph:', buckets: 2, agreement: {}, warn: () => undefined }).then(
        (opened) => {
          supervisor = opened;
          opened.connect({
            message: () => undefined,
            directMessage: () => undefined,
            away: () => undefined,
            back: resolve,
          });
        },
      );
    });
    await isBack;
    events = new RedisEvents(supervisor.engine, 2, Date.now);
    clocks.clear();
  });
  afterEach(async () => {
    supervisor.stop();
    await redis.close();
  });

  /** Changes the record of a user together with its event. `step`: null drops the event. */
  async function change(
    user: string,
    from: string,
    status: string,
    step: Partial<NewEvent> | null = {},
  ): Promise<StepResult> {
    const event = step && { from, status, cause: 'set', afterMs: 0, most: 100, isNews: false, ...step };
    const operation: Operation = {
      ...{ user, bucket: 0, op: `a.${++ops}`, inc: 'a', expect: clocks.get(user) ?? 0, floor: 0, isShown: true },
      ...{ body: `{"s":"${status}"}\t{}`, pushed: '{}', joins: [], leaves: [], steps: [{ rule: RULE, event }] },
    };
    const answer: OperationAnswer = await supervisor.engine.change(operation);
    if (answer.kind !== 'ok') throw new Error(answer.kind);
    clocks.set(user, answer.stamp.n);
    // Once more under the same id: nothing more happens.
    expect((await supervisor.engine.change(operation)).kind).toBe('done');
    return answer.results[0]!;
  }
  const take = (options: { limit?: number; afterMs?: number; wantsUsers?: boolean } = {}): Promise<Taken> =>
    events.take(0, RULE, { limit: 100, afterMs: HOUR_MS, wantsUsers: false, ...options });
  const summaryOf = ({ events: taken }: Taken): string[] =>
    taken.map(({ user, from, status, cause }) => `${user} ${from} ${status} ${cause}`).sort();
  const batch = (id: string, taken: StoredBatch['taken'] = []): StoredBatch => {
    return { id, body: '{"events":[]}', count: 1, formedAt: 1, attempts: 0, nextAt: 1, taken };
  };

  it('a later event replaces the waiting one, has its own id and keeps the first `from` (N4)', async () => {
    expect(await change('42', 'online', 'away')).toBe('new');
    expect(await change('42', 'away', 'busy')).toBe('replaced');
    const taken = await take();
    expect(summaryOf(taken)).toEqual(['42 online busy set']);
    expect(taken.events[0]!.id).toBe(`a.${ops}-mail`);
    expect(taken.events[0]!.record).toMatch(/^\d+ \d+ a\.\d+ \d+ \{"s":"busy"\}$/);
    expect(taken.nextInMs).toBeUndefined();
  });

  it('an event that is not due is dropped if the user is back, or leaves the statuses of the rule (N4)', async () => {
    await change('42', 'online', 'offline', { afterMs: HOUR_MS });
    expect((await take({ wantsUsers: true })).users).toEqual(['42']);
    expect(await change('42', 'offline', 'online', { afterMs: HOUR_MS })).toBe('replaced');
    await change('7', 'online', 'offline', { afterMs: HOUR_MS });
    expect(await change('7', 'offline', 'away', null)).toBe('replaced');
    expect(await change('7', 'away', 'busy', null)).toBe('new');
    expect(await take({ wantsUsers: true })).toEqual({ events: [], nextInMs: undefined, users: [] });
  });

  it('an event that is due stays even if the user is back, because the receiver may not know that', async () => {
    await change('42', 'offline', 'online');
    await change('42', 'online', 'offline');
    expect(summaryOf(await take())).toEqual(['42 offline offline set']);
  });

  it('no events wait beyond the maximum, but a waiting event is still replaced', async () => {
    await change('1', 'offline', 'online', { most: 1 });
    expect(await change('2', 'offline', 'online', { most: 1 })).toBe('dropped');
    expect(await change('1', 'online', 'busy', { most: 1 })).toBe('replaced');
    expect(summaryOf(await take())).toEqual(['1 offline busy set']);
  });

  it('no event is due later than the present rule allows', async () => {
    await change('42', 'online', 'offline', { afterMs: HOUR_MS });
    expect((await take()).nextInMs).toBeGreaterThan(HOUR_MS - 60_000);
    await take({ afterMs: 0 });
    expect(summaryOf(await take({ afterMs: 0 }))).toEqual(['42 online offline set']);
  });

  it('a taken event is taken again until it is cleared, and a second event of its user waits for that', async () => {
    await change('42', 'offline', 'online');
    await change('7', 'offline', 'online');
    const first = await take({ limit: 1 });
    expect(first.events).toHaveLength(1);
    expect(first.nextInMs).toBeLessThanOrEqual(0);
    const { events: both } = await take();
    expect(both.map(({ user }) => user).sort()).toEqual(['42', '7']);
    await change('42', 'online', 'busy');
    const again = await take();
    expect(summaryOf(again)).toEqual(['42 offline online set', '7 offline online set']);
    await events.clear(
      RULE,
      again.events.map(({ user, id }) => ({ bucket: 0, user, id })),
    );
    const next = await take();
    expect(summaryOf(next)).toEqual(['42 online busy set']);
    // The id of an earlier event clears nothing.
    await events.clear(RULE, [{ bucket: 0, user: '42', id: both[0]!.id }]);
    expect(summaryOf(await take())).toEqual(['42 online busy set']);
  });

  it('the current state of users without an event is restated, only in the statuses of the rule', async () => {
    await change('waits', 'offline', 'busy');
    await change('here', 'offline', 'online', null);
    await change('away', 'offline', 'away', null);
    const users = ['waits', 'here', 'away', 'unknown'];
    const options = { op: 'r.1', on: ['busy', 'online', 'offline'], afterMs: 0, most: 100 };
    expect(await events.restate(0, RULE, users, options)).toEqual(['replaced', 'new', 'replaced', 'new']);
    const taken = await take();
    expect(summaryOf(taken)).toEqual([
      'here online online restored',
      'unknown offline offline restored',
      'waits offline busy set',
    ]);
    expect(new Set(taken.events.map(({ id }) => id)).size).toBe(3);
  });

  it('a restated state stays even if the user returns to it, because the receiver may know another one', async () => {
    await change('42', 'offline', 'online', null);
    await events.restate(0, RULE, ['42'], { op: 'r.1', on: ['online', 'away'], afterMs: HOUR_MS, most: 100 });
    await change('42', 'online', 'away', { afterMs: HOUR_MS });
    await change('42', 'away', 'online', { afterMs: HOUR_MS });
    await take({ afterMs: 0 });
    expect(summaryOf(await take({ afterMs: 0 }))).toEqual(['42 online online set']);
  });

  it('one node at a time holds the claim of a rule, and only it stores and settles the batch', async () => {
    expect(await events.claim(RULE, 'a')).toEqual({ kind: 'granted', batch: undefined, replayed: 0 });
    expect(await events.claim(RULE, 'b')).toEqual({ kind: 'refused', holder: 'a' });
    expect(await events.store(RULE, 'b', batch('m1'), 0)).toBe(false);
    expect(await events.store(RULE, 'a', batch('m1'), 0)).toBe(true);
    await events.settle(RULE, 'b', 'm1', [], 10);
    expect(await events.claim(RULE, 'b', 'a')).toEqual({ kind: 'granted', batch: batch('m1'), replayed: 0 });
    await events.settle(RULE, 'a', 'm1', [], 10);
    await events.settle(RULE, 'b', 'm0', [], 10);
    expect((await events.batchCounts(RULE)).sent).toBe(1);
    await events.settle(RULE, 'b', 'm1', [], 10);
    await events.release(RULE, 'b');
    expect(await events.claim(RULE, 'c')).toEqual({ kind: 'granted', batch: undefined, replayed: 0 });
  });

  it('dead events are kept up to a maximum, replayed in their order, listed and erased by user', async () => {
    const dead = ['1', '2', '3'].map((user) => JSON.stringify({ id: user, entry: { user } }));
    await events.claim(RULE, 'a');
    await events.store(RULE, 'a', batch('m1'), 0);
    await events.settle(RULE, 'a', 'm1', dead, 2);
    await change('3', 'offline', 'online');
    await change('2', 'offline', 'online');
    await take({ limit: 1 });
    expect((await events.eventsOf('3', 0, RULE)).sent).toEqual([dead[2]]);
    expect(await events.counts(0, [RULE])).toMatchObject([{ waiting: 1, taken: 1 }]);
    expect(await events.replay(RULE)).toBe(2);
    expect(await events.replayed(RULE, 10)).toEqual([dead[1], dead[2]]);
    await events.eraseUser('3', 0, RULE);
    expect(await events.eventsOf('3', 0, RULE)).toEqual({ sent: [], waiting: [] });
    expect((await events.eventsOf('2', 0, RULE)).waiting).toHaveLength(1);
    expect(await events.batchCounts(RULE)).toMatchObject({ replayed: 1, dead: 0 });
    await events.addRule(RULE);
    await events.dropRule(RULE);
    expect(await events.rules()).toEqual([]);
    expect(await events.counts(0, [RULE])).toEqual([{ waiting: 0, taken: 0, oldestForMs: undefined }]);
  });

  it('an event that a foreign program wrote is dropped', async () => {
    await change('42', 'offline', 'online');
    const [keys] = (await redis.send(['KEYS', 'ph:*:e:mail'])) as [string[]];
    await redis.send(['HSET', keys[0]!, '42', 'nonsense']);
    expect((await take()).events).toEqual([]);
    await redis.send(['SET', 'ph:{m}:b:mail', '{"id":7}']);
    expect(await events.claim(RULE, 'a')).toMatchObject({ kind: 'granted', batch: undefined });
  });
});

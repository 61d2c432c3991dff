/** The sender over real SQLite, with the time and the receiver in the test's hands. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openDatabase } from '../../../server/storage/sqlite/database.ts';
import { SqliteWebhookQueue } from '../../../server/storage/sqlite/sqlite-webhook-queue.ts';
import type { Outcome } from '../../../server/webhooks/post.ts';
import type { Batch } from '../../../server/webhooks/queue.ts';
import { Sender } from '../../../server/webhooks/sender.ts';

const HOUR_MS = 3_600_000;

let queue: SqliteWebhookQueue;
let sent: { readonly at: number; readonly batch: Batch }[];
let receiver: () => Promise<Outcome>;
let isHeld: (user?: string) => boolean;
let results: string[];
let sender: Sender;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  queue = new SqliteWebhookQueue(openDatabase(':memory:', { sync: 'normal', wallMs: Date.now() }), 1000);
  sent = [];
  results = [];
  receiver = () => Promise.resolve({ kind: 'delivered' });
  isHeld = () => false;
  let messages = 0;
  sender = new Sender({
    rule: 'mail',
    afterMs: 60_000,
    queue,
    post: (batch) => {
      sent.push({ at: Date.now(), batch });
      return receiver();
    },
    now: () => Date.now(),
    isHeld: (user) => isHeld(user),
    toBody: (events) => ({ id: `m${++messages}`, body: `{"events":[${events.join(',')}]}` }),
    keepMs: 24 * HOUR_MS,
    random: () => 1,
    onResult: (result, count) => results.push(`${result} ${count}`),
    onHealth: () => undefined,
  });
});

afterEach(async () => {
  await sender.stop();
  vi.useRealTimers();
});

function put(user: string, afterMs = 0): void {
  const at = Date.now();
  const entry = JSON.stringify({ user, status: 'offline' });
  const event = { id: `${user}-${at}`, rule: 'mail', user, at, cause: 'lapsed', entry, dueAt: at + afterMs } as const;
  queue.apply([{ kind: 'put', event: { ...event, from: 'online', status: 'offline' } }], at);
  sender.wake();
}

const passed = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

test('an event is sent at once, and one with afterMs when that time is over', async () => {
  put('42');
  put('7', 60_000);
  await passed(0);
  expect(sent.map(({ batch }) => batch.body)).toEqual([expect.stringContaining('"42"')]);
  await passed(59_999);
  expect(sent).toHaveLength(1);
  await passed(1);
  expect(sent[1]?.batch.body).toContain('"7"');
  expect(results).toEqual(['delivered 1', 'delivered 1']);
});

test('a receiver that is down for an hour gets the same batch with the same id, less and less often, and then the rest (N3)', async () => {
  receiver = () => Promise.resolve({ kind: 'failed', reason: 'ECONNREFUSED' });
  put('42');
  await passed(0);
  put('7');
  await passed(HOUR_MS);
  const waits = sent.slice(1).map(({ at }, n) => at - (sent[n]?.at ?? 0));
  expect(waits.slice(0, 10)).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300].map((s) => s * 1000));
  expect(Math.max(...waits)).toBe(300_000);
  expect(new Set(sent.map(({ batch }) => batch.id + batch.body)).size).toBe(1);
  receiver = () => Promise.resolve({ kind: 'delivered' });
  await passed(300_000);
  expect(sent.at(-2)?.batch.id).toBe('m1');
  expect(sent.at(-1)?.batch).toMatchObject({ id: 'm2', body: expect.stringContaining('"7"') as string });
});

test('while a failed batch waits, new events do not cause it to be read again', async () => {
  receiver = () => Promise.resolve({ kind: 'failed', reason: 'ECONNREFUSED' });
  put('42');
  await passed(3000);
  const batchOf = vi.spyOn(queue, 'batchOf');
  for (let no = 0; no < 100; no += 1) {
    put(`u${no}`);
    await passed(10);
  }
  expect(batchOf.mock.calls.length).toBeLessThan(4);
  receiver = () => Promise.resolve({ kind: 'delivered' });
  await passed(3000);
  expect(sent.at(-1)?.batch.count).toBe(100);
});

test('a batch that no attempt delivers in a day is dead, and the next one follows', async () => {
  receiver = () => Promise.resolve({ kind: 'failed', reason: 'it answered 500' });
  put('42');
  await passed(1000);
  put('7');
  await passed(24 * HOUR_MS);
  expect(results).toContain('dead 1');
  expect(queue.counts().get('mail')).toEqual({ queued: 1, dead: 1 });
  expect(sent.at(-1)?.batch.body).toContain('"7"');
});

test('only one attempt is under way at a time', async () => {
  let answer: (outcome: Outcome) => void = () => undefined;
  receiver = () => new Promise((resolve) => (answer = resolve));
  put('42');
  await passed(0);
  put('7');
  put('9');
  await passed(5000);
  expect(sent).toHaveLength(1);
  answer({ kind: 'delivered' });
  await passed(0);
  expect(sent).toHaveLength(2);
  expect(sent[1]?.batch.count).toBe(2);
  answer({ kind: 'delivered' });
  await passed(0);
});

test('nothing is sent about a user with an uncertain state, until it is certain again', async () => {
  isHeld = (user) => user === '42';
  put('42');
  put('7');
  await passed(5000);
  expect(sent.map(({ batch }) => batch.body)).toEqual([expect.stringContaining('"7"')]);
  isHeld = () => false;
  await passed(1000);
  expect(sent[1]?.batch.body).toContain('"42"');
});

test('an attempt that the stop aborts is no failure, and the next run repeats the batch', async () => {
  receiver = () => new Promise((resolve) => setTimeout(() => resolve({ kind: 'failed', reason: 'ended' }), 10));
  put('42');
  await passed(0);
  const stopped = sender.stop();
  await passed(10);
  await stopped;
  expect(results).toEqual([]);
  expect(queue.batchOf('mail')).toMatchObject({ id: 'm1', attempts: 0 });
});

test('an attempt that is answered within the time of a stop counts', async () => {
  receiver = () => new Promise((resolve) => setTimeout(() => resolve({ kind: 'delivered' }), 10));
  put('42');
  await passed(0);
  put('7');
  const stopped = sender.stop(1000);
  await passed(10);
  await stopped;
  expect(results).toEqual(['delivered 1']);
  expect(sent).toHaveLength(1);
  expect(queue.batchOf('mail')).toBeUndefined();
});

test('a wall clock that is set back by a day delays nothing by a day', async () => {
  put('42', 60_000);
  vi.setSystemTime(Date.now() - 24 * HOUR_MS);
  await passed(62_000);
  expect(sent.map(({ batch }) => batch.body)).toEqual([expect.stringContaining('"42"')]);
  receiver = () => Promise.resolve({ kind: 'failed', reason: 'it answered 500' });
  put('7');
  await passed(0);
  vi.setSystemTime(Date.now() - 24 * HOUR_MS);
  receiver = () => Promise.resolve({ kind: 'delivered' });
  await passed(2000);
  expect(results.at(-1)).toBe('delivered 1');
});

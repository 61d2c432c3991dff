import { expect, test } from 'vitest';
import { openDatabase } from '../../../server/storage/sqlite/database.ts';
import { SqliteWebhookQueue } from '../../../server/storage/sqlite/sqlite-webhook-queue.ts';
import { MAX_WEBHOOK_EVENTS } from '../../../shared/limits.ts';
import type { QueueStep, WebhookEvent } from '../../../server/webhooks/queue.ts';

const NOBODY_HELD = (): boolean => false;
const AT = 1_000_000;

function openQueue(maxWaiting = 100_000): SqliteWebhookQueue {
  return new SqliteWebhookQueue(openDatabase(':memory:', { sync: 'normal', wallMs: AT }), maxWaiting);
}

let ids = 0;
function put(user: string, changes: Partial<WebhookEvent> = {}): QueueStep {
  const id = `e${++ids}`;
  const status = changes.status ?? 'offline';
  const entry = JSON.stringify({ user, status });
  return {
    kind: 'put',
    event: { id, rule: 'mail', user, at: AT, from: 'online', cause: 'lapsed', dueAt: AT, ...changes, status, entry },
  };
}

interface Sent {
  readonly id: string;
  readonly from: string;
  readonly entry: { readonly user: string; readonly status: string };
}

function form(queue: SqliteWebhookQueue, nowMs = AT, isHeld = NOBODY_HELD as (user: string) => boolean): Sent[] {
  const batch = queue.formBatch('mail', nowMs, isHeld, (events) => ({
    id: 'm1',
    body: `{"events":[${events.join(',')}]}`,
  }));
  return batch === undefined ? [] : (JSON.parse(batch.body) as { events: Sent[] }).events;
}

test('a later event of a user replaces the waiting one, has its own id, and keeps the first `from` (N4)', () => {
  const queue = openQueue();
  queue.apply([put('42', { id: 'a', from: 'online', status: 'away' })], AT);
  expect(queue.apply([put('42', { id: 'b', from: 'away', status: 'offline' })], AT)).toEqual(
    new Map([['mail', { replaced: 1, dropped: 0 }]]),
  );
  expect(form(queue)).toEqual([
    expect.objectContaining({ id: 'b', from: 'online', entry: { user: '42', status: 'offline' } }),
  ]);
});

test('an event that is due keeps its place when a later one of its user replaces it', () => {
  const queue = openQueue();
  queue.apply([put('42', { dueAt: AT - 2 }), put('7', { dueAt: AT - 1 })], AT);
  queue.apply([put('42', { id: 'b', dueAt: AT })], AT);
  expect(queue.oldestDueAt('mail')).toBe(AT - 2);
  expect(form(queue).map(({ id, entry }) => [entry.user, id === 'b'])).toEqual([
    ['42', true],
    ['7', false],
  ]);
});

test('a change back before the event is due leaves nothing to send', () => {
  const queue = openQueue();
  queue.apply([put('42', { from: 'online', status: 'offline', dueAt: AT + 60_000 })], AT);
  queue.apply([put('42', { from: 'offline', status: 'online', dueAt: AT + 90_000 })], AT + 30_000);
  expect(queue.nextDueAt('mail')).toBeUndefined();
});

test('a change back after the event was due is sent, because the receiver may get no other event of the user', () => {
  const queue = openQueue();
  queue.apply([put('42', { from: 'offline', status: 'online', dueAt: AT })], AT);
  queue.apply([put('42', { from: 'online', status: 'offline', dueAt: AT + 5 })], AT + 5);
  expect(form(queue, AT + 5)).toEqual([expect.objectContaining({ from: 'offline' })]);
});

test('a change to a status that is not reported drops the waiting event', () => {
  const queue = openQueue();
  queue.apply([put('42'), put('7')], AT);
  queue.apply([{ kind: 'drop', rule: 'mail', user: '42' }], AT);
  expect(form(queue).map(({ entry }) => entry.user)).toEqual(['7']);
});

test('events that are not due, and those of held users, wait', () => {
  const queue = openQueue();
  queue.apply([put('42', { dueAt: AT + 1 }), put('7'), put('9')], AT);
  expect(form(queue, AT, (user) => user === '7').map(({ entry }) => entry.user)).toEqual(['9']);
  expect(queue.nextDueAt('mail')).toBe(AT);
});

test('a batch has at most a thousand events, the oldest first', () => {
  const queue = openQueue();
  queue.apply(
    Array.from({ length: MAX_WEBHOOK_EVENTS + 5 }, (_, n) => put(`u${n}`, { dueAt: AT - n })),
    AT,
  );
  const events = form(queue);
  expect(events).toHaveLength(MAX_WEBHOOK_EVENTS);
  expect(events[0]?.entry.user).toBe(`u${MAX_WEBHOOK_EVENTS + 4}`);
  expect(queue.counts().get('mail')).toEqual({ queued: MAX_WEBHOOK_EVENTS + 5, dead: 0 });
});

test('a batch does not change while later events of its users wait', () => {
  const queue = openQueue();
  queue.apply([put('42', { id: 'a' })], AT);
  form(queue);
  const before = queue.batchOf('mail');
  queue.apply([put('42', { id: 'b', from: 'offline', status: 'online' })], AT);
  queue.retry('mail', 1, AT + 1000);
  expect(queue.batchOf('mail')).toEqual({ ...before, attempts: 1, nextAt: AT + 1000 });
  queue.delivered('mail');
  expect(form(queue)).toEqual([expect.objectContaining({ id: 'b', from: 'offline' })]);
});

test('dead events are sent again with their ids once they are replayed', () => {
  const queue = openQueue();
  queue.apply([put('42', { id: 'a' })], AT);
  form(queue);
  queue.markDead('mail', AT);
  expect(queue.counts().get('mail')).toEqual({ queued: 0, dead: 1 });
  expect(form(queue)).toEqual([]);
  expect(queue.replay('mail')).toBe(1);
  expect(queue.counts().get('mail')).toEqual({ queued: 1, dead: 0 });
  expect(form(queue)).toEqual([expect.objectContaining({ id: 'a' })]);
});

test('the events of removed rules are deleted, and those of the others stay', () => {
  const queue = openQueue();
  queue.apply([put('42'), put('42', { rule: 'other' })], AT);
  form(queue);
  expect(queue.keepOnly(['other'])).toBe(1);
  expect(queue.batchOf('mail')).toBeUndefined();
  expect(queue.nextDueAt('other')).toBe(AT);
});

test('an erased user is in no waiting event, no batch and no dead event', () => {
  const queue = openQueue();
  queue.apply([put('42'), put('7')], AT);
  form(queue);
  queue.markDead('mail', AT);
  queue.replay('mail');
  form(queue);
  queue.apply([put('42')], AT);
  queue.eraseUser('42');
  expect(queue.batchOf('mail')).toMatchObject({ count: 1 });
  expect(queue.batchOf('mail')?.body).not.toContain('42');
  queue.eraseUser('7');
  expect(queue.batchOf('mail')).toBeUndefined();
  expect(queue.nextDueAt('mail')).toBeUndefined();
});

test('events beyond the maximum of a rule are dropped, until there is room again', () => {
  const queue = openQueue(2);
  queue.apply([put('1'), put('2')], AT);
  expect(queue.apply([put('3'), put('1'), put('3', { rule: 'other' })], AT)).toEqual(
    new Map([['mail', { replaced: 1, dropped: 1 }]]),
  );
  expect(queue.counts().get('mail')).toEqual({ queued: 2, dead: 0 });
  queue.eraseUser('1');
  expect(queue.apply([put('4')], AT)).toEqual(new Map());
  expect(form(queue).map(({ entry }) => entry.user)).toEqual(['2', '4']);
  queue.apply([put('5'), put('6')], AT);
  expect(queue.counts().get('mail')).toEqual({ queued: 4, dead: 0 });
  expect(queue.keepOnly([])).toBe(5);
  expect(queue.counts()).toEqual(new Map());
});

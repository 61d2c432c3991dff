/**
 * Storage that another program has locked: presence continues, edges are refused with a reason, and the hub recovers by
 * itself.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { openSqlite, type SqlDatabase } from '../../server/storage/sqlite/sqlite.ts';
import { SqliteStore } from '../../server/storage/sqlite/sqlite-store.ts';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { LegacyClient } from '../support/legacy-client.ts';
import { WsClient } from '../support/ws-client.ts';

let data: string;
let hub: TestHub;
let other: SqlDatabase;
beforeEach(async () => {
  data = mkdtempSync(join(tmpdir(), 'hub-trouble-'));
  hub = await startTestHub({ data });
  other = openSqlite(join(data, 'hub.sqlite'));
});
afterEach(async () => {
  await hub.stop();
  other.close();
  rmSync(data, { recursive: true, force: true });
});

it('a locked database ends nothing: users come and go, edges get 503, /readyz says why, and all is stored in the end (L21)', async () => {
  await hub.request('PUT', '/v1/users/42/friends/7');
  const watcher = await WsClient.hello(hub.addresses.ws, { observe: true });
  watcher.send({ type: 'watch', friendsOf: '42' });
  await watcher.next('snapshot');
  const legacy = await LegacyClient.open(hub.tcpPort);

  other.exec('BEGIN IMMEDIATE');
  hub.clock.pass(5_000); // beyond every version promised so far
  legacy.beat('7');
  expect(await watcher.entryOf('7')).toMatchObject({ status: 'online' });
  legacy.beat('7', 2);
  expect(await watcher.entryOf('7')).toMatchObject({ status: 'away' });
  const refused = await hub.request('PUT', '/v1/users/42/friends/8');
  expect(refused).toMatchObject({ status: 503, body: { detail: expect.stringContaining('locked') as string } });
  expect(await hub.request('GET', '/readyz')).toMatchObject({
    status: 503,
    body: { detail: expect.stringContaining('storage') as string },
  });
  expect((await hub.request('GET', '/v1/users/42/friends')).body).toMatchObject({ friends: ['7'] });
  expect(await hub.metric('presence_hub_storage_failing')).toBeGreaterThan(0);
  expect(await hub.metric('presence_hub_storage_errors_total')).toBeGreaterThan(0);
  expect(await hub.metric('presence_hub_storage_waiting')).toBe(1);
  expect(await hub.metric('presence_hub_storage_behind_seconds')).toBeGreaterThan(0);

  other.exec('ROLLBACK');
  hub.clock.pass(3_000);
  legacy.beat('7', 3);
  expect(await watcher.entryOf('7')).toMatchObject({ status: 'busy' });
  await hub.until(async () => (await hub.request('GET', '/readyz')).status === 200);
  expect((await hub.request('PUT', '/v1/users/42/friends/8')).status).toBe(204);
  const stored = () => other.prepare<{ status: string }>("SELECT status FROM entry WHERE user = '7'").get()?.status;
  await hub.until(() => stored() === 'busy');
  expect(await hub.metric('presence_hub_storage_failing')).toBe(0);
  await hub.until(async () => (await hub.metric('presence_hub_storage_behind_seconds')) === 0);
  expect(await hub.metric('presence_hub_storage_write_seconds_count')).toBeGreaterThan(1);
});

it('a list that is being replaced when storage fails is the new one for everybody, as a whole, and is stored when it can be (H7)', async () => {
  await hub.request('PUT', '/v1/users/42/friends', { friends: ['old', 'f1'] });
  const watcher = await WsClient.hello(hub.addresses.ws, { observe: true });
  watcher.send({ type: 'watch', friendsOf: '42' });
  await watcher.next('snapshot');
  const friends = Array.from({ length: 5_000 }, (_, n) => `f${n}`);
  const isBeingStored = () => other.prepare('SELECT 1 FROM edit_pending').get() !== undefined;
  const edges = () => other.prepare<{ n: number }>('SELECT count(*) AS n FROM edge').get()?.n;
  let status = 0;
  const replaced = hub.request('PUT', '/v1/users/42/friends', { friends }).then((answer) => (status = answer.status));
  while (!isBeingStored()) await nextTurn();
  other.exec('BEGIN IMMEDIATE');
  expect(edges()).toBeLessThan(10_000);

  expect((await hub.request('GET', '/v1/users/42/friends')).body).toEqual({ user: '42', friends: [...friends].sort() });
  expect((await hub.request('GET', '/v1/users/old/friends')).body).toEqual({ user: 'old', friends: [] });
  await replaced;
  expect(status).toBe(204);
  const late = await WsClient.hello(hub.addresses.ws, { observe: true });
  late.send({ type: 'watch', friendsOf: '42' });
  expect((await late.next('snapshot')).entries).toHaveLength(5_000);
  await watcher.roundTrip();
  const reported = watcher.all.flatMap((message) => (message.type === 'friend' ? [message.op] : []));
  expect([reported.filter((op) => op === 'add').length, reported.filter((op) => op === 'remove').length]).toEqual([
    4_999, 1,
  ]);

  expect(await hub.request('GET', '/readyz')).toMatchObject({
    status: 503,
    body: { detail: expect.stringContaining('friend lists') as string },
  });
  expect((await hub.request('PUT', '/v1/users/42/friends/new')).status).toBe(503);
  other.exec('ROLLBACK');
  await hub.until(async () => (await hub.request('GET', '/readyz')).status === 200);
  expect(edges()).toBe(10_000);
  expect((await hub.request('PUT', '/v1/users/42/friends/new')).status).toBe(204);
});

it('a certainty that could not be stored at once is stored later, so that the next start does not go back before it', async () => {
  const restart = async () => {
    const { wallMs } = hub.clock;
    await hub.stop();
    hub = await startTestHub({ data }, (clock) => {
      clock.stepWall(wallMs - clock.wallMs);
      return clock;
    });
    return WsClient.hello(hub.addresses.ws, { observe: true });
  };
  await WsClient.hello(hub.addresses.ws, { user: '42' });
  const watcher = await restart();
  const { since: firstEndAt } = await watcher.next('stale');
  other.exec('BEGIN IMMEDIATE');
  await WsClient.hello(hub.addresses.ws, { user: '42' });
  await watcher.next('fresh');
  expect((await hub.request('GET', '/readyz')).status).toBe(503);
  other.exec('ROLLBACK');
  await hub.until(async () => (await hub.request('GET', '/readyz')).status === 200);
  hub.clock.pass(5_000);
  expect((await (await restart()).next('stale')).since).toBeGreaterThan(firstEndAt);
});

it('/readyz asks nothing of storage: however often it is asked while that is locked, the answer comes from what is known (H16)', async () => {
  const legacy = await LegacyClient.open(hub.tcpPort);
  other.exec('BEGIN IMMEDIATE');
  hub.clock.pass(5_000);
  legacy.beat('7');
  await hub.until(async () => (await hub.request('GET', '/readyz')).status === 503);
  const attempts = vi.spyOn(SqliteStore.prototype, 'raiseCeiling');
  const retries = vi.spyOn(SqliteStore.prototype, 'keep');
  const tried = () => attempts.mock.calls.length + retries.mock.calls.length;
  const startedAt = performance.now();
  for (let n = 0; n < 200; n++) expect((await hub.request('GET', '/readyz')).status).toBe(503);
  const seconds = Math.ceil((performance.now() - startedAt) / 1000);
  // By themselves, storage is tried once a second and the entries as often.
  expect(tried()).toBeLessThanOrEqual(3 * (seconds + 1));
  other.exec('ROLLBACK');
  vi.restoreAllMocks();
  hub.clock.pass(3_000);
  await hub.until(async () => (await hub.request('GET', '/readyz')).status === 200);
});

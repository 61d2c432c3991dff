/** PROTOCOL.md section 1: nothing shown lies in the future after the wall clock was a day ahead, and was set back. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Entry } from '../../shared/messages/entry.ts';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { WsClient } from '../support/ws-client.ts';

const DAY_MS = 86_400_000;

let hub: TestHub;
beforeEach(async () => {
  hub = await startTestHub();
});
afterEach(() => hub.stop());

const beat = (user: string, status: string) => hub.request('POST', '/v1/heartbeat', { user, status });
const entryOf = async (user: string) => (await hub.request('GET', `/v1/presence/${user}`)).body as Entry;

/** Waits until the write-behind has stored the user and released it. */
const until = (user: string, condition: (entry: Entry) => boolean) =>
  hub.until(async () => condition(await entryOf(user)));

it('brings the dates of users in the store back to the first look at them, under a version of their own (I11)', async () => {
  hub.clock.stepWall(DAY_MS);
  await beat('9', 'online');
  await beat('9', 'offline');
  await new Promise((resolve) => setTimeout(resolve, 300)); // stored, and no longer in memory
  const { v } = await entryOf('9');
  hub.clock.stepWall(-DAY_MS);
  await hub.looked();
  const setBackAt = hub.clock.wallMs;
  const corrected = await entryOf('9');
  expect(corrected).toMatchObject({ status: 'offline', since: setBackAt, lastSeen: setBackAt });
  expect(corrected.v).toBeGreaterThan(v);
  hub.clock.pass(1000);
  expect(await entryOf('9'), 'once, and not with each look').toEqual(corrected);
});

it('brings the dates of users in memory back, and goes on to give out larger versions (I11)', async () => {
  const watcher = await WsClient.hello(hub.addresses.ws, { user: '7' });
  hub.clock.stepWall(DAY_MS);
  await hub.looked(); // only a step that was seen can be seen to be taken back
  await beat('9', 'online');
  watcher.send({ type: 'watch', users: ['9', '7'] });
  const { v } = await entryOf('9');
  hub.clock.stepWall(-DAY_MS);
  const setBackAt = hub.clock.wallMs;
  await until('9', ({ lastSeen }) => lastSeen === setBackAt);
  const corrected = await entryOf('9');
  expect(corrected).toMatchObject({ status: 'online', since: setBackAt });
  expect(corrected.v).toBeGreaterThan(v);
  hub.clock.pass(1000);
  await beat('9', 'offline');
  const left = await entryOf('9');
  expect(left).toMatchObject({ status: 'offline', since: setBackAt + 1000, lastSeen: setBackAt + 1000 });
  expect(left.v).toBeGreaterThan(corrected.v);
});

it('brings the dates of restored users back, and keeps the rest of their leases over a second restart (I11, L13)', async () => {
  const data = mkdtempSync(join(tmpdir(), 'hub-clock-'));
  const restartAt = async (wallMs: number) => {
    await hub.stop();
    hub = await startTestHub({ data }, (clock) => {
      clock.stepWall(wallMs - clock.wallMs);
      return clock;
    });
  };
  const setBackAt = hub.clock.wallMs + 1000;
  await restartAt(setBackAt + DAY_MS);
  await hub.request('POST', '/v1/heartbeat', { user: '9', ttlMs: 3_600_000 });
  const { v } = await entryOf('9');
  await restartAt(setBackAt);
  const restored = await entryOf('9');
  expect(restored).toMatchObject({ status: 'online', since: setBackAt, lastSeen: setBackAt });
  expect(restored.v).toBeGreaterThan(v);
  await restartAt(setBackAt + 1000);
  for (let s = 0; s < 40; s += 4) {
    hub.clock.pass(4_000);
    await hub.looked();
  }
  expect(await entryOf('9')).toEqual(restored);
  await hub.stop();
  rmSync(data, { recursive: true });
});

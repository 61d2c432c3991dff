/** PROTOCOL.md section 1: nothing shown lies in the future after the wall clock was a day ahead, and was set back. */
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

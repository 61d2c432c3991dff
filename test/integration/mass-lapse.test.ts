/** PROTOCOL.md section 2: a mass lapse is held for at most 5 s with `stale` told; smaller ones never are. */
import { afterEach, expect, it } from 'vitest';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { LegacyClient } from '../support/legacy-client.ts';
import { WsClient } from '../support/ws-client.ts';

let hub: TestHub;
afterEach(() => hub.stop());

const LEASE_MS = 5_400;

/** So many legacy users on one connection, watched from the start. */
async function gatewayOf(count: number) {
  const users = Array.from({ length: count }, (_, i) => `u${i}`);
  const watcher = await WsClient.hello(hub.addresses.ws, { observe: true });
  watcher.send({ type: 'watch', users });
  await watcher.next('snapshot');
  const gateway = await LegacyClient.open(hub.tcpPort);
  const beat = async (some: readonly string[]) => {
    const before = await hub.metric('presence_hub_heartbeats_total{adapter="tcp-xml"}');
    for (const user of some) gateway.beat(user);
    await hub.until(
      async () => (await hub.metric('presence_hub_heartbeats_total{adapter="tcp-xml"}')) === before + some.length,
    );
  };
  await beat(users);
  const offline = () =>
    watcher.all.flatMap((message) =>
      message.type === 'presence' ? message.entries.filter(({ status }) => status === 'offline') : [],
    );
  return { users, watcher, beat, offline };
}

it('holds the end of 150 of 150 for five seconds, tells stale, and then those who are still silent, once', async () => {
  hub = await startTestHub({ doubtMs: 5_000 });
  const { users, watcher, beat, offline } = await gatewayOf(150);
  const lastSignAt = hub.clock.wallMs;
  hub.clock.pass(LEASE_MS + 50);
  expect((await watcher.next('stale')).since).toBe(lastSignAt);
  hub.clock.pass(4_000);
  await hub.looked();
  await watcher.roundTrip();
  expect(offline()).toEqual([]);
  const back = users.slice(0, 60);
  await beat(back);
  hub.clock.pass(1_100);
  await watcher.next('fresh');
  expect(new Set(offline().map(({ user }) => user))).toEqual(new Set(users.slice(60)));
  expect(offline()).toHaveLength(90);
  expect(offline().every(({ lastSeen }) => lastSeen === lastSignAt)).toBe(true);
});

it('is not sure since the oldest last sign of all that it holds, however long their leases are', async () => {
  hub = await startTestHub({ doubtMs: 5_000 });
  const beat = (user: string, ttlMs: number) => hub.request('POST', '/v1/heartbeat', { user, ttlMs });
  await beat('longest', 600_000); // not held
  hub.clock.pass(1_000);
  const oldestSignAt = hub.clock.wallMs;
  await beat('long', 64_000); // runs out in the last second of the hold
  hub.clock.pass(50_000);
  await Promise.all(Array.from({ length: 120 }, (_, i) => beat(`u${i}`, 10_000)));
  const watcher = await WsClient.hello(hub.addresses.ws, { observe: true });
  hub.clock.pass(10_050);
  expect((await watcher.next('stale')).since).toBe(oldestSignAt);
});

it('tells 90 at once, though they are all there are', async () => {
  hub = await startTestHub({ doubtMs: 5_000 });
  const { watcher, offline } = await gatewayOf(90);
  hub.clock.pass(LEASE_MS + 50);
  await hub.until(() => offline().length === 90);
  expect(watcher.all.some(({ type }) => type === 'stale')).toBe(false);
});

it('tells 120 of 1000 at once: that is less than a fifth', async () => {
  hub = await startTestHub({ doubtMs: 5_000 });
  const { users, watcher, beat, offline } = await gatewayOf(1000);
  hub.clock.pass(LEASE_MS - 400);
  await beat(users.slice(120));
  hub.clock.pass(450);
  await hub.until(() => offline().length === 120);
  expect(watcher.all.some(({ type }) => type === 'stale')).toBe(false);
});

it('holds nothing where it is told not to', async () => {
  hub = await startTestHub();
  const { offline } = await gatewayOf(150);
  hub.clock.pass(LEASE_MS + 50);
  await hub.until(() => offline().length === 150);
});

it('asks silent WebSocket clients, and keeps those who answer', async () => {
  hub = await startTestHub({ doubtMs: 5_000 });
  const clients = await Promise.all(
    Array.from({ length: 120 }, (_, i) => WsClient.hello(hub.addresses.ws, { user: `w${i}` })),
  );
  hub.clock.pass(25_050); // past the lease before any ping of the hub was due: its fault, not theirs
  await hub.until(async () => (await hub.request('GET', '/v1/presence/w0')).body !== undefined);
  await hub.looked();
  hub.clock.pass(5_200);
  await hub.looked();
  await hub.looked();
  await Promise.all(clients.map((client) => client.roundTrip()));
  expect(await hub.metric('presence_hub_sessions{adapter="ws-json"}')).toBe(120);
});

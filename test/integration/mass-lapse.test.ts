/** PROTOCOL.md section 2: a mass lapse is held for at most 5 s while `stale` is sent; smaller ones never are. */
import { afterEach, describe, expect, it } from 'vitest';
import { ask } from '../support/ask.ts';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { LegacyClient } from '../support/legacy-client.ts';
import { WsClient } from '../support/ws-client.ts';

let hub: TestHub;
afterEach(() => hub.stop());

const LEASE_MS = 5_400;

/** So many legacy users, watched from the start, on connections of their own or all on one. */
async function legacyUsers(count: number, { onOneConnection = false } = {}) {
  const users = Array.from({ length: count }, (_, i) => `u${i}`);
  const watcher = await WsClient.hello(hub.addresses.ws, { observe: true });
  watcher.send({ type: 'watch', users });
  await watcher.next('snapshot');
  const connections: LegacyClient[] = [];
  for (const _ of onOneConnection ? ['one'] : users) connections.push(await LegacyClient.open(hub.tcpPort));
  const beat = async (some: readonly string[]) => {
    const before = await hub.metric('presence_hub_heartbeats_total{adapter="tcp-xml"}');
    for (const user of some) connections[users.indexOf(user) % connections.length]!.beat(user);
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

it('holds the end of 150 of 150 for five seconds, sends stale, and then those who are still silent, once (L22)', async () => {
  hub = await startTestHub({ doubtMs: 5_000 });
  const { users, watcher, beat, offline } = await legacyUsers(150);
  const lastSignAt = hub.clock.wallMs;
  hub.clock.pass(LEASE_MS + 50);
  expect((await watcher.next('stale')).since).toBe(lastSignAt);
  expect(await hub.metric('presence_hub_stale')).toBe(1);
  hub.clock.pass(4_000);
  await hub.looked();
  expect(await hub.metric('presence_hub_mass_lapses_total{adapter="tcp-xml"}')).toBe(1);
  expect(await hub.metric('presence_hub_extended_leases_total{reason="mass_lapse"}')).toBe(150);
  await watcher.roundTrip();
  expect(offline()).toEqual([]);
  const back = users.slice(0, 60);
  await beat(back);
  hub.clock.pass(1_100);
  await watcher.next('fresh');
  expect(await hub.metric('presence_hub_stale')).toBe(0);
  expect(new Set(offline().map(({ user }) => user))).toEqual(new Set(users.slice(60)));
  expect(offline()).toHaveLength(90);
  expect(offline().every(({ lastSeen }) => lastSeen === lastSignAt)).toBe(true);
});

it('is not sure since the oldest last sign of all that it holds, however long their leases are', async () => {
  hub = await startTestHub({ doubtMs: 5_000 });
  const beat = (user: string, ttlMs: number, from = '127.0.0.1') =>
    ask(hub.addresses.http, 'POST', '/v1/heartbeat', { body: { user, ttlMs }, from });
  await beat('longest', 600_000); // not held
  hub.clock.pass(1_000);
  const oldestSignAt = hub.clock.wallMs;
  await beat('long', 64_000); // runs out in the last second of the hold
  hub.clock.pass(50_000);
  await Promise.all(Array.from({ length: 120 }, (_, i) => beat(`u${i}`, 10_000, `127.0.1.${i}`)));
  const watcher = await WsClient.hello(hub.addresses.ws, { observe: true });
  watcher.send({ type: 'watch', users: ['u0'] });
  await watcher.next('snapshot');
  hub.clock.pass(10_050);
  expect((await watcher.next('stale')).since).toBe(oldestSignAt);
});

it('reports 90 at once, though they are all there are (L22)', async () => {
  hub = await startTestHub({ doubtMs: 5_000 });
  const { watcher, offline } = await legacyUsers(90);
  hub.clock.pass(LEASE_MS + 50);
  await hub.until(() => offline().length === 90);
  expect(watcher.all.some(({ type }) => type === 'stale')).toBe(false);
});

it('reports 120 of 1000 at once: that is less than a fifth (L22)', async () => {
  hub = await startTestHub({ doubtMs: 5_000 });
  const { users, watcher, beat, offline } = await legacyUsers(1000);
  hub.clock.pass(LEASE_MS - 400);
  await beat(users.slice(120));
  hub.clock.pass(450);
  await hub.until(() => offline().length === 120);
  expect(watcher.all.some(({ type }) => type === 'stale')).toBe(false);
});

it('reports 150 of one gateway at once: what all of them share is its connection (L24)', async () => {
  hub = await startTestHub({ doubtMs: 5_000 });
  const { watcher, offline } = await legacyUsers(150, { onOneConnection: true });
  hub.clock.pass(LEASE_MS + 50);
  await hub.until(() => offline().length === 150);
  expect(watcher.all.some(({ type }) => type === 'stale')).toBe(false);
});

it.each([
  ['two users with fifty devices each', 2, 50, 100],
  ['a hundred users of one address', 100, 1, 1],
])('reports the end of %s over HTTP at once (L24)', async (_, users, devices, addresses) => {
  hub = await startTestHub({ doubtMs: 5_000 });
  const watcher = await WsClient.hello(hub.addresses.ws, { observe: true });
  watcher.send({ type: 'watch', users: ['u0'] });
  await watcher.next('snapshot');
  let sent = 0;
  for (let i = 0; i < users; i++)
    for (let d = 0; d < devices; d++) {
      const body = { user: `u${i}`, device: `d${d}`, ttlMs: 1000 };
      await ask(hub.addresses.http, 'POST', '/v1/heartbeat', { body, from: `127.0.1.${sent++ % addresses}` });
    }
  hub.clock.pass(1_050);
  await watcher.next('presence', ({ entries }) => entries[0]?.status === 'offline');
  expect(watcher.all.some(({ type }) => type === 'stale')).toBe(false);
});

describe('while one adapter is doubted', () => {
  const watch = async (client: WsClient, users: readonly string[]) => {
    client.send({ type: 'watch', users });
    await client.next('snapshot');
  };
  const typesOf = async (client: WsClient) => {
    await client.roundTrip();
    return client.all.map(({ type }) => type).filter((type) => ['stale', 'snapshot', 'fresh'].includes(type));
  };

  /** 150 legacy users of whom the end is held, and four more: invisible, blocking eve, gone, and there by WebSocket alone. */
  async function doubted() {
    hub = await startTestHub({ doubtMs: 5_000, timeoutMs: 3_600_000 });
    const there = await legacyUsers(150);
    const extras = await Promise.all(
      ['invisible', 'blocking'].map(async (user) => {
        const client = await LegacyClient.open(hub.tcpPort);
        client.beat(user);
        return client;
      }),
    );
    await hub.until(async () => (await hub.metric('presence_hub_sessions{adapter="tcp-xml"}')) === 152);
    await hub.request('POST', '/v1/heartbeat', { user: 'invisible', status: 'invisible', ttlMs: 3_600_000 });
    await hub.request('PUT', '/v1/users/blocking/blocks/eve');
    await WsClient.hello(hub.addresses.ws, { user: 'by-websocket' });
    return { ...there, extras };
  }

  it('sends stale, and fresh, to those who are shown somebody on that adapter, and to nobody else (L25)', async () => {
    const { watcher, users } = await doubted();
    const eve = await WsClient.hello(hub.addresses.ws, { user: 'eve', observe: true });
    await watch(eve, ['invisible', 'blocking', 'gone', 'by-websocket']);
    await hub.request('PUT', '/v1/users/bob/friends', { friends: [users[3], 'gone'] });
    const bob = await WsClient.hello(hub.addresses.ws, { user: 'bob', observe: true });
    bob.send({ type: 'watch', friendsOf: 'bob' });
    await bob.next('snapshot');
    const nobody = await WsClient.hello(hub.addresses.ws, { observe: true });
    hub.clock.pass(LEASE_MS + 50);
    await watcher.next('stale');
    await bob.next('stale');
    hub.clock.pass(5_200);
    await watcher.next('fresh');
    await bob.next('fresh');
    expect(await typesOf(eve)).toEqual(['snapshot']);
    expect(await typesOf(nobody)).toEqual([]);
    expect(await typesOf(bob)).toEqual(['snapshot', 'stale', 'fresh']);
  });

  it('sends stale before the snapshot to who begins to watch such a user meanwhile, once (L25)', async () => {
    const { watcher, users } = await doubted();
    const late = await WsClient.hello(hub.addresses.ws, { user: 'eve', observe: true });
    hub.clock.pass(LEASE_MS + 50);
    await watcher.next('stale');
    await watch(late, ['invisible', 'blocking', 'gone', 'by-websocket']);
    await watch(late, [users[0]!]);
    await watch(late, [users[1]!, 'gone']);
    hub.clock.pass(5_200);
    await late.next('fresh');
    expect(await typesOf(late)).toEqual(['snapshot', 'stale', 'snapshot', 'snapshot', 'fresh']);
  });

  it('sends stale with a new friend on that adapter', async () => {
    const { watcher, users } = await doubted();
    const late = await WsClient.hello(hub.addresses.ws, { user: 'bob', observe: true });
    late.send({ type: 'watch', friendsOf: 'bob' });
    await late.next('snapshot');
    hub.clock.pass(LEASE_MS + 50);
    await watcher.next('stale');
    await hub.request('PUT', `/v1/users/bob/friends/${users[0]}`);
    await late.next('friend');
    expect(late.all.slice(-2).map(({ type }) => type)).toEqual(['stale', 'friend']);
  });

  it('says so over HTTP if an entry of the answer is one of them, and else not (L25)', async () => {
    const { watcher, users } = await doubted();
    await hub.request('PUT', '/v1/users/bob/friends', { friends: ['gone', users[0]] });
    hub.clock.pass(LEASE_MS + 50);
    await watcher.next('stale');
    const isStale = async (path: string) => ((await hub.request('GET', path)).body as { stale?: true }).stale === true;
    expect(await isStale(`/v1/presence/${users[0]}`)).toBe(true);
    expect(await isStale(`/v1/presence?users=gone,${users[0]}`)).toBe(true);
    expect(await isStale('/v1/users/bob/friends/presence')).toBe(true);
    expect(await isStale(`/v1/users/${users[0]}/explain`)).toBe(true);
    for (const user of ['invisible', 'gone', 'by-websocket']) expect(await isStale(`/v1/presence/${user}`)).toBe(false);
    expect(await isStale('/v1/presence?users=invisible,gone,by-websocket')).toBe(false);
  });
});

it('holds nothing if it is configured not to', async () => {
  hub = await startTestHub();
  const { offline } = await legacyUsers(150);
  hub.clock.pass(LEASE_MS + 50);
  await hub.until(() => offline().length === 150);
});

it('asks silent WebSocket clients, and keeps those who answer (L23)', async () => {
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

/** PROTOCOL.md section 2: a restart of the hub puts nobody offline, and says `stale` until it is sure again. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqlite } from '../../server/storage/sqlite/sqlite.ts';
import { endHubProcesses, freePort, holdPort, startHubProcess } from '../support/hub-process.ts';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { LegacyClient } from '../support/legacy-client.ts';
import { WsClient } from '../support/ws-client.ts';

let data: string;
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'hub-restart-'));
});
afterEach(() => {
  rmSync(data, { recursive: true, force: true });
});

describe('a restart', () => {
  let hub: TestHub;
  let wallMs: number;
  beforeEach(async () => {
    hub = await startTestHub({ data });
    wallMs = hub.clock.wallMs;
  });
  afterEach(() => hub.stop());

  /** Ends the hub and starts the next run a second later. */
  const restart = async () => {
    wallMs = hub.clock.wallMs + 1000;
    await hub.stop();
    hub = await startTestHub({ data }, (clock) => {
      clock.stepWall(wallMs - clock.wallMs);
      return clock;
    });
  };
  const entryOf = async (user: string) => (await hub.request('GET', `/v1/presence/${user}`)).body as object;
  const observe = () => WsClient.hello(hub.addresses.ws, { observe: true });

  it('shows everybody as before, sends stale and then fresh, and reports those who do not come back once (L13, L16, W34)', async () => {
    const legacy = await LegacyClient.open(hub.tcpPort);
    legacy.beat('tcp', 3);
    await WsClient.hello(hub.addresses.ws, { user: 'ws', device: 'phone', text: 'here' });
    await WsClient.hello(hub.addresses.ws, { user: 'gone' });
    await hub.request('POST', '/v1/heartbeat', { user: 'cron', status: 'away', ttlMs: 600_000 });
    await hub.until(async () => (await hub.metric('presence_hub_sessions{adapter="tcp-xml"}')) === 1);
    const users = ['tcp', 'ws', 'gone', 'cron'];
    const before = await Promise.all(users.map(entryOf));
    const earlier = await observe();
    hub.clock.pass(10);
    earlier.send({ type: 'watch', users });
    const { at } = await earlier.next('snapshot');

    await restart();
    expect(await Promise.all(users.map(entryOf))).toEqual(before.map((entry) => ({ ...entry, stale: true })));
    const watcher = await observe();
    watcher.send({ type: 'watch', users, since: at });
    expect((await watcher.next('snapshot')).entries).toEqual([]);
    expect(watcher.all.map(({ type }) => type)).toEqual(['welcome', 'stale', 'snapshot']);
    expect(watcher.all[1]).toMatchObject({ since: expect.closeTo(wallMs - 1000, -4) as number });

    (await LegacyClient.open(hub.tcpPort)).beat('tcp', 3);
    await WsClient.hello(hub.addresses.ws, { user: 'ws', device: 'phone', text: 'here' });
    await hub.request('POST', '/v1/heartbeat', { user: 'cron', ttlMs: 600_000 });
    await hub.until(async () => (await hub.metric('presence_hub_heartbeats_total{adapter="tcp-xml"}')) === 1);
    for (let passed = 0; passed < 24_000; passed += 4_000) {
      hub.clock.pass(4_000);
      await hub.looked();
      await watcher.roundTrip();
    }
    expect(watcher.all.filter(({ type }) => type === 'fresh')).toEqual([]);
    hub.clock.pass(1_200);
    expect(await watcher.entryOf('gone')).toMatchObject({ status: 'offline', lastSeen: wallMs - 1000 - 10 });
    await watcher.next('fresh');
    expect(await entryOf('cron')).toMatchObject({ status: 'away' });
    expect(await entryOf('cron')).not.toHaveProperty('stale');
  });

  it('shows no half of a surrogate pair that an older hub has stored, and sends the mended text to all', async () => {
    await WsClient.hello(hub.addresses.ws, { user: 'ws', device: 'tab', text: 'HALF here' });
    await WsClient.hello(hub.addresses.ws, { user: 'ws', device: 'HALF tab' });
    const earlier = await observe();
    hub.clock.pass(10);
    earlier.send({ type: 'watch', users: ['ws'] });
    const { at, entries } = await earlier.next('snapshot');
    wallMs = hub.clock.wallMs + 1000;
    await hub.stop();
    const file = openSqlite(join(data, 'hub.sqlite'));
    file.exec(String.raw`UPDATE entry SET sessions = replace(sessions, 'HALF', '\ud83d')`);
    file.close();
    hub = await startTestHub({ data }, (clock) => {
      clock.stepWall(wallMs - clock.wallMs);
      return clock;
    });
    const watcher = await observe();
    watcher.send({ type: 'watch', users: ['ws'], since: at });
    const mended = (await watcher.next('snapshot')).entries;
    expect(mended).toMatchObject([{ text: '\ufffd here', devices: ['tab', '\ufffd tab'] }]);
    expect(mended[0]!.v).toBeGreaterThan(entries[0]!.v);
    expect(JSON.stringify(watcher.all)).not.toMatch(/\\ud/);
  });

  it('is fresh at once when everybody is back (L16)', async () => {
    await WsClient.hello(hub.addresses.ws, { user: 'ws' });
    await restart();
    const watcher = await observe();
    await watcher.next('stale');
    await WsClient.hello(hub.addresses.ws, { user: 'ws' });
    await watcher.next('fresh');
    watcher.send({ type: 'watch', users: ['ws'] });
    expect((await watcher.next('snapshot')).entries).toMatchObject([{ status: 'online' }]);
  });

  it('sends no `stale` if no user was online (L17)', async () => {
    await restart();
    const watcher = await observe();
    await watcher.roundTrip();
    expect(watcher.all.map(({ type }) => type)).toEqual(['welcome', 'ok']);
  });

  it('says since when it is not sure: the first end, until it was sure in between (W34)', async () => {
    const staleSince = async () => (await (await observe()).next('stale')).since;
    await WsClient.hello(hub.addresses.ws, { user: 'ws' });
    hub.clock.pass(5_000);
    await hub.request('POST', '/v1/heartbeat', { user: 'cron' }); // gives out a version: the last moment it is sure of
    const firstEndAt = hub.clock.wallMs;
    await restart();
    expect(await staleSince()).toBe(firstEndAt);
    hub.clock.pass(3_000);
    await restart();
    expect(await staleSince()).toBe(firstEndAt);

    const watcher = await observe();
    hub.clock.pass(13_000);
    await watcher.roundTrip();
    hub.clock.pass(12_200);
    await watcher.next('fresh');
    hub.clock.pass(10);
    await WsClient.hello(hub.addresses.ws, { user: 'ws' });
    const secondEndAt = hub.clock.wallMs;
    await restart();
    expect(await staleSince()).toBe(secondEndAt);
  });

  it('says since when a mass lapse was doubted that the end found undecided', async () => {
    await hub.stop();
    hub = await startTestHub({ data, doubtMs: 5_000 });
    for (let i = 0; i < 150; i++) (await LegacyClient.open(hub.tcpPort)).beat(`u${i}`);
    await hub.until(async () => (await hub.metric('presence_hub_sessions{adapter="tcp-xml"}')) === 150);
    const lastSignAt = hub.clock.wallMs;
    const watcher = await observe();
    watcher.send({ type: 'watch', users: ['u7'] });
    await watcher.next('snapshot');
    hub.clock.pass(5_500);
    expect((await watcher.next('stale')).since).toBe(lastSignAt);
    await restart();
    expect((await (await observe()).next('stale')).since).toBe(lastSignAt);
  });

  it('sends no `stale`, and later no earlier end, if all have a longer lease', async () => {
    await hub.request('POST', '/v1/heartbeat', { user: 'cron', ttlMs: 600_000 });
    await restart();
    const watcher = await observe();
    await watcher.roundTrip();
    expect(watcher.all.map(({ type }) => type)).toEqual(['welcome', 'ok']);
    hub.clock.pass(60_000);
    await WsClient.hello(hub.addresses.ws, { user: 'ws' });
    const endAt = hub.clock.wallMs;
    await restart();
    expect((await (await observe()).next('stale')).since).toBe(endAt);
  });

  it('keeps an invisible user hidden, one never seen included, until a message of its own (L14)', async () => {
    await WsClient.hello(hub.addresses.ws, { user: 'secret', status: 'invisible' });
    await hub.until(async () => (await hub.metric('presence_hub_sessions{adapter="ws-json"}')) === 1);
    const before = await entryOf('secret');
    await restart();
    expect(await entryOf('secret')).toEqual({ ...before, stale: true });
    expect(before).toMatchObject({ v: 0, since: null });
    await WsClient.hello(hub.addresses.ws, { user: 'secret' });
    expect(await entryOf('secret')).toMatchObject({ status: 'online' });
  });

  it('gives a version above all that a burst of changes had run ahead of the clock', async () => {
    // Two connections: each has a burst of 2000 messages.
    for (const device of ['phone', 'web']) {
      const busy = await WsClient.hello(hub.addresses.ws, { user: 'busy', device });
      for (let i = 0; i < 1500; i++) busy.send({ type: 'heartbeat', text: `${device} ${i}` });
      await busy.roundTrip();
    }
    const { v } = (await entryOf('busy')) as { v: number };
    expect(v).toBeGreaterThan(hub.clock.wallMs + 2000);
    await restart();
    await hub.request('POST', '/v1/heartbeat', { user: 'busy', device: 'web', status: 'offline' });
    expect(((await entryOf('busy')) as { v: number }).v).toBeGreaterThan(v);
  });
});

describe('a hub process', { timeout: 60_000 }, () => {
  afterEach(endHubProcesses);

  it('killed and started again within the warm window reports nobody offline who comes back (L13)', async () => {
    const [port, tcpPort] = [await freePort(), await freePort()];
    const settings = { HUB_DATA: data, HUB_PORT: `${port}`, HUB_TCP_PORT: `${tcpPort}`, HUB_WARM_MS: '3000' };
    const first = startHubProcess(settings);
    await first.started;
    const users = Array.from({ length: 50 }, (_, i) => `u${i}`);
    const beatAll = async () => {
      const gateway = await LegacyClient.open(tcpPort);
      for (const user of users) gateway.beat(user);
    };
    const url = `ws://127.0.0.1:${port}/ws`;
    const early = await WsClient.hello(url, { observe: true });
    early.send({ type: 'watch', users: [...users, 'lost'] });
    await beatAll();
    await fetch(`http://127.0.0.1:${port}/v1/heartbeat`, { method: 'POST', body: '{"user":"lost","ttlMs":2000}' });
    const online = new Set<string>();
    while (online.size < 51) {
      for (const entry of (await early.next('presence')).entries) online.add(entry.user);
    }
    await new Promise((resolve) => setTimeout(resolve, 300)); // what was sent longer than 250 ms ago is stored
    first.child.kill('SIGKILL');
    await first.exited;

    await startHubProcess(settings).started;
    const late = await WsClient.hello(url, { observe: true });
    await late.next('stale');
    late.send({ type: 'watch', users: [...users, 'lost'] });
    expect((await late.next('snapshot')).entries.filter(({ status }) => status !== 'online')).toEqual([]);
    await beatAll();
    await late.next('fresh');
    const reported = late.all.flatMap((message) => (message.type === 'presence' ? message.entries : []));
    expect(reported.map(({ user, status }) => [user, status])).toEqual([['lost', 'offline']]);
  });

  it.each([
    ['a start that fails for its port', 'failed'],
    ['a clean end within the warm time', 'clean'],
    ['another kill within the warm time', 'killed'],
  ])('killed, it reports the same doubt after %s, though nobody was there', async (_, between) => {
    const port = await freePort();
    const settings = { HUB_DATA: data, HUB_PORT: `${port}`, HUB_WARM_MS: '2000' };
    const observe = () => WsClient.hello(`ws://127.0.0.1:${port}/ws`, { observe: true });
    const first = startHubProcess(settings);
    await first.started;
    let sureBefore = Date.now();
    first.child.kill('SIGKILL');
    await first.exited;
    if (between === 'failed') {
      const held = await holdPort();
      expect((await startHubProcess({ ...settings, HUB_PORT: `${held.port}` }).exited).code).not.toBe(0);
      await held.close();
    } else {
      const second = startHubProcess(settings);
      await second.started;
      sureBefore = (await (await observe()).next('stale')).since + 1;
      second.child.kill(between === 'clean' ? 'SIGINT' : 'SIGKILL');
      await second.exited;
    }
    await startHubProcess(settings).started;
    const watcher = await observe();
    const staleAt = performance.now();
    expect((await watcher.next('stale')).since).toBeLessThan(sureBefore);
    await watcher.next('fresh');
    expect(performance.now() - staleAt).toBeGreaterThan(1000); // somebody may have come in the last moment
  });

  it('killed, it restores a session that another one hid, too: a beat that says nothing new reveals nobody (L14)', async () => {
    const port = await freePort();
    const settings = { HUB_DATA: data, HUB_PORT: `${port}` };
    const url = `ws://127.0.0.1:${port}/ws`;
    const beat = () =>
      fetch(`http://127.0.0.1:${port}/v1/heartbeat`, {
        method: 'POST',
        body: '{"user":"a","device":"phone","ttlMs":20000}',
      });
    const first = startHubProcess(settings);
    await first.started;
    await WsClient.hello(url, { user: 'a', device: 'phone', status: 'invisible' });
    await beat();
    await new Promise((resolve) => setTimeout(resolve, 300));
    first.child.kill('SIGKILL');
    await first.exited;
    await startHubProcess(settings).started;
    const watcher = await WsClient.hello(url, { observe: true });
    watcher.send({ type: 'watch', users: ['a', 'marker'] });
    await beat();
    await fetch(`http://127.0.0.1:${port}/v1/heartbeat`, { method: 'POST', body: '{"user":"marker"}' });
    await watcher.entryOf('marker');
    const reported = watcher.all.flatMap((message) => (message.type === 'presence' ? message.entries : []));
    expect(reported.map(({ user }) => user)).toEqual(['marker']);
  });

  it.each([
    ['became invisible', { type: 'heartbeat', status: 'invisible' }],
    ['said goodbye', { type: 'bye' }],
  ])(
    'killed right after it showed a user as offline who %s, it does not show it otherwise (L14)',
    async (_, message) => {
      const port = await freePort();
      const settings = { HUB_DATA: data, HUB_PORT: `${port}` };
      const url = `ws://127.0.0.1:${port}/ws`;
      const first = startHubProcess(settings);
      await first.started;
      const watcher = await WsClient.hello(url, { observe: true });
      watcher.send({ type: 'watch', users: ['a'] });
      const client = await WsClient.hello(url, { user: 'a' });
      expect(await watcher.entryOf('a')).toMatchObject({ status: 'online' });
      client.send(message);
      expect(await watcher.entryOf('a')).toMatchObject({ status: 'offline' });
      first.child.kill('SIGKILL');
      await first.exited;
      await startHubProcess(settings).started;
      const later = await WsClient.hello(url, { observe: true });
      later.send({ type: 'watch', users: ['a'] });
      expect((await later.next('snapshot')).entries).toMatchObject([{ status: 'offline' }]);
    },
  );

  it('lets no lease run out while it takes leave: its users can’t get their beats in (L19)', async () => {
    const [port, tcpPort] = [await freePort(), await freePort()];
    const settings = { HUB_DATA: data, HUB_PORT: `${port}`, HUB_TCP_PORT: `${tcpPort}`, HUB_DRAIN_MS: '2500' };
    const first = startHubProcess(settings);
    await first.started;
    const url = `ws://127.0.0.1:${port}/ws`;
    const stubborn = await WsClient.hello(url, { observe: true });
    stubborn.send({ type: 'watch', users: ['http'] });
    await fetch(`http://127.0.0.1:${port}/v1/heartbeat`, { method: 'POST', body: '{"user":"http","ttlMs":1200}' });
    await stubborn.entryOf('http');
    first.child.kill('SIGTERM');
    await first.exited;
    const reported = stubborn.all.flatMap((message) => (message.type === 'presence' ? message.entries : []));
    expect(reported.map(({ status }) => status)).toEqual(['online']);
    await startHubProcess(settings).started;
    const answer = await fetch(`http://127.0.0.1:${port}/v1/presence/http`);
    expect(await answer.json()).toMatchObject({ status: 'online', stale: true });
  });

  it('asks everybody to come back on SIGTERM, new ones too, and ends within its time (L18, W35)', async () => {
    const port = await freePort();
    const hub = startHubProcess({ HUB_DATA: data, HUB_PORT: `${port}`, HUB_DRAIN_MS: '1500' });
    await hub.started;
    const url = `ws://127.0.0.1:${port}/ws`;
    const polite = await WsClient.hello(url, { user: '1' });
    const stubborn = await WsClient.hello(url, { user: '2' });
    const askedAt = performance.now();
    hub.child.kill('SIGTERM');
    expect((await polite.next('reconnect')).afterMs).toBeLessThanOrEqual(1500);
    await stubborn.next('reconnect');
    const late = await WsClient.open(url);
    expect(await late.closed).toBe(1012);
    expect(late.all).toMatchObject([{ type: 'reconnect' }]);
    polite.close();
    expect(await stubborn.closed).toBe(1012);
    expect((await hub.exited).code).toBe(0);
    expect(performance.now() - askedAt).toBeLessThan(2000);
  });

  it('ends at once on SIGTERM if nobody is connected', async () => {
    const hub = startHubProcess({ HUB_DATA: data, HUB_DRAIN_MS: '60000' });
    await hub.started;
    hub.child.kill('SIGTERM');
    expect((await hub.exited).code).toBe(0);
  });
});

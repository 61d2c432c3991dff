/**
 * PROTOCOL.md section 2: the hub's own stalls are no client's fault. The loop is stopped for real time by the test's
 * clock.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Entry } from '../../shared/messages/entry.ts';
import { StallClock } from '../../server/lib/time/stall-clock.ts';
import { SystemClock } from '../../server/lib/time/system-clock.ts';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { LegacyClient } from '../support/legacy-client.ts';
import { WsClient } from '../support/ws-client.ts';

onBothEngines('a stall of the hub', (transport) => {
  let hub: TestHub;
  beforeEach(async () => {
    hub = await startTestHub({ transport }, (clock) => new StallClock(clock, () => undefined));
  });
  afterEach(() => hub.stop());

  const statusOf = async (user: string) =>
    ((await hub.request('GET', `/v1/presence/${user}`)).body as { status: string }).status;

  it('lengthens every lease by as long as it lasted, of all adapters (L10)', async () => {
    const legacy = await LegacyClient.open(hub.tcpPort);
    legacy.beat('7');
    await WsClient.hello(hub.addresses.ws, { user: '8' }, { autoPong: false });
    await hub.request('POST', '/v1/heartbeat', { user: '9', ttlMs: 1000 });
    await hub.until(async () => (await statusOf('7')) === 'online');
    const seenAt = hub.clock.wallMs;

    hub.clock.pass(60_000); // stopped, as by SIGSTOP
    await hub.looked();
    for (const user of ['7', '8', '9']) expect(await statusOf(user)).toBe('online');

    await hub.run(1100);
    expect(await statusOf('9')).toBe('offline');
    expect((await hub.request('GET', '/v1/presence/9')).body).toMatchObject({ lastSeen: seenAt });
    await hub.run(4200);
    expect(await statusOf('7')).toBe('online');
    await hub.run(300);
    expect(await statusOf('7')).toBe('offline');
  });

  it('gives an unclean end within a second after it a grace of one WebSocket timeout (L11)', async () => {
    const tab = await WsClient.hello(hub.addresses.ws, { user: '8' });
    hub.clock.pass(60_000);
    await hub.looked();
    await hub.run(800);
    tab.cut();
    await hub.until(async () => (await hub.metric('presence_hub_connections{adapter="ws-json"}')) === 0);
    await hub.run(5000);
    expect(await statusOf('8')).toBe('online');
    await hub.run(19_000);
    expect(await statusOf('8')).toBe('online');
    await hub.run(1200);
    expect(await statusOf('8')).toBe('offline');
  });

  it('gives one later than that the usual grace', async () => {
    const tab = await WsClient.hello(hub.addresses.ws, { user: '8' });
    hub.clock.pass(60_000);
    await hub.looked();
    await hub.run(1100);
    tab.cut();
    await hub.until(async () => (await hub.metric('presence_hub_connections{adapter="ws-json"}')) === 0);
    await hub.run(2200);
    expect(await statusOf('8')).toBe('offline');
  });
});

onBothEngines('a suspension of the machine', (transport) => {
  const NIGHT_MS = 8 * 3_600_000;
  let hub: TestHub;
  /** As on Linux: the monotonic clock stops meanwhile, the other two continue. */
  let suspendedMs: number;
  beforeEach(async () => {
    suspendedMs = 0;
    hub = await startTestHub({ transport }, (clock) => {
      const machine = new SystemClock({
        wall: () => clock.wallMs,
        monotonic: () => clock.monoMs,
        sinceBoot: () => clock.monoMs + suspendedMs,
      });
      return new StallClock(machine, () => undefined);
    });
  });
  afterEach(() => hub.stop());
  const suspend = (ms: number): void => {
    hub.clock.stepWall(ms);
    suspendedMs += ms;
  };
  const entryOf = async (user: string) => (await hub.request('GET', `/v1/presence/${user}`)).body as Entry;

  it('is reported as stale until a lease is over, and dates those who are gone before it (L12)', async () => {
    const watcher = await WsClient.hello(hub.addresses.ws, { observe: true });
    watcher.send({ type: 'watch', users: ['7', '8', '9'] });
    await watcher.next('snapshot');
    (await LegacyClient.open(hub.tcpPort)).beat('7');
    await watcher.entryOf('7');
    await WsClient.hello(hub.addresses.ws, { user: '8' }, { autoPong: false });
    await watcher.entryOf('8');
    await hub.request('POST', '/v1/heartbeat', { user: '9', ttlMs: 3_000 });
    await watcher.entryOf('9');
    const seenAt = hub.clock.wallMs;

    await hub.run(1000);
    const suspendedAt = hub.clock.wallMs;
    suspend(NIGHT_MS);
    await hub.looked();
    expect(await watcher.next('stale')).toEqual({ type: 'stale', since: suspendedAt });
    expect(await entryOf('7')).toMatchObject({ status: 'online', stale: true });
    const late = await WsClient.hello(hub.addresses.ws, { observe: true });
    expect(await late.next('stale')).toMatchObject({ since: suspendedAt });

    const run = async (ms: number): Promise<void> => {
      await hub.run(ms);
      await Promise.all([watcher.roundTrip(), late.roundTrip()]);
    };
    await run(5_000);
    expect(await entryOf('7')).toMatchObject({ status: 'offline', lastSeen: seenAt, stale: true });
    expect(await entryOf('9')).toMatchObject({ status: 'offline', lastSeen: seenAt, stale: true });
    await run(10_000);
    await run(9_500);
    expect(watcher.all.filter(({ type }) => type === 'fresh')).toEqual([]);
    expect(await entryOf('8')).toMatchObject({ status: 'offline', lastSeen: seenAt });
    await run(1_500);
    for (const { all } of [watcher, late]) expect(all.at(-2)).toMatchObject({ type: 'fresh' });
    expect(await entryOf('7')).not.toHaveProperty('stale');
  });

  it('is not what a wall clock that was set looks like (L9, L12)', async () => {
    const watcher = await WsClient.hello(hub.addresses.ws, { observe: true });
    (await LegacyClient.open(hub.tcpPort)).beat('7');
    await hub.until(async () => (await entryOf('7')).status === 'online');
    const seenAt = hub.clock.wallMs;
    hub.clock.stepWall(NIGHT_MS);
    await hub.looked();
    expect(await entryOf('7')).toMatchObject({ status: 'online' });
    expect(await entryOf('7')).not.toHaveProperty('stale');
    await hub.run(5_600);
    expect(await entryOf('7')).toMatchObject({ status: 'offline', lastSeen: seenAt + NIGHT_MS });
    await watcher.roundTrip();
    expect(watcher.all.map(({ type }) => type)).toEqual(['welcome', 'ok']);
  });
});

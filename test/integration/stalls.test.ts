/** PROTOCOL.md section 2: the hub's own stalls are no client's fault. The loop is stopped for real time by the test's clock. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { StallClock } from '../../server/lib/stall-clock.ts';
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

  it('lengthens every lease by as long as it lasted, of all adapters', async () => {
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

  it('gives an unclean end within a second after it a grace of one WebSocket timeout', async () => {
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

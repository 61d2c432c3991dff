import { afterEach, beforeEach, expect, it } from 'vitest';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { LegacyClient } from '../support/legacy-client.ts';
import { WsClient } from '../support/ws-client.ts';

onBothEngines('a friend over TCP, watched over WebSocket', (transport) => {
  let hub: TestHub;
  beforeEach(async () => {
    hub = await startTestHub({ transport });
    await hub.request('PUT', '/v1/users/42/friends/7');
  });
  afterEach(() => hub.stop());

  it('comes, changes, falls silent and comes back, and each is reported once', async () => {
    const watcher = await WsClient.hello(hub.addresses.ws, { observe: true });
    watcher.send({ type: 'watch', friendsOf: '42' });
    const { entries } = await watcher.next('snapshot');
    expect(entries).toMatchObject([{ user: '7', status: 'offline', v: 0, since: null }]);

    const legacy = await LegacyClient.open(hub.tcpPort);
    legacy.beat('7');
    expect(await watcher.entryOf('7')).toMatchObject({ status: 'online', code: 1, devices: ['legacy'] });
    legacy.beat('7', 3);
    expect(await watcher.entryOf('7')).toMatchObject({ status: 'busy', code: 3 });

    const lastSignAt = hub.clock.now().wallMs;
    hub.clock.pass(5_500);
    expect(await watcher.entryOf('7')).toMatchObject({
      status: 'offline',
      code: -1,
      devices: [],
      lastSeen: lastSignAt,
    });
    legacy.beat('7');
    expect(await watcher.entryOf('7')).toMatchObject({ status: 'online' });
    expect(watcher.all.filter(({ type }) => type === 'presence')).toHaveLength(4);
  });

  it('reloads within the grace, and not one message is sent', async () => {
    const watcher = await WsClient.hello(hub.addresses.ws, { observe: true });
    watcher.send({ type: 'watch', users: ['7', 'marker'] });
    const tab = await WsClient.hello(hub.addresses.ws, { user: '7' });
    await watcher.entryOf('7');
    tab.cut();
    await tab.closed;
    hub.clock.pass(1_900);
    const again = await WsClient.hello(hub.addresses.ws, { user: '7' });
    hub.clock.pass(1_900);
    await again.roundTrip();
    await hub.request('POST', '/v1/heartbeat', { user: 'marker' });
    await watcher.entryOf('marker');
    expect(watcher.all.filter(({ type }) => type === 'presence')).toHaveLength(2);
  });
});

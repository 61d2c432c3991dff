/** `drain()` as a program that embeds the hub may call it. */
import { expect, it } from 'vitest';
import { onBothEngines, startTestHub } from '../support/hub.ts';
import { WsClient } from '../support/ws-client.ts';

onBothEngines('a hub that is asked twice to take leave', (transport) => {
  it('does so once, and both wait for its end', async () => {
    const hub = await startTestHub({ transport, drainMs: 1_000 });
    const client = await WsClient.hello(hub.addresses.ws, { user: '42' });
    await Promise.all([hub.drain(), hub.drain(), client.closed]);
    expect(client.all.filter(({ type }) => type === 'reconnect')).toHaveLength(1);
    await hub.stop();
  });
});

/** `drain()` as a program that embeds the hub may call it, and what clients are answered meanwhile. */
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

onBothEngines('a hub that drains', (transport) => {
  it('answers HTTP until its end, says that it is not ready, and welcomes nobody (L18)', async () => {
    const hub = await startTestHub({ transport, drainMs: 10_000 });
    const client = await WsClient.hello(hub.addresses.ws, { user: '42' });
    const drained = hub.drain();
    await client.next('reconnect');
    const ready = await hub.request('GET', '/readyz');
    expect(ready).toMatchObject({ status: 503, body: { detail: 'hub: it is shutting down' } });
    expect(await hub.request('GET', '/healthz')).toMatchObject({ status: 200 });
    expect(await hub.request('GET', '/v1/presence/42')).toMatchObject({ status: 200, body: { status: 'online' } });
    const late = await WsClient.open(hub.addresses.ws);
    expect(await late.closed).toBe(1012);
    expect(late.all).toMatchObject([{ type: 'reconnect' }]);
    client.close();
    await drained;
    await expect(hub.request('GET', '/readyz')).rejects.toThrow();
  });
});

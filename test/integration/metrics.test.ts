/** What /metrics says of delays, the loop and memory: names that a dashboard reads. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { WsClient } from '../support/ws-client.ts';

let hub: TestHub;
beforeEach(async () => {
  hub = await startTestHub();
});
afterEach(() => hub.stop());

describe('the metrics', () => {
  it('count the delay of each flush that told something, and none where nobody watches', async () => {
    const count = () => hub.metric('presence_hub_delivery_delay_seconds_count');
    await hub.request('POST', '/v1/heartbeat', { user: '7' });
    expect(await count()).toBe(0);
    const watcher = await WsClient.hello(hub.addresses.ws, { observe: true });
    watcher.send({ type: 'watch', users: ['42'] });
    await watcher.next('snapshot');
    for (const [i, status] of ['online', 'away', 'busy'].entries()) {
      await hub.request('POST', '/v1/heartbeat', { user: '42', status });
      await watcher.next('presence');
      expect(await count()).toBe(i + 1);
    }
    expect(await hub.metric('presence_hub_delivery_delay_seconds_bucket{le="+Inf"}')).toBe(3);
    expect(await hub.metric('presence_hub_delivery_delay_seconds_sum')).toBeLessThan(3);
    watcher.close();
  });

  it('tell how late a lapse was told, by the time that its lease ran out', async () => {
    const watcher = await WsClient.hello(hub.addresses.ws, { observe: true });
    watcher.send({ type: 'watch', users: ['42'] });
    await watcher.next('snapshot');
    await hub.request('POST', '/v1/heartbeat', { user: '42', ttlMs: 1000 });
    await hub.request('POST', '/v1/heartbeat', { user: '7', ttlMs: 1000 }); // whom nobody watches
    hub.clock.pass(1700);
    await watcher.next('presence', ({ entries }) => entries[0]?.status === 'offline');
    const bucket = (le: string) => hub.metric(`presence_hub_lapse_delay_seconds_bucket{le="${le}"}`);
    expect([await bucket('0.5'), await bucket('1'), await bucket('+Inf')]).toEqual([0, 1, 1]);
    expect(await hub.metric('presence_hub_lapse_delay_seconds_sum')).toBe(0.7);
    watcher.close();
  });

  it('tell the loop’s lag since the last reading, and the memory', async () => {
    const lag = (quantile: string) => hub.metric(`presence_hub_event_loop_lag_seconds{quantile="${quantile}"}`);
    await hub.until(async () => (await lag('max')) > 0);
    await hub.looked(); // the first look after a reading has none before it to count from
    const end = performance.now() + 300;
    while (performance.now() < end); // the loop stands still
    await new Promise(setImmediate);
    await hub.looked();
    expect(await lag('max')).toBeGreaterThan(0.2);
    expect(await lag('0.5')).toBeLessThan(0.2);
    expect(await hub.metric('process_resident_memory_bytes')).toBeGreaterThan(10_000_000);
  });
});

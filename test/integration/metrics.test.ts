/** What /metrics says of delays, the loop and memory: names that a dashboard reads. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { needing, programPath } from '../support/needs.ts';
import { WEBHOOK_SECRET } from '../support/webhook-receiver.ts';
import { WsClient } from '../support/ws-client.ts';

let hub: TestHub;
beforeEach(async () => {
  // With a rule of webhooks, which have metrics too.
  hub = await startTestHub({ webhookUrl: 'http://127.0.0.1:9/', webhookSecret: WEBHOOK_SECRET });
});
afterEach(() => hub.stop());

describe('the metrics', () => {
  it('count the delay of each flush that sent something, and none if nobody watches', async () => {
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

  it('show how late a lapse was reported, by the time that its lease expired', async () => {
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

  it('show the loop’s lag to every reader, however many there are, and the memory', async () => {
    /** How often it was more than 0.1 s, as one reading says. */
    const late = async (): Promise<number> => {
      const text = String((await hub.request('GET', '/metrics')).body);
      const upTo = (le: string) =>
        Number(text.split(`presence_hub_event_loop_lag_seconds_bucket{le="${le}"} `)[1]?.split('\n')[0]);
      return upTo('+Inf') - upTo('0.1');
    };
    await hub.until(async () => (await hub.metric('presence_hub_event_loop_lag_seconds_count')) > 5);
    const before = await late();
    const end = performance.now() + 300;
    while (performance.now() < end); // the loop stands still
    await hub.looked();
    const [one, other] = [await late(), await late()];
    expect(one).toBeGreaterThan(before);
    expect(other).toBeGreaterThanOrEqual(one);
    expect(await hub.metric('process_resident_memory_bytes')).toBeGreaterThan(10_000_000);
  });

  it('have the names, labels and kinds that the reference promises (H25)', async () => {
    const reference = readFileSync(new URL('../../shared/PROTOCOL.md', import.meta.url), 'utf8');
    const [, table = ''] = /<!-- printed: metrics -->([^]*?)<!-- end -->/.exec(reference) ?? [];
    const all = [...table.matchAll(/^\| `(\w+)(?:\{(\w+)\})?` \| (\w+) \|/gm)];
    // A hub that is in no cluster has no metrics of one.
    const rows = all.filter(([, name = '']) => !/^presence_hub_(nodes|engine_up|bus_seconds)$/.test(name));
    expect(rows.length).toBeGreaterThan(10);
    const text = String((await hub.request('GET', '/metrics')).body);
    for (const [, name = '', label = '', kind = ''] of rows) {
      expect(text).toContain(`\n# TYPE ${name} ${kind}\n`);
      if (label !== '') expect(text).toContain(`\n${name}{${label}="`);
    }
    for (const adapter of ['tcp-xml', 'ws-json', 'http', 'poll'])
      expect(text).toContain(`\npresence_hub_sessions{adapter="${adapter}"} 0\n`);
  });

  it('follow the rules of Prometheus for names and labels', async () => {
    const text = String((await hub.request('GET', '/metrics')).body);
    const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!]));
    const helps = new Set([...text.matchAll(/^# HELP (\S+) \S/gm)].map(([, name]) => name));
    expect(types.size).toBeGreaterThan(10);
    for (const [name, type] of types) {
      expect(helps).toContain(name);
      expect(name.endsWith('_total'), `${name} is a ${type}`).toBe(type === 'counter');
      expect(name).not.toMatch(/_(count|sum|bucket|info)$/);
    }
    for (const [, name, labels] of text.matchAll(/^([a-z_]+)\{(.*)\} /gm)) {
      expect(labels, `${name} is no summary`).not.toMatch(/\bquantile=/);
      if (!name!.endsWith('_bucket')) expect(labels).not.toMatch(/\ble=/);
    }
  });

  it('have no fault for promtool', needing('promtool'), async () => {
    const text = String((await hub.request('GET', '/metrics')).body);
    const { status, stdout, stderr } = spawnSync(programPath('promtool'), ['check', 'metrics'], {
      input: text,
      encoding: 'utf8',
    });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
  });
});

/** The metrics to run a service by: what changed and why, how late it was reported, what was not sure, what waits. */
import { afterEach, describe, expect, it } from 'vitest';
import { StallClock } from '../../server/lib/time/stall-clock.ts';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { LegacyClient } from '../support/legacy-client.ts';
import { needing } from '../support/needs.ts';
import { WebhookReceiver, WEBHOOK_SECRET } from '../support/webhook-receiver.ts';
import { WsClient } from '../support/ws-client.ts';

let hub: TestHub;
afterEach(() => hub.stop());

const heartbeat = (body: object) => hub.request('POST', '/v1/heartbeat', body);

async function watch(...users: string[]): Promise<WsClient> {
  const watcher = await WsClient.hello(hub.addresses.ws, { observe: true });
  watcher.send({ type: 'watch', users });
  await watcher.next('snapshot');
  return watcher;
}

/** The transitions that were counted, as `from to cause`, with their numbers. */
async function transitions(): Promise<Record<string, number>> {
  const text = String((await hub.request('GET', '/metrics')).body);
  const series = text.matchAll(/^presence_hub_transitions_total\{from="(\w+)",to="(\w+)",cause="(\w+)"\} (\d+)$/gm);
  const counted = [...series].filter(([, , , , count]) => count !== '0');
  return Object.fromEntries(counted.map(([, from, to, cause, count]) => [`${from} ${to} ${cause}`, Number(count)]));
}

describe('transitions', () => {
  it('are counted by the status before and after and the cause; other changes of an entry are not among them', async () => {
    hub = await startTestHub();
    await heartbeat({ user: '42', ttlMs: 1000 });
    await heartbeat({ user: '42', ttlMs: 1000, text: 'lunch' });
    await heartbeat({ user: '42', ttlMs: 1000, status: 'away' });
    hub.clock.pass(1100);
    await hub.until(async () => (await transitions())['away offline lapsed'] === 1);
    await heartbeat({ user: '7' });
    await heartbeat({ user: '7', status: 'offline' });
    expect(await transitions()).toEqual({
      'offline online began': 2,
      'online away set': 1,
      'away offline lapsed': 1,
      'online offline bye': 1,
    });
    expect(await hub.metric('presence_hub_changes_total')).toBe(6);
  });

  it('do not distinguish who became invisible from who left, nor count what invisible users do', async () => {
    const after = async (...statuses: string[]): Promise<unknown> => {
      hub = await startTestHub();
      for (const status of statuses) await heartbeat({ user: '42', status });
      const counted = await transitions();
      await hub.stop();
      return counted;
    };
    const left = await after('online', 'offline', 'online');
    expect(left).toEqual({ 'offline online began': 2, 'online offline bye': 1 });
    expect(await after('online', 'invisible', 'online')).toEqual(left);
    expect(await after('invisible', 'offline')).toEqual({});
  });

  it('have series that begin at 0', async () => {
    hub = await startTestHub();
    expect(await hub.metric('presence_hub_transitions_total{from="online",to="offline",cause="lapsed"}')).toBe(0);
  });
});

describe('from heartbeat to socket', () => {
  const delays = async (upTo: string): Promise<number> =>
    hub.metric(`presence_hub_heartbeat_delay_seconds_bucket{le="${upTo}"}`);

  it('is measured once for each flush that a message caused, and not for a lapse', async () => {
    hub = await startTestHub();
    const watcher = await watch('42');
    await heartbeat({ user: '42', ttlMs: 1000 });
    await watcher.entryOf('42');
    expect(await delays('+Inf')).toBe(1);
    hub.clock.pass(1100);
    expect(await watcher.entryOf('42')).toMatchObject({ status: 'offline' });
    expect(await delays('+Inf')).toBe(1);
    expect(await hub.metric('presence_hub_lapse_delay_seconds_count')).toBe(1);
    watcher.close();
  });

  it('includes the time that a frame waited for the rate of its connection', async () => {
    hub = await startTestHub({ messagesPerS: 10 });
    const watcher = await watch('42');
    const legacy = await LegacyClient.open(hub.tcpPort);
    legacy.beat('42');
    expect(await watcher.entryOf('42')).toMatchObject({ status: 'online' });
    // The burst is used up, so the last frame must wait.
    legacy.write('<protocol><user_id>42</user_id></protocol>'.repeat(110));
    legacy.beat('42', 2);
    await hub.until(async () => (await hub.metric('presence_hub_refused_total{reason="messages"}')) > 0);
    await waitReally(120);
    hub.clock.pass(2000);
    expect(await watcher.entryOf('42')).toMatchObject({ status: 'away' });
    expect((await delays('+Inf')) - (await delays('0.1'))).toBe(1);
    watcher.close();
  });
});

// With ws, messages over the rate wait in the kernel, of which the hub cannot know.
describe('from heartbeat to socket, over WebSocket', needing('uWebSockets.js'), () => {
  it('includes the time that a message waited for the rate of its connection', async () => {
    hub = await startTestHub({ transport: 'uws', messagesPerS: 10 });
    const watcher = await watch('42');
    const user = await WsClient.hello(hub.addresses.ws, { user: '42' });
    expect(await watcher.entryOf('42')).toMatchObject({ status: 'online' });
    for (let i = 0; i < 110; i++) user.send({ type: 'heartbeat' });
    user.send({ type: 'heartbeat', status: 'away' });
    await hub.until(async () => (await hub.metric('presence_hub_refused_total{reason="messages"}')) > 0);
    await waitReally(120);
    hub.clock.pass(2000);
    expect(await watcher.entryOf('42')).toMatchObject({ status: 'away' });
    const late = 'presence_hub_heartbeat_delay_seconds_bucket{le="0.1"}';
    expect((await hub.metric('presence_hub_heartbeat_delay_seconds_count')) - (await hub.metric(late))).toBe(1);
    user.cut();
    watcher.close();
  });
});

/** The wait under test is a real one: what stands still is the clock of the hub's rates. */
async function waitReally(ms: number): Promise<void> {
  const until = performance.now() + ms;
  await hub.until(() => performance.now() >= until);
}

describe('resumes', () => {
  it('are counted by what answered them; a watch without `since` is none', async () => {
    hub = await startTestHub();
    await heartbeat({ user: '42' });
    hub.clock.pass(2000);
    const client = await WsClient.hello(hub.addresses.ws, { observe: true });
    client.send({ type: 'watch', users: ['42'] });
    const { at } = await client.next('snapshot');
    const resumes = async () => [
      await hub.metric('presence_hub_resumes_total{answer="changes"}'),
      await hub.metric('presence_hub_resumes_total{answer="snapshot"}'),
    ];
    expect(await resumes()).toEqual([0, 0]);
    // Nobody knows what was before the storage of this hub.
    for (const since of [at, 1]) {
      client.send({ type: 'watch', users: ['42'], since });
      await client.next('snapshot');
    }
    expect(await resumes()).toEqual([1, 1]);
    client.close();
  });
});

describe('what the hub was not sure of', () => {
  it('a stall is counted with its length', async () => {
    hub = await startTestHub({}, (clock) => new StallClock(clock, () => undefined));
    await hub.looked();
    const [count, seconds] = [
      await hub.metric('presence_hub_stalls_total'),
      await hub.metric('presence_hub_stall_seconds_total'),
    ];
    hub.clock.pass(60_000);
    await hub.looked();
    expect((await hub.metric('presence_hub_stalls_total')) - count).toBe(1);
    expect((await hub.metric('presence_hub_stall_seconds_total')) - seconds).toBeCloseTo(60, 0);
  });
});

describe('limits', () => {
  it('show how much of them is used', async () => {
    hub = await startTestHub({ maxConnections: 100, maxSessionsTotal: 4 });
    await heartbeat({ user: '42' });
    const client = await WsClient.hello(hub.addresses.ws, { user: '7' });
    expect(await hub.metric('presence_hub_limit_used_ratio{limit="sessions_total"}')).toBe(0.5);
    // The watcher, and the request itself.
    expect(await hub.metric('presence_hub_limit_used_ratio{limit="connections"}')).toBe(0.02);
    client.close();
  });
});

describe('webhooks', () => {
  it('show for how long the oldest event has been due, and how many were given up', async () => {
    const receiver = await WebhookReceiver.open();
    receiver.answer = () => 503;
    hub = await startTestHub({ webhookUrl: receiver.url, webhookSecret: WEBHOOK_SECRET, webhookKeepMs: 60_000 });
    const overdue = () => hub.metric('presence_hub_webhook_overdue_seconds{rule="default"}');
    expect(await overdue()).toBe(0);
    await heartbeat({ user: '42', ttlMs: 3_600_000 });
    await hub.until(() => receiver.messages.length > 0);
    hub.clock.pass(30_000);
    expect(await overdue()).toBe(30);
    hub.clock.pass(600_000);
    await hub.until(async () => (await hub.metric('presence_hub_webhook_dead{rule="default"}')) === 1);
    expect(await overdue()).toBe(0);
    await receiver.close();
  });
});

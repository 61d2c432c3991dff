/** What a cluster costs Redis, what it refuses, and what it answers while Redis is away (PROTOCOL.md section 8). */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { endHubProcesses } from '../../support/hub-process.ts';
import { ask, ClusterStage, Observer, type ClusterHub } from '../../support/cluster-stage.ts';
import { needing } from '../../support/needs.ts';
import { WsClient } from '../../support/ws-client.ts';

let stage: ClusterStage | undefined;
afterEach(async () => {
  await endHubProcesses();
  await stage?.stop();
});

const begin = async (count: number, settings: Record<string, string> = {}): Promise<ClusterHub[]> => {
  stage = await ClusterStage.start(settings);
  return stage.hubs(count);
};

/** How many scripts Redis has run that change a record. */
async function changes(): Promise<number> {
  const [keys] = (await stage!.redis.send(['KEYS', 'ph:*:r:*'])) as [string[]];
  const records = await Promise.all(keys.map(async (key) => String((await stage!.redis.send(['GET', key]))[0])));
  // Each operation has an id that counts up.
  return records.reduce((sum, record) => sum + Number.parseInt(record.split(' ')[2]!.split('.')[1]!, 36), 0);
}

describe('a cluster', needing('redis-server'), () => {
  it('asks Redis once for each change, and never for repeated heartbeats (C17)', async () => {
    const [a] = await begin(1);
    const client = await WsClient.hello(a!.ws, { user: '42' });
    const before = await changes();
    for (let i = 0; i < 50; i++) client.send({ type: 'heartbeat', status: 'online' });
    await client.roundTrip();
    expect(await changes()).toBe(before);
    client.send({ type: 'heartbeat', status: 'busy', id: 1 });
    await client.next('ok');
    expect(await changes()).toBe(before + 1);
  });

  it('refuses a node whose settings differ from those of the others (C18)', async () => {
    await begin(1, { HUB_CODES: 'online=1,away=2,busy=3' });
    await expect(stage!.hub({ HUB_CODES: 'online=5,away=6,busy=7' })).rejects.toThrow(/HUB_CODES/);
  });

  it('keeps no address and no token in Redis (C19)', async () => {
    const [a] = await begin(1);
    await WsClient.hello(a!.ws, { user: '42', token: 'a-token-that-nobody-checks' });
    const [keys] = (await stage!.redis.send(['KEYS', '*:r:42'])) as [string[]];
    const record = String((await stage!.redis.send(['GET', keys[0]!]))[0]);
    expect(record).toContain('"ws-json"');
    expect(record).not.toContain('127.0.0.1');
    expect(record).not.toContain('a-token');
  });

  it('survives false records of a foreign program (C19)', async () => {
    const [a] = await begin(1);
    const client = await WsClient.hello(a!.ws, { user: '42' });
    const [[key]] = (await stage!.redis.send(['KEYS', '*:r:42'])) as [[string]];
    const channel = key.replace(/r:42$/, 'c');
    for (const text of ['', '\t', '42\tx', `42\t9 9 op 9\t-\t{"s":"nonsense"}`, 'x'.repeat(300_000)]) {
      await stage!.redis.send(['SPUBLISH', channel, text]);
      await stage!.redis.send(['SPUBLISH', channel.replace(/\{.*$/, '{m}:to:*'), text]);
    }
    const long = `7 7 op 7 ${'x'.repeat(300_000)}`;
    const lies = ['7 7 op 7 {"s":"nonsense"}\t[]', 'nonsense', long, '007 7 op 7 {}', `${'9'.repeat(16)} 7 op 7 {}`];
    for (const [i, lie] of lies.entries()) {
      await stage!.redis.send(['SET', key, lie]);
      const status = i % 2 === 0 ? 'busy' : 'away';
      client.send({ type: 'heartbeat', status, id: i });
      await client.next('ok');
      while (((await ask(a!, 'GET', '/v1/presence/42')).body as { status: string }).status !== status) await delay(50);
    }
  });

  it('counts the sessions of a user on all nodes (C9)', async () => {
    const [a, b] = await begin(2, { HUB_MAX_SESSIONS: '2' });
    await WsClient.hello(a!.ws, { user: '42', device: 'one' });
    await WsClient.hello(b!.ws, { user: '42', device: 'two' });
    const third = await WsClient.open(a!.ws);
    third.send({ type: 'hello', user: '42', device: 'three' });
    expect(await third.next('error')).toMatchObject({ code: 'too_many' });
  });

  it('refuses more blocks of a user than fit into its record, and keeps the others (C19)', async () => {
    const [a] = await begin(1);
    const client = await WsClient.hello(a!.ws, { user: '42' });
    const left = Array.from({ length: 1200 }, (_, i) => `${i}`.padStart(128, 'v'));
    const first = left[0]!;
    const statuses = new Set<number>();
    const block = async (): Promise<void> => {
      for (let viewer = left.shift(); viewer !== undefined; viewer = left.shift()) {
        statuses.add((await ask(a!, 'PUT', `/v1/users/42/blocks/${viewer}`)).status);
      }
    };
    await Promise.all(Array.from({ length: 50 }, block));
    expect(statuses).toEqual(new Set([204, 409]));
    client.send({ type: 'heartbeat', status: 'busy', id: 1 });
    await client.next('ok');
    const watching = await WsClient.hello(a!.ws, { user: first });
    watching.send({ type: 'watch', users: ['42'] });
    expect((await watching.next('snapshot')).entries[0]).toMatchObject({ status: 'offline' });
  });

  it('the welcome is the first message even if Redis delays it, and `stale` follows (C13)', async () => {
    const [a] = await begin(1);
    const clients = await Promise.all(Array.from({ length: 10 }, () => WsClient.open(a!.ws)));
    stage!.redis.signal('SIGSTOP');
    for (const [i, client] of clients.entries()) {
      client.send({ type: 'hello', user: `user-${i}` });
      await delay(200); // so that some wait when the hub notices, whenever that is
    }
    await Promise.all(clients.map((client) => client.next('stale')));
    stage!.redis.signal('SIGCONT');
    await Promise.all(clients.map((client) => client.next('fresh')));
    for (const { all } of clients) expect(all.map(({ type }) => type)).toEqual(['welcome', 'stale', 'fresh']);
  });

  it('answers after a second without Redis, and first sends `stale` (C13)', async () => {
    const [a] = await begin(1);
    const client = await WsClient.hello(a!.ws, { user: '42' });
    stage!.redis.signal('SIGSTOP');
    const saidAt = performance.now();
    client.send({ type: 'heartbeat', status: 'busy', id: 1 });
    await client.next('ok');
    expect(performance.now() - saidAt).toBeLessThan(2000);
    const types = client.all.map(({ type }) => type);
    expect(types.indexOf('stale')).toBeGreaterThan(0);
    expect(types.indexOf('stale')).toBeLessThan(types.indexOf('ok'));
    const late = await ask(a!, 'POST', '/v1/heartbeat', { user: '43' });
    expect(late.body).toMatchObject({ stale: true });
    stage!.redis.signal('SIGCONT');
    await client.next('fresh');
  });

  it('answers from memory while Redis is away and marks it, and answers 503 about users that it does not hold (C13, C15)', async () => {
    const [a] = await begin(1);
    const client = await WsClient.hello(a!.ws, { user: '42' });
    const observer = await Observer.open(a!.ws, ['42'], new Map());
    await stage!.redis.kill();
    await observer.until(() => observer.isStale);
    expect((await ask(a!, 'GET', '/v1/presence/42')).body).toMatchObject({ status: 'online', stale: true });
    const unknown = await ask(a!, 'GET', '/v1/presence/never-heard-of');
    expect(unknown.status).toBe(503);
    client.send({ type: 'heartbeat', status: 'busy', id: 1 });
    await client.next('ok');
    const waiting = await WsClient.hello(a!.ws, { observe: true });
    waiting.send({ type: 'watch', users: ['42'] });
    await stage!.redis.run();
    expect((await waiting.next('snapshot')).entries[0]).toMatchObject({ user: '42', status: 'busy' });
    await observer.until(() => observer.statusOf('42') === 'busy' && !observer.isStale);
  });
});

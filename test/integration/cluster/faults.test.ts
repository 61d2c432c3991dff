/** What watchers are told while nodes and Redis fail (PROTOCOL.md section 8): nobody is falsely offline, nobody stays. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { endHubProcesses, freePort } from '../../support/hub-process.ts';
import { ask, ClusterStage, Observer, type ClusterHub } from '../../support/cluster-stage.ts';
import { needing } from '../../support/needs.ts';
import { FaultProxy } from '../../support/redis/fault-proxy.ts';
import { WsClient } from '../../support/ws-client.ts';
import { transports } from '../../support/transports.ts';

const USERS = 30;
const HEARTBEAT_MS = 1000;

let stage: ClusterStage | undefined;
afterEach(async () => {
  await endHubProcesses();
  await stage?.stop();
});

/** Clients that send heartbeats, and watchers on every hub. */
class Crowd {
  readonly users = Array.from({ length: USERS }, (_, i) => `u${i}`);
  readonly clients = new Map<string, WsClient>();
  readonly seen = new Map<string, string>();
  readonly #beat = setInterval(() => {
    for (const client of this.clients.values()) client.send({ type: 'heartbeat' });
  }, HEARTBEAT_MS);

  async connect(user: string, hub: ClusterHub): Promise<void> {
    this.clients.set(user, await WsClient.hello(hub.ws, { user }));
  }

  async connectAll(hubs: readonly ClusterHub[]): Promise<void> {
    await Promise.all(this.users.map((user, i) => this.connect(user, hubs[i % hubs.length]!)));
  }

  observe(hub: ClusterHub): Promise<Observer> {
    return Observer.open(hub.ws, this.users, this.seen);
  }

  end(): void {
    clearInterval(this.#beat);
  }
}

const settings = { HUB_HEARTBEAT_MS: '2000', HUB_TIMEOUT_MS: '25000' };

/** Resolves when every observer shows the truth, and is told so; rejects after the time. */
async function untilRight(observers: readonly Observer[], online: (user: string) => boolean, ms: number) {
  const wrong = (): string[] =>
    observers.flatMap((one, i) => [
      ...(one.isStale ? [`observer ${i} is stale`] : []),
      ...[...one.view.values()]
        .filter(({ user, status }) => (status !== 'offline') !== online(user))
        .map(({ user, status }) => `observer ${i} shows ${user} as ${status}`),
    ]);
  const endsAt = performance.now() + ms;
  while (wrong().length > 0 && performance.now() < endsAt) await delay(20);
  expect(wrong()).toEqual([]);
  for (const one of observers) {
    expect(one.faults).toEqual([]);
    expect([...one.view.values()].map(({ user, v }) => [user, v])).toEqual(
      [...observers[0]!.view.values()].map(({ user, v }) => [user, v]),
    );
  }
}

describe.each(transports)('on %s', needing('redis-server'), (engine) => {
  const begin = async (count: number): Promise<{ hubs: ClusterHub[]; crowd: Crowd }> => {
    stage = await ClusterStage.start({ ...settings, HUB_TRANSPORT: engine });
    const hubs = await stage.hubs(count);
    const crowd = new Crowd();
    await crowd.connectAll(hubs);
    return { hubs, crowd };
  };
  const always = (): boolean => true;

  it('a node is shut down: nobody receives `stale`, and users who move are never offline (C11)', async () => {
    const { hubs, crowd } = await begin(3);
    const observers = await Promise.all(hubs.slice(0, 2).map((hub) => crowd.observe(hub)));
    const moving = crowd.users.filter((_, i) => i % 3 === 2);
    for (const user of moving) {
      const client = crowd.clients.get(user)!;
      crowd.clients.delete(user);
      void client.next('reconnect').then(() => {
        client.close();
        return crowd.connect(user, hubs[0]!);
      });
    }
    hubs[2]!.process.child.kill('SIGTERM');
    expect((await hubs[2]!.process.exited).code).toBe(0);
    await delay(4000);
    await untilRight(observers, always, 1000);
    for (const one of observers) {
      for (const user of crowd.users) expect([user, one.leavesOf(user)]).toEqual([user, 0]);
      expect(one.client.all.some(({ type }) => type === 'stale')).toBe(false);
    }
    crowd.end();
  });

  it('after the death of all nodes, the first one to start waits for their users, and reports `stale` (C20)', async () => {
    stage = await ClusterStage.start({ HUB_TRANSPORT: engine, HUB_NODE_LEASE_MS: '1500', HUB_WARM_MS: '8000' });
    const [a] = await stage.hubs(2);
    await WsClient.hello(a!.ws, { user: 'returns' });
    await WsClient.hello(a!.ws, { user: 'stays-away' });
    await endHubProcesses();
    const c = await stage.hub();
    const observer = await Observer.open(c.ws, ['returns', 'stays-away'], new Map());
    const startedAt = performance.now();
    expect(observer.statusOf('returns')).toBe('online');
    await delay(4000);
    await WsClient.hello(c.ws, { user: 'returns' });
    expect(observer.isStale).toBe(true);
    await observer.until(() => observer.statusOf('stays-away') === 'offline');
    expect(performance.now() - startedAt).toBeGreaterThan(4500);
    await observer.until(() => !observer.isStale);
    expect(observer.leavesOf('returns')).toBe(0);
  });

  it.each([
    [
      'killed and empty after it',
      async () => {
        await stage!.redis.kill();
        await delay(3000);
        await stage!.redis.run();
      },
    ],
    [
      'flushed',
      async () => {
        await stage!.redis.send(['FLUSHALL']);
        await delay(1500);
      },
    ],
  ])(
    'a Redis that is %s: all views are right 5 s after it, and nobody was falsely offline (C13, C14)',
    async (_, fault) => {
      const { hubs, crowd } = await begin(2);
      const observers = await Promise.all(hubs.map((hub) => crowd.observe(hub)));
      const leaving = crowd.users[0]!;
      const faulty = fault();
      await delay(700);
      const client = crowd.clients.get(leaving)!;
      crowd.clients.delete(leaving);
      client.send({ type: 'bye' });
      await faulty;
      await untilRight(observers, (user) => user !== leaving, 5500);
      for (const one of observers) {
        for (const user of crowd.users) expect([user, one.leavesOf(user)]).toEqual([user, user === leaving ? 1 : 0]);
      }
      crowd.end();
    },
  );

  it('a node that alone is cut off from Redis sends its clients to the others, and accepts clients again afterwards (C16)', async () => {
    stage = await ClusterStage.start({ ...settings, HUB_TRANSPORT: engine });
    const proxy = await FaultProxy.start(stage.redis.port);
    const [portA, portB] = [await freePort(), await freePort()];
    const urlOf = (port: number): Record<string, string> => {
      return { HUB_PORT: String(port), HUB_NODE_URL: `http://127.0.0.1:${port}` };
    };
    const a = await stage.hub(urlOf(portA));
    const b = await stage.hub({ ...urlOf(portB), HUB_REDIS_URL: proxy.url });
    expect((await ask(b, 'GET', '/readyz')).body).toEqual({ status: 'ready', redis: 'up' });
    const client = await WsClient.hello(b.ws, { user: 'moves' });
    const observer = await Observer.open(a.ws, ['moves'], new Map());
    proxy.cut();
    await client.next('reconnect');
    expect((await ask(b, 'GET', '/readyz')).status).toBe(503);
    expect((await ask(a, 'GET', '/readyz')).status).toBe(200);
    const moved = await WsClient.hello(a.ws, { user: 'moves' });
    client.close();
    await delay(4000);
    expect(observer.leavesOf('moves')).toBe(0);
    proxy.mend();
    while ((await ask(b, 'GET', '/readyz')).status !== 200) await delay(50);
    await WsClient.hello(b.ws, { user: 'comes' });
    await untilRight([observer], always, 6000);
    moved.close();
    await proxy.close();
  });
});

/** Changes in the moment in which Redis has lost everything, and no node has noticed it yet. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { ask, ClusterStage, Observer } from '../../support/cluster-stage.ts';
import { endHubProcesses } from '../../support/hub-process.ts';
import { needing } from '../../support/needs.ts';
import { WsClient } from '../../support/ws-client.ts';

const users = Array.from({ length: 20 }, (_, i) => `u${i}`);

let stage: ClusterStage | undefined;
afterEach(async () => {
  await endHubProcesses();
  await stage?.stop();
});

describe('right after a FLUSHALL', needing('redis-server'), () => {
  it('a block on another node does not report its user as offline, and keeps its sessions (C14)', async () => {
    stage = await ClusterStage.start();
    const [a, b] = await stage.hubs(2);
    await Promise.all(users.map((user) => WsClient.hello(a!.ws, { user })));
    const observer = await Observer.open(b!.ws, users, new Map());
    await stage.redis.send(['FLUSHALL']);
    await Promise.all(users.map((user) => ask(b!, 'PUT', `/v1/users/${user}/blocks/somebody`)));
    await observer.until(() => observer.client.all.some(({ type }) => type === 'fresh'));
    await delay(500);
    expect(users.map((user) => [user, observer.history.get(user)?.includes('offline')])).toEqual(
      users.map((user) => [user, false]),
    );
    expect(observer.faults).toEqual([]);
  });

  it('a second session on another node does not end the first one (C3, C14)', async () => {
    stage = await ClusterStage.start();
    const [a, b] = await stage.hubs(2);
    await Promise.all(users.map((user) => WsClient.hello(a!.ws, { user, device: 'phone', status: 'busy' })));
    const observer = await Observer.open(b!.ws, users, new Map());
    await stage.redis.send(['FLUSHALL']);
    await Promise.all(users.map((user) => WsClient.hello(b!.ws, { user, device: 'web' })));
    const haveBoth = (): boolean => users.every((user) => observer.view.get(user)?.devices.join() === 'phone,web');
    await observer.until(() => haveBoth() && !observer.isStale);
    expect(users.map((user) => [user, [...new Set(observer.history.get(user))]])).toEqual(
      users.map((user) => [user, ['busy']]),
    );
    expect(observer.faults).toEqual([]);
  });
});

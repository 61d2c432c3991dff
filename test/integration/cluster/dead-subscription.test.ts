/** A subscription that is dead in silence, as libraries have left it after a reconnect: commands are still answered. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { agreed, StageNode } from '../../support/cluster-nodes.ts';
import { needing } from '../../support/needs.ts';
import { FaultProxy } from '../../support/redis/fault-proxy.ts';
import { RedisServer } from '../../support/redis/redis-server.ts';

const BUCKETS = 8;

describe('a subscription that is dead in silence', needing('redis-server'), () => {
  const close: (() => unknown)[] = [];
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterAll(() => server.close());
  afterEach(async () => {
    for (const one of close.splice(0).reverse()) await one();
  });

  it('is found and replaced within 3 s, and missed changes are reported', async () => {
    const proxy = await FaultProxy.start(server.port);
    close.push(() => proxy.close());
    const [broken, other] = [await StageNode.start(proxy.url, BUCKETS), await StageNode.start(server.url, BUCKETS)];
    close.push(
      () => broken.close(),
      () => other.close(),
    );
    other.begin('42');
    await Promise.all([broken.watch(['42']), other.watch(['42'])]);
    await agreed([broken, other], { '42': 'online' });
    const accepted = proxy.accepted;
    proxy.deafen();
    other.set('42', 'busy');
    const brokenAtMs = performance.now();
    await expect.poll(() => broken.views.get('42')?.entry.status, { timeout: 6000, interval: 20 }).toBe('busy');
    // The bucket was heard up to 1 s before, and the test polls.
    expect(performance.now() - brokenAtMs).toBeLessThan(4000);
    expect(broken.deadSubscriptions).toBeGreaterThan(0);
    await expect.poll(() => proxy.accepted).toBe(accepted + 1);
    // Commands never failed, and the new subscription hears what is published.
    expect(broken.states).not.toContain('away');
    other.set('42', 'away');
    await agreed([broken, other], { '42': 'away' });
  });
});

/** Nodes on a master that Sentinels watch over: they follow it to the replica that takes over, and repair what is lost. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { agreed, StageNode } from '../../support/cluster-nodes.ts';
import { needing } from '../../support/needs.ts';
import { RedisSentinel } from '../../support/redis/redis-sentinel.ts';
import { RedisServer } from '../../support/redis/redis-server.ts';

const USERS = Array.from({ length: 40 }, (_, i) => String(i + 1));
const online = Object.fromEntries(USERS.map((user) => [user, 'online']));

describe('nodes behind Sentinels', needing('redis-server'), () => {
  const close: (() => unknown)[] = [];
  let master: RedisServer;
  let replica: RedisServer;
  let sentinel: RedisSentinel;
  let nodes: StageNode[];

  beforeEach(async () => {
    master = await RedisServer.start('--repl-diskless-sync-delay', '0');
    close.push(() => master.close());
    replica = await RedisServer.start('--replicaof', `127.0.0.1 ${master.port}`);
    close.push(() => replica.close());
    await expect.poll(() => roleOf(replica), { timeout: 15_000 }).toContain('connected');
    sentinel = await RedisSentinel.start('presence', master.port);
    close.push(() => sentinel.close());
    await expect
      .poll(async () => JSON.stringify(await sentinel.send(['SENTINEL', 'REPLICAS', 'presence'])), { timeout: 15_000 })
      .toContain(String(replica.port));
    const url = `redis+sentinel://127.0.0.1:1,127.0.0.1:${sentinel.port}/presence`;
    nodes = await Promise.all(Array.from({ length: 3 }, () => StageNode.start(url, 8)));
    close.push(() => nodes.forEach((node) => node.close()));
    for (const [i, user] of USERS.entries()) nodes[i % 3]?.begin(user);
    await Promise.all(nodes.map((node) => node.watch(USERS)));
    await agreed(nodes, online);
  });
  afterEach(async () => {
    for (const one of close.splice(0).reverse()) await one();
  });

  /** The views are right within 5 s after the new master answers, and nobody was reported offline in between. */
  async function expectRecovery(statuses: Record<string, string>): Promise<void> {
    await expect.poll(() => roleOf(replica).catch(() => []), { timeout: 20_000 }).toContain('master');
    await agreed(nodes, statuses);
    expect(nodes.map(({ offline }) => offline.size)).toEqual([0, 0, 0]);
  }

  it('follow a master that is killed', async () => {
    await master.kill();
    nodes[0]?.set('1', 'busy');
    await expectRecovery({ ...online, '1': 'busy' });
  });

  it('follow a master that is demoted by a failover', async () => {
    await sentinel.send(['SENTINEL', 'FAILOVER', 'presence']);
    nodes[0]?.set('1', 'busy');
    await expectRecovery({ ...online, '1': 'busy' });
  });

  it('report a change again with a larger version if the failover lost it', async () => {
    replica.signal('SIGSTOP');
    await master.send(['CLIENT', 'KILL', 'TYPE', 'replica']); // or else the kernel would keep what is written for it
    for (const [i, user] of USERS.entries()) nodes[i % 3]?.set(user, 'busy');
    const busy = Object.fromEntries(USERS.map((user) => [user, 'busy']));
    await agreed(nodes, busy);
    const reported = new Map(USERS.map((user) => [user, nodes[0]?.views.get(user)?.v ?? 0]));
    await master.kill();
    replica.signal('SIGCONT');
    await expectRecovery(busy);
    for (const user of USERS) expect(nodes[0]?.views.get(user)?.v).toBeGreaterThan(reported.get(user) ?? Infinity);
  });
});

async function roleOf(server: RedisServer): Promise<unknown> {
  return (await server.send(['ROLE']))[0];
}

/** Nodes on a Redis Cluster: a master that is lost, and a slot that moves under load. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { bucketOf, bucketTags, hashSlot } from '../../../server/cluster/bucket.ts';
import { agreed, StageNode } from '../../support/cluster-nodes.ts';
import { needing } from '../../support/needs.ts';
import { RedisCluster } from '../../support/redis/redis-cluster.ts';
import type { RedisServer } from '../../support/redis/redis-server.ts';

const BUCKETS = 8;
const USERS = Array.from({ length: 40 }, (_, i) => String(i + 1));
const online = Object.fromEntries(USERS.map((user) => [user, 'online']));
const busy = Object.fromEntries(USERS.map((user) => [user, 'busy']));

describe('nodes on a Redis Cluster', needing('redis-server'), () => {
  let cluster: RedisCluster;
  let nodes: StageNode[];

  beforeAll(async () => {
    cluster = await RedisCluster.start({ masters: 3, replicas: 1 });
  });
  afterAll(() => cluster.close());
  beforeEach(async () => {
    nodes = [];
    for (let i = 0; i < 3; i++) nodes.push(await StageNode.start(cluster.url, BUCKETS));
    for (const [i, user] of USERS.entries()) nodes[i % 3]?.begin(user);
    await Promise.all(nodes.map((node) => node.watch(USERS)));
    await agreed(nodes, online);
  });
  afterEach(() => nodes.forEach((node) => node.close()));

  it('follow a slot that moves while its users change, and do not lose their connection', async () => {
    const bucket = bucketOf('1', BUCKETS);
    const slot = hashSlot(bucketTags(BUCKETS)[bucket] ?? '');
    const from = await cluster.masterOf(slot);
    const to = cluster.masters.find((master) => master !== from) as RedisServer;
    await cluster.moveSlot(slot, from, to, async () => {
      for (const [i, user] of USERS.entries()) nodes[i % 3]?.set(user, 'busy');
      nodes[0]?.begin('new');
    });
    await agreed(nodes, busy);
    expect(nodes.map(({ states }) => states)).toEqual(nodes.map(() => ['back']));
    // What is published there now is heard.
    for (const [i, user] of USERS.entries()) nodes[i % 3]?.set(user, 'away');
    await agreed(nodes, Object.fromEntries(USERS.map((user) => [user, 'away'])));
    expect(nodes.map(({ offline }) => offline.size)).toEqual([0, 0, 0]);
  });

  it('follow the replica of a master that is killed', async () => {
    await cluster.masters[0]?.kill();
    for (const [i, user] of USERS.entries()) nodes[i % 3]?.set(user, 'busy');
    const [replica] = cluster.replicas as [RedisServer];
    await expect
      .poll(async () => JSON.stringify(await replica.send(['ROLE'], ['CLUSTER', 'INFO'])), { timeout: 20_000 })
      .toMatch(/master.*cluster_state:ok/);
    await agreed(nodes, busy);
    expect(nodes.map(({ offline }) => offline.size)).toEqual([0, 0, 0]);
  });
});

/**
 * The engines of a cluster, held to one contract: in memory, on one Redis server, and on a Redis Cluster of three masters,
 * all of the test's own and behind faulty connections.
 */
import { afterAll, beforeAll, describe } from 'vitest';
import type { EngineEvents } from '../../server/cluster/engine.ts';
import { MemoryEngine } from '../../server/cluster/memory/memory-engine.ts';
import { openRedisEngine } from '../../server/cluster/redis/supervisor.ts';
import { needing } from '../support/needs.ts';
import { FaultProxy } from '../support/redis/fault-proxy.ts';
import { RedisCluster } from '../support/redis/redis-cluster.ts';
import { RedisServer } from '../support/redis/redis-server.ts';
import { clusterEngineContract, type EngineUnderTest, type Received } from './cluster-engine-contract.ts';

const BUCKETS = 4;

function listening(): { received: Received; events: EngineEvents } {
  const received: Received = { messages: [], states: [], directMessages: [] };
  const events = {
    directMessage: (text: string): void => void received.directMessages.push(text),
    message: (bucket: number, text: string): void => void received.messages.push({ bucket, text }),
    away: (): void => void received.states.push('away'),
    back: (): void => void received.states.push('back'),
  };
  return { received, events };
}

describe('the in-memory engine', () => {
  clusterEngineContract(async () => {
    const memory = new MemoryEngine({ clock: () => Date.now(), later: (run) => queueMicrotask(run) });
    const { received, events } = listening();
    const engine = memory.connect('a', events);
    events.back();
    return {
      engine,
      received,
      flush: async () => memory.flush(),
      cut: () => memory.setFault('a', 'cut'),
      loseAnswers: () => memory.setFault('a', 'answers'),
      mend: () => memory.setFault('a', 'none'),
      pause: () => memory.pause(),
      resume: () => memory.resume(),
      close: async () => undefined,
    };
  });
});

describe('the engine on one Redis', needing('redis-server'), () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterAll(() => server.close());

  clusterEngineContract(async (): Promise<EngineUnderTest> => {
    await server.send(['FLUSHALL']);
    const proxy = await FaultProxy.start(server.port);
    const { received, events } = listening();
    const warn = (): void => undefined;
    const supervisor = await openRedisEngine(proxy.url, { prefix: 'ph:', buckets: BUCKETS, agreement: {}, warn });
    supervisor.connect(events);
    return {
      engine: supervisor.engine,
      received,
      flush: () => server.send(['FLUSHALL']).then(() => undefined),
      cut: () => proxy.cut(),
      loseAnswers: () => proxy.swallow(),
      mend: () => proxy.mend(),
      pause: () => server.signal('SIGSTOP'),
      resume: () => server.signal('SIGCONT'),
      close: async () => {
        supervisor.stop();
        await proxy.close();
      },
    };
  });
});

describe('the engine on a Redis Cluster', needing('redis-server'), () => {
  const proxies: FaultProxy[] = [];
  let cluster: RedisCluster;
  beforeAll(async () => {
    const announce = async (port: number): Promise<number> => {
      const proxy = await FaultProxy.start(port);
      proxies.push(proxy);
      return proxy.port;
    };
    // Longer than a pause of all of them.
    cluster = await RedisCluster.start({ masters: 3, nodeTimeoutMs: 10_000, announce });
  });
  afterAll(async () => {
    await cluster.close();
    for (const proxy of proxies) await proxy.close();
  });

  clusterEngineContract(async (): Promise<EngineUnderTest> => {
    const flush = async (): Promise<void> => {
      for (const master of cluster.masters) await master.send(['FLUSHALL']);
    };
    await flush();
    const { received, events } = listening();
    const warn = (): void => undefined;
    const url = `redis+cluster://${proxies.map(({ port }) => `127.0.0.1:${port}`).join()}`;
    const supervisor = await openRedisEngine(url, { prefix: 'ph:', buckets: BUCKETS, agreement: {}, warn });
    supervisor.connect(events);
    return {
      engine: supervisor.engine,
      received,
      flush,
      cut: () => proxies.forEach((proxy) => proxy.cut()),
      loseAnswers: () => proxies.forEach((proxy) => proxy.swallow()),
      mend: () => proxies.forEach((proxy) => proxy.mend()),
      pause: () => cluster.masters.forEach((master) => master.signal('SIGSTOP')),
      resume: () => cluster.masters.forEach((master) => master.signal('SIGCONT')),
      close: async () => {
        supervisor.stop();
        proxies.forEach((proxy) => proxy.mend());
      },
    };
  });
});

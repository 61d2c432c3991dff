/** The engines of a cluster, held to one contract: in memory, and a Redis server of its own behind a faulty connection. */
import { afterAll, beforeAll, describe } from 'vitest';
import type { EngineEvents } from '../../server/cluster/engine.ts';
import { MemoryEngine } from '../../server/cluster/memory/memory-engine.ts';
import { openRedisEngine } from '../../server/cluster/redis/supervisor.ts';
import { needing } from '../support/needs.ts';
import { FaultProxy } from '../support/redis/fault-proxy.ts';
import { RedisServer } from '../support/redis/redis-server.ts';
import { clusterEngineContract, type EngineUnderTest, type Told } from './cluster-engine-contract.ts';

const BUCKETS = 4;

function listening(): { told: Told; events: EngineEvents } {
  const told: Told = { messages: [], states: [], mail: [] };
  const events = {
    mail: (text: string): void => void told.mail.push(text),
    message: (bucket: number, text: string): void => void told.messages.push({ bucket, text }),
    away: (): void => void told.states.push('away'),
    back: (): void => void told.states.push('back'),
  };
  return { told, events };
}

describe('the in-memory engine', () => {
  clusterEngineContract(async () => {
    const memory = new MemoryEngine({ clock: () => Date.now(), later: (run) => queueMicrotask(run) });
    const { told, events } = listening();
    const engine = memory.connect('a', events);
    events.back();
    return {
      engine,
      told,
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
    const { told, events } = listening();
    const warn = (): void => undefined;
    const supervisor = await openRedisEngine(proxy.url, { prefix: 'ph:', buckets: BUCKETS, agreement: {}, warn });
    supervisor.connect(events);
    return {
      engine: supervisor.engine,
      told,
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

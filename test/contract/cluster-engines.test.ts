/** The engines of a cluster, held to one contract: in memory, and a Redis server of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import { createClient } from '@redis/client';
import { afterAll, beforeAll, describe } from 'vitest';
import { MemoryEngine } from '../../server/cluster/memory/memory-engine.ts';
import { RedisEngine } from '../../server/cluster/redis/redis-engine.ts';
import { freePort } from '../support/hub-process.ts';
import { needing, programPath } from '../support/needs.ts';
import { clusterEngineContract, type EngineUnderTest } from './cluster-engine-contract.ts';

const BUCKETS = 4;

describe('the in-memory engine', () => {
  clusterEngineContract(async () => {
    const memory = new MemoryEngine({ clock: () => Date.now(), later: (run) => queueMicrotask(run) });
    const messages: { bucket: number; text: string }[] = [];
    const message = (bucket: number, text: string): void => void messages.push({ bucket, text });
    const engine = memory.connect('a', { message, away: () => undefined, back: () => undefined });
    return { engine, published: async () => messages, flush: async () => memory.flush(), close: () => undefined };
  });
});

describe('the engine on one Redis', needing('redis-server'), () => {
  let server: ChildProcess;
  let url: string;

  beforeAll(async () => {
    const port = await freePort();
    url = `redis://127.0.0.1:${port}`;
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    server = spawn(programPath('redis-server'), args, { stdio: ['ignore', 'pipe', 'ignore'] });
    let printed = '';
    for await (const chunk of server.stdout!) {
      printed += String(chunk);
      if (printed.includes('Ready to accept connections')) break;
    }
  });
  afterAll(async () => {
    const ended = once(server, 'exit');
    server.kill();
    await ended;
  });

  clusterEngineContract(async (): Promise<EngineUnderTest> => {
    const options = { url, maintNotifications: 'disabled' as const };
    const client = await createClient(options).connect();
    const push = await createClient(options).connect();
    await client.flushAll();
    const engine = new RedisEngine({
      send: (args) => client.sendCommand(args),
      prefix: 'ph:',
      buckets: BUCKETS,
      runId: () => 'run',
      newHistory: () => randomUUID(),
    });
    const messages: { bucket: number; text: string }[] = [];
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      await push.sSubscribe(engine.channel(bucket), (text) => void messages.push({ bucket, text }));
    }
    const published = async (): Promise<typeof messages> => {
      // Its answer comes after everything that was published before.
      await push.ping();
      return messages;
    };
    const close = (): void => {
      client.destroy();
      push.destroy();
    };
    const flush = async (): Promise<void> => {
      await client.flushAll();
    };
    return { engine, published, flush, close };
  });
});

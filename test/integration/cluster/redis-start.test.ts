/** Why a node refuses to start: one line that names HUB_REDIS_URL, and what to do. */
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { RedisSupervisor } from '../../../server/cluster/redis/supervisor.ts';
import { StartError } from '../../../server/lib/start-error.ts';
import { freePort } from '../../support/hub-process.ts';
import { needing } from '../../support/needs.ts';
import { FaultProxy } from '../../support/redis/fault-proxy.ts';
import { RedisServer } from '../../support/redis/redis-server.ts';

const close: (() => unknown)[] = [];
afterEach(async () => {
  for (const one of close.splice(0)) await one();
});

/** The line that the operator sees, or '' if the start succeeds. */
async function refusal(url: string): Promise<string> {
  const nothing = (): void => undefined;
  const events = { message: nothing, mail: nothing, away: nothing, back: nothing };
  const supervisor = new RedisSupervisor({ url, prefix: 'ph:', buckets: 4, events, warn: nothing });
  try {
    await supervisor.start();
    return '';
  } catch (error) {
    expect(error).toBeInstanceOf(StartError);
    const { message } = error as Error;
    expect(message).toMatch(/^HUB_REDIS_URL: [^\n]+$/);
    expect(message).not.toContain('secret');
    return message;
  } finally {
    supervisor.stop();
  }
}

/** Answers whatever it is sent with the text. */
async function serverThatSays(text: string): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => text !== '' && socket.write(text));
    close.push(() => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  close.push(() => server.close());
  return `redis://:secret@127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('HUB_REDIS_URL that names no usable server', () => {
  it.each(['localhost:6379', 'http://127.0.0.1:6379', 'redis//secret', ''])('has another form: %s', async (url) => {
    expect(await refusal(url)).toContain('redis://[user:password@]host[:port][/database]');
  });

  it('names a port where nobody listens', async () => {
    const port = await freePort();
    const line = await refusal(`redis://:secret@127.0.0.1:${port}`);
    expect(line).toContain(
      `127.0.0.1:${port} can't be reached: start Redis there or correct the address (ECONNREFUSED)`,
    );
  });

  it('names a server that is not Redis', async () => {
    expect(await refusal(await serverThatSays('HTTP/1.1 400 Bad Request\r\n\r\n'))).toContain(
      'does not answer like Redis',
    );
    expect(await refusal(await serverThatSays(''))).toContain('does not answer: correct the address');
  });
});

describe('HUB_REDIS_URL that names a Redis server', needing('redis-server'), () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start('--requirepass', 'secret');
  });
  afterAll(() => server.close());
  const right = (): string => server.url.replace('redis://', 'redis://:secret@');

  it('is accepted with its password', async () => {
    expect(await refusal(right())).toBe('');
  });

  it.each(['', ':wrong-secret@', 'nobody:secret@'])('with the wrong user or password: %s', async (credentials) => {
    const line = await refusal(server.url.replace('redis://', `redis://${credentials}`));
    expect(line).toContain('refuses the user or the password: correct them');
  });

  it('of a version below 7', async () => {
    const proxy = await FaultProxy.start(server.port);
    close.push(() => proxy.close());
    proxy.alter = (text) => text.replace('redis_version:7', 'redis_version:6');
    expect(await refusal(proxy.url.replace('redis://', 'redis://:secret@'))).toMatch(
      /is Redis 6\.\S+: install Redis 7 or newer/,
    );
  });

  it.each([
    ['a policy that drops records', ['--maxmemory-policy', 'allkeys-lru'], 'set maxmemory-policy noeviction'],
    ['cluster mode', ['--cluster-enabled', 'yes'], 'is part of a Redis Cluster: name a single Redis server'],
    ['no memory left', ['--maxmemory', '1000'], 'accepts no changes now: look into its log (OOM'],
  ])('with %s', async (_, args, remedy) => {
    const other = await RedisServer.start(...args);
    close.push(() => other.close());
    expect(await refusal(other.url)).toContain(remedy);
  });

  it('that is a replica', async () => {
    const master = await RedisServer.start();
    const replica = await RedisServer.start('--replicaof', `127.0.0.1 ${master.port}`);
    close.push(
      () => replica.close(),
      () => master.close(),
    );
    expect(await refusal(replica.url)).toContain('is a replica: name its master, 127.0.0.1');
  });
});

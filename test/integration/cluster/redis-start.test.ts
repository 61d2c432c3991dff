/** Why a node refuses to start: one line that names HUB_REDIS_URL, and what to do. */
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openRedisEngine } from '../../../server/cluster/redis/supervisor.ts';
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
async function refusal(url: string, agreement: Record<string, string> = {}, buckets = 4): Promise<string> {
  try {
    const supervisor = await openRedisEngine(url, { prefix: 'ph:', buckets, agreement, warn: () => undefined });
    supervisor.stop();
    return '';
  } catch (error) {
    expect(error).toBeInstanceOf(StartError);
    const { message } = error as Error;
    expect(message).toMatch(/^HUB_[A-Z_]+: [^\n]+$/);
    expect(message).not.toContain('secret');
    return message;
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

  it('names a port without a listener', async () => {
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

  it('is accepted with a policy that evicts only keys with an expiry, because none has one', async () => {
    const other = await RedisServer.start('--maxmemory', '100mb', '--maxmemory-policy', 'volatile-lru');
    close.push(() => other.close());
    expect(await refusal(other.url)).toBe('');
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
    ['cluster mode', ['--cluster-enabled', 'yes'], 'is part of a Redis Cluster: write redis+cluster://'],
    ['no memory left', ['--maxmemory', '1000'], 'accepts no changes now: read its log (OOM'],
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

describe('settings that all nodes of a cluster share', needing('redis-server'), () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterAll(() => server.close());
  afterEach(() => server.send(['FLUSHALL']));

  it('refuse a node with another value while another node is alive, and let it in afterwards', async () => {
    const options = { prefix: 'ph:', buckets: 4, warn: (): void => undefined };
    const first = await openRedisEngine(server.url, {
      ...options,
      agreement: { HUB_CODES: 'a', HUB_LAST_SEEN: 'show' },
    });
    let beat = 0;
    const renew = (): Promise<unknown> => first.engine.renew({ inc: 'a', beat: ++beat, state: 'live', facts: '' });
    await renew();
    const renewing = setInterval(() => void renew(), 500);
    expect(await refusal(server.url, { HUB_CODES: 'a', HUB_LAST_SEEN: 'show', HUB_NEW: 'x' })).toBe('');
    expect(await refusal(server.url, { HUB_CODES: 'b', HUB_LAST_SEEN: 'show' })).toBe(
      'HUB_CODES: the other nodes of the cluster have another value: ' +
        'set the same value on all nodes, or stop all of them before you change it',
    );
    clearInterval(renewing);
    first.stop();
    expect(await refusal(server.url, { HUB_CODES: 'b', HUB_LAST_SEEN: 'show' })).toBe('');
    expect(await refusal(server.url, { HUB_CODES: 'b', HUB_LAST_SEEN: 'show' })).toBe('');
  });

  it('include the number of buckets, which never changes', async () => {
    expect(await refusal(server.url, {}, 4)).toBe('');
    expect(await refusal(server.url, {}, 8)).toBe(
      'HUB_REDIS_PREFIX: the cluster under ph: has 4 buckets, and this release uses 8: set another prefix',
    );
  });

  it('are not read from keys of another program', async () => {
    await server.send(['SET', 'ph:{m}:a', 'theirs']);
    expect(await refusal(server.url)).toBe(
      'HUB_REDIS_PREFIX: the keys under ph: are not those of a hub: set another prefix',
    );
  });
});

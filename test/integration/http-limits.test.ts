/** Limits over HTTP, through real sockets: requests, sessions, friends; and which pages may ask. */
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import type { Config } from '../../server/config/config.ts';
import { ask, type Asked } from '../support/ask.ts';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';

const ADMIN = 'an-admin-token-for-tests';
const JWT = { auth: 'jwt', jwtSecret: TEST_SECRET, adminToken: ADMIN } as const;
const LISTED = 'https://chat.example';

onBothEngines('limits over HTTP', (transport) => {
  let hub: TestHub;
  const start = async (settings: Partial<Config>) => {
    hub = await startTestHub({ transport, ...settings });
  };
  afterEach(() => hub.stop());
  const call = (method: string, path: string, asked: Asked = {}) => ask(hub.addresses.http, method, path, asked);
  const refused = async (reason: string, token?: string) => {
    const { body } = await call('GET', '/metrics', token === undefined ? {} : { token });
    return Number(new RegExp(`refused_total{reason="${reason}"} (\\d+)`).exec(String(body))?.[1]);
  };
  /** The statuses of one request made so often, each with how often it came. */
  const many = async (count: number, method: string, path: string, asked: Asked = {}) => {
    const found = new Map<number, number>();
    for (let i = 0; i < count; i++) {
      const { status } = await call(method, path, asked);
      found.set(status, (found.get(status) ?? 0) + 1);
    }
    return Object.fromEntries(found);
  };

  describe('of requests', () => {
    it('answers 429 over the rate of an address in open mode, says when to come back, and then lets it in (H11)', async () => {
      await start({ messagesPerS: 1 });
      expect(await many(10, 'GET', '/v1/presence/42')).toEqual({ 200: 10 });
      const over = await call('POST', '/v1/heartbeat', { body: { user: '42' } });
      expect(over).toMatchObject({ status: 429, headers: { 'retry-after': '2' } });
      expect((over.body as { detail: string }).detail).toMatch(/^requests: /);
      expect(await refused('messages')).toBe(1);
      hub.clock.pass(2_000);
      expect((await call('GET', '/v1/presence/42')).body).toMatchObject({ status: 'offline', v: 0 });
    });

    it('counts a list by its users: a large one is answered after a rest, and the next request waits (H2)', async () => {
      await start({ messagesPerS: 1 });
      const users = Array.from({ length: 1000 }, (_, n) => `u${n}`);
      expect((await call('POST', '/v1/presence', { body: { users } })).status).toBe(200);
      expect((await call('GET', '/v1/presence/42')).status).toBe(429);
      hub.clock.pass(12_000);
      expect((await call('GET', '/v1/presence/42')).status).toBe(200);
    });

    it('leaves edits of friend lists, probes, metrics and pages alone in open mode (H11)', async () => {
      await start({ messagesPerS: 1 });
      await many(11, 'GET', '/v1/presence/42');
      expect(await many(15, 'PUT', '/v1/users/42/friends/7')).toEqual({ 204: 15 });
      expect(await many(3, 'POST', '/v1/friends/import', { body: { edges: [['1', '2']] } })).toEqual({ 200: 3 });
      for (const path of ['/healthz', '/readyz', '/metrics']) expect(await many(15, 'GET', path)).toEqual({ 200: 15 });
      expect((await call('GET', '/v1/presence/42')).status).toBe(429);
    });

    it('counts by user in jwt mode, and no admin (H11)', async () => {
      await start({ ...JWT, messagesPerS: 1 });
      const token = await tokenFor('42');
      expect(await many(12, 'GET', '/v1/presence/42', { token })).toEqual({ 200: 10, 429: 2 });
      expect((await call('GET', '/v1/presence/7', { token: await tokenFor('7') })).status).toBe(200);
      expect(await many(15, 'GET', '/v1/presence/42', { token: ADMIN })).toEqual({ 200: 15 });
      expect(await refused('messages', ADMIN)).toBe(2);
    });

    it('counts those without a good token by address, which keeps no good one of it out (H11)', async () => {
      await start({ ...JWT, messagesPerS: 1 });
      expect(await many(6, 'GET', '/v1/presence/42')).toEqual({ 401: 6 });
      expect(await many(6, 'GET', '/v1/presence/42', { token: 'no token of ours' })).toEqual({ 401: 4, 429: 2 });
      expect((await call('GET', '/v1/presence/42', { token: await tokenFor('42') })).status).toBe(200);
    });
  });

  it('answers a heartbeat of a user with too many sessions 429, and does nothing', async () => {
    await start({ maxSessions: 2 });
    const beat = (device: string) => call('POST', '/v1/heartbeat', { body: { user: '42', device } });
    expect([(await beat('a')).status, (await beat('b')).status]).toEqual([200, 200]);
    const third = await beat('c');
    expect(third).toMatchObject({ status: 429, headers: { 'retry-after': '25' } });
    expect((third.body as { detail: string }).detail).toMatch(/^user: it has as many sessions/);
    expect((await call('GET', '/v1/presence/42')).body).toMatchObject({ devices: ['a', 'b'] });
    expect((await beat('a')).status).toBe(200);
    expect(await refused('sessions')).toBe(1);
  });

  it('answers 409 if a list would be too long, names the user and the limit, and changes nothing', async () => {
    await start({ maxFriends: 2 });
    const friendsOf = async (user: string) =>
      ((await call('GET', `/v1/users/${user}/friends`)).body as { friends: string[] }).friends;
    await call('PUT', '/v1/users/42/friends', { body: { friends: ['7', '8'] } });
    const attempts = [
      await call('PUT', '/v1/users/42/friends/9'),
      await call('PUT', '/v1/users/9/friends/42'),
      await call('PUT', '/v1/users/42/friends?oneway=true', { body: { friends: ['1', '2', '3'] } }),
      await call('POST', '/v1/friends/import', {
        body: {
          edges: [
            ['1', '2'],
            ['42', '3'],
          ],
        },
      }),
    ];
    for (const { status, body } of attempts) {
      expect(status).toBe(409);
      expect((body as { detail: string }).detail).toBe('friends: 42 may have at most 2, so nothing was changed');
    }
    expect([await friendsOf('42'), await friendsOf('9'), await friendsOf('1')]).toEqual([['7', '8'], [], []]);
    expect(await refused('friends')).toBe(4);
    expect((await call('PUT', '/v1/users/42/friends/7')).status).toBe(204);
    expect((await call('PUT', '/v1/users/9/friends/42?oneway=true')).status).toBe(204);
  });

  describe('of pages', () => {
    const upgrade = (headers: Record<string, string>) =>
      new Promise<number>((resolve) => {
        const socket = new WebSocket(hub.addresses.ws, { headers });
        socket.on('open', () => {
          socket.terminate();
          resolve(101);
        });
        socket.on('unexpected-response', (_request, response) => {
          resolve(response.statusCode ?? 0);
          response.destroy();
        });
        socket.on('error', () => undefined);
      });

    it('lets a listed page change things, read the answers and connect (H22)', async () => {
      await start({ origins: LISTED });
      const headers = { origin: LISTED };
      const put = await call('PUT', '/v1/users/42/friends/7', { headers });
      expect(put).toMatchObject({ status: 204, headers: { 'access-control-allow-origin': LISTED, vary: 'Origin' } });
      expect((await call('GET', '/v1/presence/a%20b', { headers })).headers).toMatchObject({
        'access-control-allow-origin': LISTED,
      });
      expect((await call('GET', '/v1/presence/42', { headers })).headers).not.toHaveProperty(
        'access-control-allow-credentials',
      );
      expect(await upgrade(headers)).toBe(101);
    });

    it('gives a foreign page no header that lets it read, and refuses its changes and its WebSocket (H22)', async () => {
      await start({ origins: LISTED });
      for (const origin of ['https://evil.example', 'null', `${LISTED}.evil.example`]) {
        const headers = { origin };
        const got = await call('GET', '/v1/presence/42', { headers });
        expect(got).toMatchObject({ status: 200, headers: { vary: 'Origin' } });
        expect(got.headers).not.toHaveProperty('access-control-allow-origin');
        expect(await call('PUT', '/v1/users/42/friends/7', { headers })).toMatchObject({
          status: 403,
          body: { detail: expect.stringContaining('HUB_ORIGINS') as string },
        });
        expect(await upgrade(headers)).toBe(403);
      }
      expect(await refused('origin')).toBe(6);
    });

    it('answers the question before a request of a listed page, without a token, and of no other page (H22)', async () => {
      await start({ ...JWT, origins: LISTED });
      const asks = (origin: string) =>
        call('OPTIONS', '/v1/users/42/friends/7', {
          headers: {
            origin,
            'access-control-request-method': 'DELETE',
            'access-control-request-headers': 'authorization',
          },
        });
      expect(await asks(LISTED)).toMatchObject({
        status: 204,
        headers: {
          'access-control-allow-origin': LISTED,
          'access-control-allow-methods': 'PUT, DELETE',
          'access-control-allow-headers': 'authorization, content-type',
          'access-control-max-age': '600',
          vary: 'Origin',
        },
      });
      const foreign = await asks('https://evil.example');
      expect(foreign.status).toBe(405);
      expect(foreign.headers).not.toHaveProperty('access-control-allow-origin');
      expect((await call('GET', '/v1/presence/42', { headers: { origin: LISTED } })).headers).toMatchObject({
        'access-control-allow-origin': LISTED,
        'www-authenticate': 'Bearer',
      });
    });

    it('answers an open hub of this machine under no foreign name, but for probes (H23)', async () => {
      await start({ origins: LISTED });
      const status = async (path: string, host: string, method = 'GET') =>
        (await call(method, path, { headers: { host } })).status;
      for (const path of ['/v1/presence/42', '/v1/users/42/friends', '/metrics', '/nowhere']) {
        expect(await status(path, 'evil.example:8080')).toBe(403);
      }
      expect(await status('/v1/users/42/friends/7', 'evil.example:8080', 'PUT')).toBe(403);
      for (const path of ['/healthz', '/readyz']) expect(await status(path, 'evil.example')).toBe(200);
      for (const host of ['localhost:8080', 'hub.localhost', '[::1]', 'chat.example']) {
        expect(await status('/v1/presence/42', host)).toBe(200);
      }
      const { body } = await call('GET', '/v1/presence/42', { headers: { host: 'evil.example' } });
      expect((body as { detail: string }).detail).toContain('HUB_ORIGINS');
      expect(await upgrade({ host: 'evil.example:8080', origin: 'http://evil.example:8080' })).toBe(403);
    });

    it('answers under any name if a token is asked for (H23)', async () => {
      await start(JWT);
      const headers = { host: 'hub.example' };
      expect((await call('GET', '/v1/presence/42', { headers, token: await tokenFor('42') })).status).toBe(200);
    });
  });

  it('answers requests that came in one packet, if no token must be checked', async () => {
    await start({});
    const { port } = new URL(hub.addresses.http);
    const one = 'GET /v1/presence/42 HTTP/1.1\r\nHost: localhost\r\n\r\n';
    const last = 'GET /v1/presence/42 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(Number(port), '127.0.0.1');
      let text = '';
      socket.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.split('HTTP/1.1 200').length === 6) socket.end();
      });
      socket.on('close', () => {
        resolve(text);
      });
      socket.on('error', () => undefined);
      socket.write(one.repeat(4) + last);
    });
    expect(answer.split('HTTP/1.1 200')).toHaveLength(6);
  });
});

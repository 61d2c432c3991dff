/** HUB_ROSTER=https://…: friend lists of the operator's own service, through real sockets. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestHub, onBothEngines, type TestHub } from '../support/hub.ts';
import { ListServiceServer } from '../support/list-service.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';
import { WsClient } from '../support/ws-client.ts';

const TTL_MS = 5000;
const MEBIBYTE = 1024 * 1024;

let service: ListServiceServer;
let hub: TestHub;

const start = async (settings: Parameters<typeof startTestHub>[0] = {}): Promise<void> => {
  hub = await startTestHub({ roster: service.url, rosterTtlMs: TTL_MS, maxFriends: 100, ...settings });
};
const friendsOf = (user: string) => hub.request('GET', `/v1/users/${user}/friends`);
const refresh = (user: string) => hub.request('POST', `/v1/users/${user}/friends/refresh`);
const beat = (user: string, fields: object = {}) => hub.request('POST', '/v1/heartbeat', { user, ...fields });

beforeEach(async () => {
  service = await ListServiceServer.open();
});
afterEach(async () => {
  await hub.stop();
  await service.stop().catch(() => undefined);
});

onBothEngines('a roster service', (transport) => {
  it('decides which users a watch of friends shows, and a refresh notifies watchers of changes (H41)', async () => {
    service.lists.set('42', ['9', '7']);
    await start({ transport });
    await beat('7');
    const client = await WsClient.hello(hub.addresses.ws, { observe: true });
    client.send({ type: 'watch', friendsOf: '42' });
    const { entries } = await client.next('snapshot');
    expect(entries.map(({ user, status }) => [user, status])).toEqual([
      ['7', 'online'],
      ['9', 'offline'],
    ]);

    service.lists.set('42', ['7', '8']);
    expect((await refresh('42')).status).toBe(204);
    expect(await client.next('friend')).toMatchObject({ op: 'remove', user: '9' });
    expect(await client.next('friend')).toMatchObject({ op: 'add', entry: { user: '8' } });
    await beat('8');
    expect(await client.entryOf('8')).toMatchObject({ status: 'online' });
    expect((await friendsOf('42')).body).toEqual({ user: '42', friends: ['7', '8'] });
  });

  it('decides which users a user may watch, and a lost friendship ends the watch (H41)', async () => {
    service.lists.set('42', ['7']);
    await start({ transport, auth: 'jwt', jwtSecret: TEST_SECRET, adminToken: 'the-token-of-an-admin' });
    const token = await tokenFor('42', { clock: hub.clock });
    const client = await WsClient.hello(hub.addresses.ws, { user: '42', token });
    client.send({ type: 'watch', users: ['8'] });
    expect(await client.next('error')).toMatchObject({ code: 'forbidden' });
    client.send({ type: 'watch', users: ['7'] });
    await client.next('snapshot');
    const read = (user: string) =>
      fetch(`${hub.addresses.http}/v1/presence/${user}`, { headers: { authorization: `Bearer ${token}` } });
    expect([(await read('7')).status, (await read('8')).status]).toEqual([200, 403]);

    service.lists.set('42', ['8']);
    hub.clock.pass(TTL_MS + 1);
    expect(await client.next('unwatched')).toMatchObject({ users: ['7'] });
    client.send({ type: 'watch', users: ['8'] });
    await client.next('snapshot');
  });
});

describe('a roster service', () => {
  it('is asked once per lifetime for a list, and again for one that is watched (H41)', async () => {
    service.lists.set('42', ['7']);
    await start();
    await friendsOf('42');
    await friendsOf('42');
    expect(service.asked).toEqual(['42']);
    service.lists.set('42', ['8']);
    hub.clock.pass(TTL_MS + 1);
    expect((await friendsOf('42')).body).toMatchObject({ friends: ['8'] });

    const client = await WsClient.hello(hub.addresses.ws, { observe: true });
    client.send({ type: 'watch', friendsOf: '42' });
    await client.next('snapshot');
    service.lists.set('42', []);
    hub.clock.pass(TTL_MS + 1);
    expect(await client.next('friend')).toMatchObject({ op: 'remove', user: '8' });
  });

  it('is asked with the token and a path-encoded id, and 404 means no friends (H41)', async () => {
    await start({ rosterToken: 'letmein' });
    expect((await friendsOf('a@b:1')).body).toEqual({ user: 'a@b:1', friends: [] });
    expect(service.last).toEqual({ authorization: 'Bearer letmein', path: '/friends/a%40b%3A1' });
  });

  it('is asked once for a list that many want at the same time, and for at most 32 lists at once', async () => {
    await start();
    await Promise.all(Array.from({ length: 200 }, (_, n) => friendsOf(`u${n % 100}`)));
    expect(service.asked).toHaveLength(100);
    expect(service.mostRunning).toBeLessThanOrEqual(32);
  });

  it('alone edits the lists: every edit through the hub is answered with 405 (H41)', async () => {
    await start();
    const edits = [
      ['PUT', '/v1/users/42/friends', { friends: ['7'] }],
      ['PUT', '/v1/users/42/friends/7', undefined],
      ['DELETE', '/v1/users/42/friends/7', undefined],
      ['POST', '/v1/friends/import', { edges: [['42', '7']] }],
    ] as const;
    for (const [method, path, body] of edits) {
      expect(await hub.request(method, path, body)).toMatchObject({
        status: 405,
        body: { detail: expect.stringContaining('HUB_ROSTER') as string },
      });
    }
  });

  it('that is down leaves known lists as they are, fails unknown ones, and is used again once it is back (H42)', async () => {
    service.lists.set('42', ['7']);
    service.lists.set('43', ['7']);
    await start();
    const client = await WsClient.hello(hub.addresses.ws, { observe: true });
    client.send({ type: 'watch', friendsOf: '42' });
    await client.next('snapshot');
    await service.stop();
    hub.clock.pass(TTL_MS + 1);

    expect(await friendsOf('43')).toMatchObject({
      status: 503,
      body: { detail: expect.stringContaining('storage') as string },
    });
    expect((await friendsOf('42')).body).toMatchObject({ friends: ['7'] });
    expect((await refresh('42')).status).toBe(503);
    client.send({ type: 'watch', friendsOf: '43', id: 'w' });
    expect(await client.next('error')).toMatchObject({ code: 'internal', re: 'w' });
    await beat('7');
    expect(await client.entryOf('7')).toMatchObject({ status: 'online' });
    expect(client.all.filter(({ type }) => type === 'friend' || type === 'unwatched')).toEqual([]);
    expect((await hub.request('GET', '/readyz')).status).toBe(200);

    service.lists.set('42', ['7', '8']);
    await service.start();
    hub.clock.pass(TTL_MS + 1);
    expect(await client.next('friend')).toMatchObject({ op: 'add', entry: { user: '8' } });
    client.send({ type: 'watch', friendsOf: '43' });
    expect((await client.next('snapshot')).entries).toHaveLength(1);
  });

  it.each([
    ['is not JSON', 'no'],
    ['has no list', '{"friends":"7"}'],
    ['has a bad id', '{"friends":["7","a b"]}'],
    [
      'has more friends than HUB_MAX_FRIENDS',
      JSON.stringify({ friends: Array.from({ length: 101 }, (_, n) => `f${n}`) }),
    ],
    ['is longer than 2 MiB', JSON.stringify({ friends: ['7'], padding: 'x'.repeat(2 * MEBIBYTE) })],
  ])('whose answer %s leaves the last good list, and other lists are read (H42)', async (_, body) => {
    service.lists.set('42', ['7']);
    await start();
    await friendsOf('42');
    service.answer = (response, user) => response.writeHead(200).end(user === '42' ? body : '{"friends":["1"]}');
    expect((await refresh('42')).status).toBe(503);
    expect((await friendsOf('42')).body).toMatchObject({ friends: ['7'] });
    expect((await friendsOf('43')).body).toMatchObject({ friends: ['1'] });
  });

  it.each([
    ['many interim answers', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(100), 'HTTP/1.1 103 Early Hints\r\n\r\n'],
    ['tiny pieces', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n', '1\r\n \r\n'],
  ])('whose answer is an endless flood of %s is cut, and other lists are read (H42)', async (_, head, piece) => {
    await start();
    service.answer = (response, user) => {
      if (user !== '42') {
        response.writeHead(200).end('{"friends":["1"]}');
        return;
      }
      const { socket } = response;
      const flood = (): void => {
        while (socket?.destroyed === false && socket.write(piece.repeat(1000)));
      };
      socket?.on('drain', flood).on('error', () => undefined);
      socket?.write(head);
      flood();
    };
    expect((await friendsOf('42')).body).toMatchObject({ detail: expect.stringContaining('cannot be used') as string });
    expect((await friendsOf('43')).body).toMatchObject({ friends: ['1'] });
  });

  it.each([
    ['redirects', 302],
    ['fails', 500],
    ['refuses the token', 401],
  ])('that %s counts as down, and its redirect is not followed (H42)', async (_, status) => {
    await start();
    service.answer = (response) => response.writeHead(status, { location: '/friends/7' }).end();
    expect((await friendsOf('42')).status).toBe(503);
    expect(service.asked).toEqual(['42']);
  });

  it('that stops in the middle of an answer counts as down (H42)', async () => {
    await start();
    service.answer = (response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('{"friends":', () => response.destroy());
    };
    expect((await friendsOf('42')).status).toBe(503);
  });

  it('whose answer is too late counts as down, and a read that waits ends (H42)', { timeout: 20_000 }, async () => {
    await start();
    service.answer = () => undefined;
    expect(await friendsOf('42')).toMatchObject({
      status: 503,
      body: { detail: expect.stringContaining('does not answer') as string },
    });
  });

  it('sends a client that comes back only what changed in a list that stayed in memory (W27)', async () => {
    service.lists.set('42', ['7', '9']);
    await start();
    hub.clock.pass(1000);
    const first = await WsClient.hello(hub.addresses.ws, { observe: true });
    first.send({ type: 'watch', friendsOf: '42' });
    const { at } = await first.next('snapshot');
    hub.clock.pass(1000);
    service.lists.set('42', ['7', '8']);
    await refresh('42');
    const second = await WsClient.hello(hub.addresses.ws, { observe: true });
    second.send({ type: 'watch', friendsOf: '42', since: at });
    expect(await second.next('snapshot')).toMatchObject({ since: at, removed: ['9'], entries: [{ user: '8' }] });
  });
});

/** PROTOCOL.md section 5, through real sockets: every route that is built, and every way to get one wrong. */
import { connect } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { routeWords } from '../../server/adapters/http/description/route-words.ts';
import { problem } from '../../shared/messages/http-bodies.ts';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { LegacyClient } from '../support/legacy-client.ts';
import { WsClient } from '../support/ws-client.ts';

onBothEngines('HTTP', (transport) => {
  let hub: TestHub;
  beforeEach(async () => {
    hub = await startTestHub({ transport });
  });
  afterEach(() => hub.stop());

  const get = (path: string) => hub.request('GET', path);
  const beat = async (fields: object) => (await hub.request('POST', '/v1/heartbeat', fields)).body;
  const friendsOf = async (user: string) =>
    ((await get(`/v1/users/${user}/friends`)).body as { friends: string[] }).friends;

  it('answers the entry of a user never seen: offline, not a 404', async () => {
    expect(await get('/v1/presence/42')).toEqual({
      status: 200,
      body: { user: '42', status: 'offline', code: -1, since: null, lastSeen: null, devices: [], v: 0 },
    });
  });

  it('takes ids percent-encoded, and knows 042 from 42 (I1, H5)', async () => {
    await beat({ user: 'a@b:c.d-e_f' });
    expect((await get('/v1/presence/a%40b%3Ac.d-e_f')).body).toMatchObject({ user: 'a@b:c.d-e_f', status: 'online' });
    await beat({ user: '42' });
    expect((await get('/v1/presence/042')).body).toMatchObject({ status: 'offline', v: 0 });
  });

  it('answers lists in the order asked, each once, by GET and by POST', async () => {
    await beat({ user: '7' });
    const expected = [
      ['9', 'offline'],
      ['7', 'online'],
    ];
    for (const answer of [
      await get('/v1/presence?users=9,7,9'),
      await get('/v1/presence?users=9&users=7&users=9,7'),
      await hub.request('POST', '/v1/presence', { users: ['9', '7', '9'] }),
    ]) {
      const { entries } = answer.body as { entries: { user: string; status: string }[] };
      expect(entries.map(({ user, status }) => [user, status])).toEqual(expected);
    }
  });

  it('takes 1000 users in one list', async () => {
    const users = Array.from({ length: 1000 }, (_, i) => `u${i}`);
    const { body } = await hub.request('POST', '/v1/presence', { users });
    expect((body as { entries: unknown[] }).entries).toHaveLength(1000);
  });

  it('lets an HTTP heartbeat live for its ttl: user and device are the session, the newest beat wins (L2, L7, H6)', async () => {
    expect(await beat({ user: '42', device: 'cron', status: 'away', text: 'nightly', ttlMs: 60_000 })).toMatchObject({
      entry: { status: 'away', code: 2, devices: ['cron'], text: 'nightly' },
    });
    hub.clock.pass(59_000);
    expect(await beat({ user: '42', device: 'cron', ttlMs: 1_000 })).toMatchObject({
      entry: { status: 'away', text: 'nightly' },
    });
    expect(await hub.metric('presence_hub_sessions{adapter="http"}')).toBe(1);
    hub.clock.pass(1_100);
    await hub.until(async () => ((await get('/v1/presence/42')).body as { status: string }).status === 'offline');
    expect((await get('/v1/presence/42')).body).toMatchObject({ lastSeen: hub.clock.wallMs - 1_100, devices: [] });
  });

  it('gives a beat without a ttl the WebSocket timeout, and one without a status online (I2, H6)', async () => {
    expect(await beat({ user: '42' })).toMatchObject({ entry: { status: 'online', devices: ['http'] } });
    hub.clock.pass(24_900);
    await hub.looked();
    expect((await get('/v1/presence/42')).body).toMatchObject({ status: 'online' });
    hub.clock.pass(200);
    await hub.until(async () => ((await get('/v1/presence/42')).body as { status: string }).status === 'offline');
  });

  it('ends an HTTP session with status offline, at once; a user never seen stays so (L5)', async () => {
    await beat({ user: '42' });
    expect(await beat({ user: '42', status: 'offline' })).toMatchObject({ entry: { status: 'offline', devices: [] } });
    expect(await beat({ user: 'new', status: 'offline' })).toMatchObject({ entry: { status: 'offline', v: 0 } });
  });

  it('ends with offline a session of that user and device that is in its grace, and no live one (L5)', async () => {
    const tab = await WsClient.hello(hub.addresses.ws, { user: '42' });
    expect(await beat({ user: '42', device: 'web', status: 'offline' })).toMatchObject({ entry: { status: 'online' } });
    tab.cut();
    await hub.until(async () => (await hub.metric('presence_hub_connections{adapter="ws-json"}')) === 0);
    expect((await get('/v1/presence/42')).body).toMatchObject({ status: 'online' });
    expect(await beat({ user: '42', device: 'web', status: 'offline' })).toMatchObject({
      entry: { status: 'offline' },
    });
  });

  it('shows an invisible user as one who left (I14)', async () => {
    await beat({ user: '42', text: 'here' });
    const { entry } = (await beat({ user: '42', status: 'invisible' })) as { entry: object };
    expect(entry).toMatchObject({ status: 'offline', code: -1, devices: [], lastSeen: hub.clock.wallMs });
    expect(entry).not.toHaveProperty('text');
  });

  it('makes friends of each other, again without harm, and ends both directions', async () => {
    expect((await hub.request('PUT', '/v1/users/42/friends/7')).status).toBe(204);
    expect((await hub.request('PUT', '/v1/users/42/friends/7')).status).toBe(204);
    expect([await friendsOf('42'), await friendsOf('7')]).toEqual([['7'], ['42']]);
    expect((await hub.request('DELETE', '/v1/users/7/friends/42')).status).toBe(204);
    expect((await hub.request('DELETE', '/v1/users/7/friends/42')).status).toBe(204);
    expect([await friendsOf('42'), await friendsOf('7')]).toEqual([[], []]);
  });

  it('lets oneway touch one direction only, and sorts the list', async () => {
    for (const friend of ['b', '10', '9', 'B']) await hub.request('PUT', `/v1/users/42/friends/${friend}?oneway=true`);
    expect(await friendsOf('42')).toEqual(['10', '9', 'B', 'b']);
    expect(await friendsOf('9')).toEqual([]);
    await hub.request('PUT', '/v1/users/42/friends/9');
    await hub.request('DELETE', '/v1/users/42/friends/9?oneway=true');
    expect([await friendsOf('42'), await friendsOf('9')]).toEqual([['10', 'B', 'b'], ['42']]);
  });

  it('replaces a list, both directions of the dropped end too; oneway only its own', async () => {
    await hub.request('PUT', '/v1/users/42/friends', { friends: ['7', '8', '7'] });
    expect([await friendsOf('42'), await friendsOf('7')]).toEqual([['7', '8'], ['42']]);
    await hub.request('PUT', '/v1/users/42/friends', { friends: ['8', '9'] });
    expect([await friendsOf('42'), await friendsOf('7'), await friendsOf('9')]).toEqual([['8', '9'], [], ['42']]);
    await hub.request('PUT', '/v1/users/42/friends?oneway=true', { friends: ['10'] });
    expect([await friendsOf('42'), await friendsOf('8'), await friendsOf('10')]).toEqual([['10'], ['42'], []]);
    expect((await hub.request('PUT', '/v1/users/42/friends', { friends: [] })).status).toBe(204);
    expect(await friendsOf('42')).toEqual([]);
  });

  it('answers the presence of friends', async () => {
    await hub.request('PUT', '/v1/users/42/friends', { friends: ['7', '8'] });
    await beat({ user: '8' });
    const { entries } = (await get('/v1/users/42/friends/presence')).body as {
      entries: { user: string; status: string }[];
    };
    expect(entries.map(({ user, status }) => [user, status])).toEqual([
      ['7', 'offline'],
      ['8', 'online'],
    ]);
    expect((await get('/v1/users/nobody/friends/presence')).body).toEqual({ entries: [] });
  });

  it('takes 2000 pairs in one import, and no more (H8)', async () => {
    const edges = Array.from({ length: 2001 }, (_, i) => ['1', `f${i}`]);
    const path = '/v1/friends/import?oneway=true';
    expect(await hub.request('POST', path, { edges })).toMatchObject({
      status: 400,
      body: { detail: expect.stringContaining('edges') as string },
    });
    expect(await friendsOf('1')).toEqual([]);
    expect(await hub.request('POST', path, { edges: [] })).toMatchObject({ status: 400 });
    expect((await hub.request('POST', path, { edges: edges.slice(1) })).body).toEqual({ added: 2000 });
  });

  it('adds many pairs at once, as an extension of ours', async () => {
    const answer = await hub.request('POST', '/v1/friends/import', {
      edges: [
        ['1', '2'],
        ['1', '3'],
        ['1', '2'],
      ],
    });
    expect(answer).toEqual({ status: 200, body: { added: 4 } });
    expect(await friendsOf('1')).toEqual(['2', '3']);
    const oneway = await hub.request('POST', '/v1/friends/import?oneway=true', { edges: [['1', '4']] });
    expect(oneway.body).toEqual({ added: 1 });
    expect(await friendsOf('4')).toEqual([]);
  });

  it.each([
    ['GET', '/v1/presence/a%20b', undefined, 'user'],
    ['GET', '/v1/presence/..', undefined, undefined],
    ['GET', `/v1/presence/${'x'.repeat(129)}`, undefined, 'user'],
    ['GET', '/v1/presence/%zz', undefined, 'path'],
    ['GET', '/v1/presence?limit=0', undefined, 'limit'],
    ['GET', '/v1/presence?users=', undefined, 'users'],
    ['GET', '/v1/presence?users=a&users=', undefined, 'users'],
    ['DELETE', '/v1/users/1/friends/2?oneway=true&oneway=false', undefined, 'oneway'],
    ['GET', '/v1/presence?users=a,,b', undefined, 'users'],
    ['GET', `/v1/presence?users=${Array.from({ length: 1001 }, (_, i) => i).join(',')}`, undefined, 'users'],
    ['POST', '/v1/presence', {}, 'users'],
    ['POST', '/v1/presence', { users: [] }, 'users'],
    ['POST', '/v1/presence', { users: [7] }, 'users'],
    ['POST', '/v1/presence', [], 'body'],
    ['POST', '/v1/presence', undefined, 'body'],
    ['POST', '/v1/heartbeat', {}, 'user'],
    ['POST', '/v1/heartbeat', { user: '42', status: 'gone' }, 'status'],
    ['POST', '/v1/heartbeat', { user: '42', ttlMs: 0 }, 'ttlMs'],
    ['POST', '/v1/heartbeat', { user: '42', ttlMs: 86_400_001 }, 'ttlMs'],
    ['POST', '/v1/heartbeat', { user: '42', ttlMs: 1.5 }, 'ttlMs'],
    ['POST', '/v1/heartbeat', { user: '42', device: 'a\nb' }, 'device'],
    ['POST', '/v1/heartbeat', { user: '42', text: 'x'.repeat(141) }, 'text'],
    ['PUT', '/v1/users/42/friends/42', undefined, 'friend'],
    ['PUT', '/v1/users/42/friends/7?oneway=maybe', undefined, 'oneway'],
    ['PUT', '/v1/users/a%20b/friends/7', undefined, 'user'],
    ['DELETE', '/v1/users/42/friends/a%20b', undefined, 'friend'],
    ['PUT', '/v1/users/42/friends', { friends: ['42'] }, 'friends'],
    ['PUT', '/v1/users/42/friends', { friends: 'all' }, 'friends'],
    ['POST', '/v1/friends/import', { edges: [] }, 'edges'],
    ['POST', '/v1/friends/import', { edges: [['1', '1']] }, 'edges'],
    ['POST', '/v1/friends/import', { edges: [['1']] }, 'edges'],
  ])('answers %s %.60s %j with 400 and a problem that names the field (H1)', async (method, path, body, field) => {
    if (field === undefined) return; // fetch itself takes `..` out of a path; the raw test below has it
    const answer = await hub.request(method, path, body);
    expect(answer.status).toBe(400);
    expect(problem.parse(answer.body).detail).toMatch(new RegExp(`^${field}[.:]`));
  });

  it('answers an id that is a number with how to write it', async () => {
    const { body } = await hub.request('POST', '/v1/heartbeat', { user: 7 });
    expect(problem.parse(body).detail).toBe('user: must be a string: "7", not the number 7');
  });

  it('describes itself in openapi.json: every route that the reference has, with what it takes and answers', async () => {
    const { status, body } = await hub.request('GET', '/openapi.json');
    expect(status).toBe(200);
    const { openapi, servers, paths, components } = body as {
      openapi: string;
      servers: { url: string }[];
      paths: Record<string, Record<string, object>>;
      components: { schemas: Record<string, object> };
    };
    expect(openapi).toBe('3.1.0');
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(described.sort()).toEqual(Object.keys(routeWords).sort());
    expect(paths['/v1/heartbeat']?.['post']).toMatchObject({
      operationId: 'sendHeartbeat',
      security: [{}, { bearer: [] }],
      requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/HeartbeatBody' } } } },
      responses: { 200: { content: { 'application/json': { schema: { $ref: '#/components/schemas/EntryAnswer' } } } } },
    });
    expect(components.schemas).toMatchObject({
      HeartbeatBody: { type: 'object', required: ['user'] },
      EntryAnswer: { required: ['entry'], properties: { entry: { $ref: '#/components/schemas/Entry' } } },
      PresenceBody: { properties: { users: { type: 'array', minItems: 1, maxItems: 1000 } } },
      Problem: { required: ['type', 'title', 'status', 'detail'] },
    });
    const operations = Object.values(paths).flatMap((methods) => Object.values(methods) as { operationId: string }[]);
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(Object.keys(routeWords).length);
    const description = JSON.stringify(body);
    for (const [, name] of description.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      expect(components.schemas).toHaveProperty(name!);
    }
    expect(description).not.toMatch(/"\$(id|schema|defs)"/);
    // Relative to the description itself, so that a generated client finds the hub.
    expect(new URL(servers[0]!.url, `${hub.addresses.http}/openapi.json`).href).toBe(`${hub.addresses.http}/`);
    expect(paths['/v1/users/{user}/sessions/{session}']?.['delete']).toMatchObject({
      parameters: [{ name: 'user' }, { name: 'session' }],
      responses: { 204: {}, 404: {}, default: { $ref: '#/components/responses/Failed' } },
    });
    expect(paths['/healthz']?.['get']).toMatchObject({ security: [] });
  });

  it('answers a path of dots with 400, and what is not there with 404', async () => {
    expect(await raw(hub, 'GET /v1/presence/.. HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')).toMatch(
      /^HTTP\/1.1 400 /,
    );
    for (const path of ['/nowhere', '/v1', '/v1/presence/', '/v1/users', '/v1/users/42/sessions']) {
      expect((await get(path)).status).toBe(404);
    }
  });

  it('answers a method that a path does not take with 405 and what it takes', async () => {
    const answer = await fetch(`${hub.addresses.http}/v1/presence/42`, { method: 'DELETE' });
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toBe('GET, HEAD');
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
  });

  it('ignores unknown fields of a body, and its content-type (H5)', async () => {
    const answer = await fetch(`${hub.addresses.http}/v1/heartbeat`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: '{"user":"42","status":"busy","mood":"good"}',
    });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ entry: { user: '42', status: 'busy' } });
  });

  it('answers HEAD like GET, without a body (H5)', async () => {
    const answer = await fetch(`${hub.addresses.http}/v1/presence/42`, { method: 'HEAD' });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(await answer.text()).toBe('');
  });

  it('answers a body over 256 KiB with 413, and headers over 16 KiB with 431', async () => {
    const edges = Array.from({ length: 20_000 }, (_, i) => [`user${i}`, `friend${i}`]);
    const tooLarge = await hub.request('POST', '/v1/friends/import', { edges });
    expect(tooLarge.status).toBe(413);
    expect(problem.parse(tooLarge.body).detail).toContain('body');
    const long = await raw(
      hub,
      `GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(16_500)}\r\nConnection: close\r\n\r\n`,
    );
    expect(long).toMatch(/^HTTP\/1.1 431 /);
    const fits = await raw(
      hub,
      `GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(16_000)}\r\nConnection: close\r\n\r\n`,
    );
    expect(fits).toMatch(/^HTTP\/1.1 200 /);
  });

  it('refuses changes by a page of another origin, gives it no CORS header, and lets its own pages be', async () => {
    const send = (method: string, path: string, origin: string) =>
      fetch(hub.addresses.http + path, { method, headers: { origin } });
    const foreign = await send('PUT', '/v1/users/42/friends/7', 'https://evil.example');
    expect(foreign.status).toBe(403);
    expect(foreign.headers.get('access-control-allow-origin')).toBeNull();
    expect((await send('PUT', '/v1/users/42/friends/7', 'null')).status).toBe(403);
    expect(await friendsOf('42')).toEqual([]);
    expect(
      (await send('GET', '/v1/presence/42', 'https://evil.example')).headers.get('access-control-allow-origin'),
    ).toBeNull();
    expect((await send('PUT', '/v1/users/42/friends/7', hub.addresses.http)).status).toBe(204);
  });

  it('says that it is alive and ready', async () => {
    expect(await get('/healthz')).toEqual({ status: 200, body: { status: 'ok' } });
    expect(await get('/readyz')).toEqual({ status: 200, body: { status: 'ready' } });
  });

  it('counts sessions, connections, heartbeats, changes, deliveries and bad frames', async () => {
    const watcher = await WsClient.hello(hub.addresses.ws, { user: '1' });
    watcher.send({ type: 'watch', users: ['7'] });
    await watcher.next('snapshot');
    const legacy = await LegacyClient.open(hub.tcpPort);
    legacy.write('<nonsense></protocol>');
    legacy.beat('7');
    await watcher.entryOf('7');
    legacy.beat('7', 2);
    await watcher.entryOf('7');
    await beat({ user: '9' });
    const expected = {
      'presence_hub_sessions{adapter="tcp-xml"}': 1,
      'presence_hub_sessions{adapter="ws-json"}': 1,
      'presence_hub_sessions{adapter="http"}': 1,
      'presence_hub_sessions{adapter="poll"}': 0,
      'presence_hub_connections{adapter="tcp-xml"}': 1,
      'presence_hub_connections{adapter="ws-json"}': 1,
      'presence_hub_heartbeats_total{adapter="tcp-xml"}': 2,
      'presence_hub_heartbeats_total{adapter="http"}': 1,
      presence_hub_changes_total: 4,
      presence_hub_deliveries_total: 2,
      'presence_hub_bad_frames_total{reason="malformed"}': 1,
    };
    const counted = await Promise.all(Object.keys(expected).map(async (name) => [name, await hub.metric(name)]));
    expect(Object.fromEntries(counted)).toEqual(expected);
  });

  it('goes on after requests that break off in the middle', async () => {
    for (let i = 0; i < 20; i++) {
      const socket = connect(Number(new URL(hub.addresses.http).port), '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write('POST /v1/heartbeat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"user":');
      await new Promise((resolve) => setImmediate(resolve));
      socket.destroy();
    }
    expect((await get('/healthz')).status).toBe(200);
  });
});

/** Sends bytes as they are and answers what comes until the hub closes. */
function raw(hub: TestHub, request: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(hub.addresses.http).port), '127.0.0.1');
    let answer = '';
    socket.setEncoding('latin1').on('data', (text: string) => (answer += text));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      resolve(answer);
    });
    socket.write(request);
  });
}

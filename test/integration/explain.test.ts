/** PROTOCOL.md section 5, `explain`: why a user is shown as it is, over real sockets of every adapter. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ask } from '../support/ask.ts';
import { explain, onlySession, transitionsOf } from '../support/explain.ts';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { LegacyClient } from '../support/legacy-client.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';
import { WsClient } from '../support/ws-client.ts';

const HOUR_MS = 3_600_000;
const ADMIN = 'an-admin-token-for-tests';

onBothEngines('explain', (transport) => {
  let hub: TestHub;
  beforeEach(async () => {
    hub = await startTestHub({ transport, heartbeatMs: HOUR_MS, timeoutMs: 2 * HOUR_MS });
  });
  afterEach(() => hub.stop());
  const shows = (user: string, status: string) =>
    hub.until(async () => (await explain(hub, user)).entry.status === status);

  it('answers 200 with empty lists for a user never seen (H12)', async () => {
    expect(await explain(hub, 'never')).toEqual({
      user: 'never',
      at: hub.clock.wallMs,
      entry: { user: 'never', status: 'offline', code: -1, since: null, lastSeen: null, devices: [], v: 0 },
      decision: {
        status: 'offline',
        code: -1,
        session: null,
        rule: 'nobody has ever seen this user, and it has no session',
      },
      hidden: { isInvisible: false, from: [], fromCount: 0 },
      sessions: [],
      transitions: [],
      transitionsSince: hub.clock.wallMs,
    });
  });

  it('gives a WebSocket session the id of its welcome, and says when it connected, sent its last heartbeat, and would lapse (H12)', async () => {
    const client = await WsClient.open(hub.addresses.ws);
    client.send({ type: 'hello', user: '42', device: 'phone', status: 'busy', text: 'in a meeting' });
    const { session } = await client.next('welcome');
    const cameAt = hub.clock.wallMs;
    hub.clock.pass(5000);
    await client.roundTrip();
    hub.clock.pass(700);
    expect((await explain(hub, '42')).sessions).toEqual([
      {
        id: session,
        state: 'live',
        adapter: 'ws-json',
        device: 'phone',
        address: '127.0.0.1',
        status: 'busy',
        code: 3,
        text: 'in a meeting',
        connectedAt: cameAt,
        lastHeartbeatAt: cameAt + 5000,
        leaseEndsAt: cameAt + 5000 + 2 * HOUR_MS,
        decides: true,
      },
    ]);
    client.close();
  });

  it('shows the legacy server’s five fields of a legacy client (I23, H13)', async () => {
    const client = await LegacyClient.open(hub.tcpPort);
    const cameAt = hub.clock.wallMs;
    client.write(
      '<protocol><user_id>42</user_id><user_state>7</user_state><user_ip>10.0.0.7</user_ip><user_port>5222</user_port></protocol>',
    );
    await shows('42', 'online');
    const explained = await explain(hub, '42');
    expect(explained).toMatchObject({
      user: '42',
      sessions: [{ address: '10.0.0.7:5222', code: 7, connectedAt: cameAt, lastHeartbeatAt: cameAt }],
      decision: { status: 'online', code: 7, rule: 'its only session says online' },
    });
    // What a client says of its address may be untrue: the peer's own stands beside it, and beside no other.
    expect(explained.sessions[0]?.peerAddress).toMatch(/^127\.0\.0\.1:\d+$/);
    client.write('<protocol><user_id>43</user_id><user_ip>not an address</user_ip></protocol>');
    await shows('43', 'online');
    const [other] = (await explain(hub, '43')).sessions;
    expect(other?.address).toBe(explained.sessions[0]?.peerAddress);
    expect(other).not.toHaveProperty('peerAddress');
    // Nobody else learns either: not from the entry, and not as a watcher.
    const answer = await hub.request('GET', '/v1/presence/42');
    expect(JSON.stringify(answer.body)).not.toMatch(/10\.0\.0\.7|127\.0\.0\.1/);
    client.end();
  });

  it('shows the peer’s port beside a claimed address without a good one, and the other way round (T3, I23)', async () => {
    const client = await LegacyClient.open(hub.tcpPort);
    client.write('<protocol><user_id>1</user_id><user_ip>10.0.0.7</user_ip><user_port>65536</user_port></protocol>');
    client.write('<protocol><user_id>2</user_id><user_ip>10.0.0.256</user_ip><user_port>5222</user_port></protocol>');
    client.write('<protocol><user_id>3</user_id><user_ip/><user_port/></protocol>');
    await shows('3', 'online');
    const addresses = await Promise.all(
      ['1', '2', '3'].map(async (user) => (await explain(hub, user)).sessions[0]?.address),
    );
    const port = addresses[2]?.split(':')[1];
    expect(addresses).toEqual([`10.0.0.7:${port}`, '127.0.0.1:5222', `127.0.0.1:${port}`]);
    client.end();
  });

  it('names the session that decides among several, and the rule', async () => {
    await hub.request('POST', '/v1/heartbeat', { user: '42', device: 'a', status: 'away', ttlMs: HOUR_MS });
    await hub.request('POST', '/v1/heartbeat', { user: '42', device: 'b', status: 'online', ttlMs: HOUR_MS });
    expect((await explain(hub, '42')).decision.rule).toBe('online wins over away');
    await hub.request('POST', '/v1/heartbeat', { user: '42', device: 'c', status: 'busy', ttlMs: HOUR_MS });
    const { decision, sessions } = await explain(hub, '42');
    expect(sessions.map(({ device, decides }) => [device, decides])).toEqual([
      ['a', false],
      ['b', false],
      ['c', true],
    ]);
    expect(decision).toEqual({
      status: 'busy',
      code: 3,
      session: sessions[2]?.id,
      rule: 'busy wins over online and away',
    });
    await hub.request('POST', '/v1/heartbeat', { user: '42', device: 'a', status: 'busy', ttlMs: HOUR_MS });
    expect((await explain(hub, '42')).decision).toMatchObject({
      session: sessions[0]?.id,
      rule: 'busy wins over online and away; of 2 that say so, the one that said it last decides',
    });
  });

  it('reports who sees an online user offline: everybody, or the viewers that it blocks (H14)', async () => {
    const client = await WsClient.hello(hub.addresses.ws, { user: '42' });
    await hub.request('PUT', '/v1/users/42/blocks/7');
    expect((await explain(hub, '42')).hidden).toEqual({ isInvisible: false, from: ['7'], fromCount: 1 });
    client.send({ type: 'heartbeat', id: 1, status: 'invisible' });
    await client.next('ok');
    expect(await explain(hub, '42')).toMatchObject({
      entry: { status: 'offline' },
      decision: { status: 'invisible', rule: 'its only session says invisible, and others see the user as offline' },
      hidden: { isInvisible: true, from: ['7'], fromCount: 1 },
      sessions: [{ status: 'invisible', decides: true }],
      transitions: [
        { cause: 'set', from: 'online', to: 'invisible' },
        { cause: 'came', from: 'offline', to: 'online' },
      ],
    });
    client.close();
  });

  it('names every cause: hello, status, cut, return, goodbye, grace, lapse', async () => {
    const first = await WsClient.hello(hub.addresses.ws, { user: '42' });
    first.send({ type: 'heartbeat', id: 1, status: 'away' });
    await first.next('ok');
    first.send({ type: 'heartbeat', id: 2, status: 'away' }); // says nothing new
    await first.next('ok');
    first.cut();
    await hub.until(async () => (await explain(hub, '42')).sessions[0]?.state === 'grace');
    const second = await WsClient.hello(hub.addresses.ws, { user: '42' });
    second.send({ type: 'bye' });
    await second.closed;
    const third = await WsClient.hello(hub.addresses.ws, { user: '42' });
    third.close();
    await hub.until(async () => (await explain(hub, '42')).sessions[0]?.state === 'grace');
    expect((await explain(hub, '42')).decision.rule).toBe(
      'its only session says online; its connection is lost, and it counts until its grace period ends',
    );
    hub.clock.pass(2100);
    await shows('42', 'offline');
    await hub.request('POST', '/v1/heartbeat', { user: '42', ttlMs: 1000 });
    hub.clock.pass(1100);
    await shows('42', 'offline');
    await hub.request('POST', '/v1/heartbeat', { user: '42', ttlMs: 1000 });
    await hub.request('POST', '/v1/heartbeat', { user: '42', status: 'offline' });
    expect(await transitionsOf(hub, '42')).toEqual([
      'left online>offline http',
      'came offline>online http',
      'lapsed online>offline http',
      'came offline>online http',
      'grace_over online>offline ws-json',
      'lost online>online ws-json',
      'came offline>online ws-json',
      'left online>offline ws-json',
      'returned away>online ws-json',
      'lost away>away ws-json',
      'set online>away ws-json',
      'came offline>online ws-json',
    ]);
    expect((await explain(hub, '42')).decision.rule).toBe('it has no session: offline');
  });

  it('shows the last 20 transitions and no more (H14)', async () => {
    for (let i = 0; i < 30; i++) {
      const status = i % 2 === 0 ? 'away' : 'busy';
      await hub.request('POST', '/v1/heartbeat', { user: '42', status, text: `${i}`, ttlMs: HOUR_MS });
    }
    const { transitions } = await explain(hub, '42');
    expect(transitions).toHaveLength(20);
    expect(transitions[0]).toMatchObject({ cause: 'set', from: 'away', to: 'busy' });
  });

  it('reports that the hub closed a connection, if it did', async () => {
    const client = await WsClient.hello(hub.addresses.ws, { user: '42' });
    for (let i = 0; i < 10; i++) client.send('nonsense');
    expect(await client.closed).toBe(4400);
    expect(await transitionsOf(hub, '42')).toEqual(['closed online>online ws-json', 'came offline>online ws-json']);
  });

  it('gives each session an id that another run of the hub gives to nobody (H12)', async () => {
    await hub.request('POST', '/v1/heartbeat', { user: '42', ttlMs: HOUR_MS });
    const { id } = await onlySession(hub, '42');
    await hub.stop();
    hub = await startTestHub({ transport });
    await hub.request('POST', '/v1/heartbeat', { user: '42', ttlMs: HOUR_MS });
    expect((await onlySession(hub, '42')).id).not.toBe(id);
    expect((await hub.request('DELETE', `/v1/users/42/sessions/${id}`)).status).toBe(404);
  });

  it('shows where an HTTP session sent its last heartbeat', async () => {
    await hub.stop();
    hub = await startTestHub({ transport, trustProxy: '127.0.0.0/8' });
    for (const from of ['10.0.0.7', '10.0.0.8']) {
      await ask(hub.addresses.http, 'POST', '/v1/heartbeat', {
        headers: { 'x-forwarded-for': from },
        body: { user: '42' },
      });
      expect((await onlySession(hub, '42')).address).toBe(from);
    }
  });

  it('asks for a well-formed id, and for an admin', async () => {
    expect((await hub.request('GET', '/v1/users/a%20b/explain')).status).toBe(400);
    expect((await hub.request('POST', '/v1/users/42/explain')).status).toBe(405);
    await hub.stop();
    hub = await startTestHub({ transport, auth: 'jwt', jwtSecret: TEST_SECRET, adminToken: ADMIN });
    const asks = async (token?: string) =>
      (await ask(hub.addresses.http, 'GET', '/v1/users/42/explain', token === undefined ? {} : { token })).status;
    const { clock } = hub;
    expect(await asks()).toBe(401);
    expect(await asks('wrong')).toBe(401);
    expect(await asks(await tokenFor('42', { clock }))).toBe(403);
    expect(await asks(await tokenFor('42', { clock, scopes: ['observe'] }))).toBe(403);
    expect(await asks(await tokenFor('42', { clock, scopes: ['admin'] }))).toBe(200);
    expect(await asks(ADMIN)).toBe(200);
    await hub.stop();
    hub = await startTestHub({ transport, adminToken: ADMIN });
    expect(await asks()).toBe(401);
    expect(await asks(ADMIN)).toBe(200);
  });
});

describe('explain', () => {
  let data: string;
  beforeEach(() => {
    data = mkdtempSync(join(tmpdir(), 'hub-explain-'));
  });
  afterEach(() => {
    rmSync(data, { recursive: true, force: true });
  });

  it('shows what a restart restored, what it forgot, and what did not come back', async () => {
    const before = await startTestHub({ data });
    await WsClient.hello(before.addresses.ws, { user: '42', device: 'phone', status: 'away' });
    const wallMs = before.clock.wallMs + 1000;
    await before.stop();
    const hub = await startTestHub({ data }, (clock) => {
      clock.stepWall(wallMs - clock.wallMs);
      return clock;
    });
    expect(await explain(hub, '42')).toMatchObject({
      stale: true,
      decision: {
        status: 'away',
        rule: 'its only session says away; it was restored after a restart, and counts until its user is back or its time is over',
      },
      sessions: [
        {
          state: 'restored',
          address: null,
          connectedAt: null,
          lastHeartbeatAt: wallMs - 1000,
          leaseEndsAt: wallMs + 25_000,
        },
      ],
      transitionsSince: wallMs,
    });
    hub.clock.pass(25_100);
    await hub.until(async () => (await explain(hub, '42')).sessions.length === 0);
    expect(await transitionsOf(hub, '42')).toEqual(['not_back away>offline ws-json', 'restored away>away ws-json']);
    await hub.stop();
  });

  it('reports a token that expired, over WebSocket and TCP', async () => {
    const hub = await startTestHub({ auth: 'jwt', jwtSecret: TEST_SECRET, adminToken: ADMIN, tcpAuth: 'token' });
    const token = await tokenFor('42', { clock: hub.clock, expiresInS: 2 });
    const client = await WsClient.hello(hub.addresses.ws, { user: '42', token });
    const legacy = await LegacyClient.open(hub.tcpPort);
    legacy.write(`<protocol><user_id>42</user_id><token>${token}</token></protocol>`);
    const asAdmin: Pick<TestHub, 'request'> = {
      request: async (method, path) => {
        const answer = await ask(hub.addresses.http, method, path, { token: ADMIN });
        return { status: answer.status, body: answer.body };
      },
    };
    await hub.until(async () => (await explain(asAdmin, '42')).sessions.length === 2);
    hub.clock.pass(2100);
    expect(await client.closed).toBe(4401);
    await hub.until(async () => (await transitionsOf(asAdmin, '42')).length === 4);
    const [, , ...came] = await transitionsOf(asAdmin, '42');
    expect((await transitionsOf(asAdmin, '42')).slice(0, 2).sort()).toEqual([
      'token_ran_out online>online tcp-xml',
      'token_ran_out online>online ws-json',
    ]);
    expect(came).toEqual(['came online>online tcp-xml', 'came offline>online ws-json']);
    await hub.stop();
  });

  it('reports a polled target that failed, and of one taken out of the file', async () => {
    const target = createServer((socket) => socket.end());
    target.listen(0, '127.0.0.1');
    await once(target, 'listening');
    const { port } = target.address() as AddressInfo;
    const pollFile = join(data, 'targets.json');
    const url = `tcp://127.0.0.1:${port}`;
    const targets = [
      { user: 'printer', url, everyMs: 100, timeoutMs: 100, failures: 1 },
      { user: 'shop', url, everyMs: 100, timeoutMs: 100, failures: 100 },
    ];
    writeFileSync(pollFile, JSON.stringify(targets));
    // A poller reads the clock for its rhythm: the real one.
    const hub = await startTestHub({ pollFile }, () => ({
      now: () => ({ wallMs: Date.now(), monoMs: Math.floor(performance.now()) }),
    }));
    await hub.until(async () => (await explain(hub, 'printer')).sessions.length === 1);
    expect(await onlySession(hub, 'printer')).toMatchObject({ adapter: 'poll', address: `127.0.0.1:${port}` });
    await hub.until(async () => (await explain(hub, 'shop')).sessions.length === 1);
    writeFileSync(pollFile, JSON.stringify(targets.slice(0, 1)));
    await hub.until(async () => (await explain(hub, 'shop')).sessions.length === 0);
    expect(await transitionsOf(hub, 'shop')).toEqual(['left online>offline poll', 'came offline>online poll']);
    target.close();
    await hub.until(async () => (await explain(hub, 'printer')).sessions.length === 0);
    expect(await transitionsOf(hub, 'printer')).toEqual(['failed online>offline poll', 'came offline>online poll']);
    await hub.stop();
  });
});

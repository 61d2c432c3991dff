/** PROTOCOL.md section 5: an admin ends a session, of each adapter, and it is over at once and for whom it should be. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ask } from '../support/ask.ts';
import { explain, kick, onlySession, transitionsOf } from '../support/explain.ts';
import { onBothEngines, startTestHub } from '../support/hub.ts';
import { frame, type LegacyClient } from '../support/legacy-client.ts';
import { startTcpHub, sentTo, type TcpHub } from '../support/tcp-hub.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';
import { WsClient } from '../support/ws-client.ts';

const ADMIN = 'an-admin-token-for-tests';

onBothEngines('the end of a session', (transport) => {
  let hub: TcpHub;
  beforeEach(async () => {
    hub = await startTcpHub({ transport });
  });
  afterEach(() => hub.stop());
  const kickOnly = async (user: string): Promise<void> => {
    expect(await kick(hub, user, (await onlySession(hub, user)).id)).toEqual({ status: 204, body: '' });
  };

  it('over WebSocket: an error and 4403 at once, no grace, watchers are notified, and the other tab goes on (H15)', async () => {
    const watcher = await hub.watch('42');
    const tab = await WsClient.hello(hub.addresses.ws, { user: '42', device: 'phone', status: 'away' });
    const other = await WsClient.open(hub.addresses.ws);
    other.send({ type: 'hello', user: '42', status: 'busy' });
    const { session } = await other.next('welcome');
    await watcher.next('presence', ({ entries }) => entries[0]?.status === 'busy');
    expect((await kick(hub, '42', session)).status).toBe(204);
    expect(await other.next('error')).toMatchObject({ code: 'forbidden', message: 'session: an admin ended it' });
    expect(await other.closed).toBe(4403);
    await watcher.next('presence', ({ entries }) => entries[0]?.status === 'away');
    expect(await hub.entry('42')).toMatchObject({ status: 'away', devices: ['phone'] });
    await tab.roundTrip();
    await kickOnly('42');
    expect(await tab.closed).toBe(4403);
    await watcher.next('presence', ({ entries }) => entries[0]?.status === 'offline');
    expect(await transitionsOf(hub, '42')).toEqual([
      'kicked away>offline ws-json',
      'kicked busy>away ws-json',
      'came away>busy ws-json',
      'came offline>away ws-json',
    ]);
  });

  it('over HTTP: it may begin again with its next heartbeat, as another session (H15)', async () => {
    await hub.request('POST', '/v1/heartbeat', { user: '42', status: 'busy' });
    const { id } = await onlySession(hub, '42');
    await kickOnly('42');
    expect(await hub.entry('42')).toMatchObject({ status: 'offline' });
    await hub.request('POST', '/v1/heartbeat', { user: '42' });
    expect(await onlySession(hub, '42')).toMatchObject({ status: 'online' });
    expect((await onlySession(hub, '42')).id).not.toBe(id);
  });

  it('in its grace: it is gone at once (H15)', async () => {
    const client = await WsClient.hello(hub.addresses.ws, { user: '42' });
    client.cut();
    await hub.until(async () => (await onlySession(hub, '42')).state === 'grace');
    await kickOnly('42');
    expect(await hub.entry('42')).toMatchObject({ status: 'offline' });
  });

  it('is 404 for what is not there: another’s session, a former one, an observer’s, nonsense; and then changes nothing', async () => {
    await hub.request('POST', '/v1/heartbeat', { user: '42' });
    await hub.request('POST', '/v1/heartbeat', { user: '7' });
    const { id } = await onlySession(hub, '42');
    const [node = ''] = id.split('.');
    const observer = await WsClient.open(hub.addresses.ws);
    observer.send({ type: 'hello', observe: true });
    const { session: watching } = await observer.next('welcome');
    const wrong = [
      (await onlySession(hub, '7')).id,
      watching,
      `${node}.`,
      `${node}.0`,
      `${node}.00${id.split('.')[1]}`,
      `${node}.${id.split('.')[1]?.toUpperCase()}0`,
      `${node}.-1`,
      `${node}.1e3`,
      `${id}%20`,
      `${id}%00`,
      `hub-00000000.${id.split('.')[1]}`,
      id.toUpperCase(),
      '..',
      '__proto__',
      'x'.repeat(5000),
    ];
    for (const session of wrong) expect([session, (await kick(hub, '42', session)).status]).toEqual([session, 404]);
    const answer = await kick(hub, '42', 'none');
    expect(answer.body).toEqual({
      type: '/docs/errors/not_found',
      title: 'Not found',
      status: 404,
      detail: 'session: 42 has no such session: explain lists its sessions',
    });
    expect((await kick(hub, 'never', id)).status).toBe(404);
    expect((await kick(hub, 'a b', id)).status).toBe(400);
    expect((await hub.request('GET', `/v1/users/42/sessions/${id}`)).status).toBe(405);
    await onlySession(hub, '42');
    await onlySession(hub, '7');
    await kickOnly('42');
    expect((await kick(hub, '42', id)).status).toBe(404);
  });

  it('of a WebSocket that is welcomed a moment ago takes nothing from a session that comes after it', async () => {
    const ended = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const client = await WsClient.open(hub.addresses.ws);
        client.send({ type: 'hello', user: '42' });
        const { session } = await client.next('welcome');
        client.send({ type: 'heartbeat', status: 'busy' });
        const answer = await kick(hub, '42', session);
        return [answer.status, await client.closed];
      }),
    );
    expect(ended).toEqual(Array.from({ length: 20 }, () => [204, 4403]));
    expect(await hub.entry('42')).toMatchObject({ status: 'offline' });
    await WsClient.hello(hub.addresses.ws, { user: '42' });
    expect(await hub.entry('42')).toMatchObject({ status: 'online' });
  });
});

describe('the end of a session on a TCP connection', () => {
  let hub: TcpHub;
  let client: LegacyClient;
  beforeEach(async () => {
    hub = await startTcpHub({ tcpAck: true });
    client = await hub.open();
  });
  afterEach(() => hub.stop());
  const kickOnly = async (user: string): Promise<void> => {
    expect((await kick(hub, user, (await onlySession(hub, user)).id)).status).toBe(204);
  };
  const withoutAck = async (): Promise<void> => {
    await hub.stop();
    hub = await startTcpHub({});
    client = await hub.open();
  };

  it('refuses that user there from then on, reports that if answers are on, and lets it in elsewhere (T16, H15)', async () => {
    const watcher = await hub.watch('42');
    client.beat('42', 3);
    await hub.shows('42', { status: 'busy' });
    await kickOnly('42');
    expect(await watcher.next('presence', ({ entries }) => entries[0]?.status === 'offline')).toBeDefined();
    client.beat('42', 3);
    await client.waitFor('<error code="forbidden">');
    await hub.hasRead(client);
    expect(await hub.entry('42')).toMatchObject({ status: 'offline' });
    expect(await hub.badFrames()).toEqual({ forbidden: 1 });
    expect(await hub.refusals()).toEqual({ forbidden: 1 });
    const elsewhere = await hub.open();
    elsewhere.beat('42', 2);
    await hub.shows('42', { status: 'away' });
    await watcher.next('presence', ({ entries }) => entries[0]?.status === 'away');
    client.beat('42', 0); // its goodbye counts for nothing either
    await hub.hasRead(client);
    expect(await hub.entry('42')).toMatchObject({ status: 'away' });
    expect(sentTo(watcher)).toEqual(['42 busy 3', '42 offline -1', '42 away 2']);
  });

  it('stops all of the quick ways: the same bytes again, many in one packet, a frame of a known shape', async () => {
    await withoutAck();
    const same = frame('42', 1);
    for (let i = 0; i < 5; i++) client.write(same);
    await hub.hasReceived(5);
    await kickOnly('42');
    client.write(same); // repeated to the byte
    await hub.hasRead(client);
    client.write(same.repeat(16)); // a packet of repeats
    await hub.hasRead(client);
    client.write(`${same}\n${same} ${frame('7', 1)}${same}`); // among others
    await hub.hasRead(client);
    client.write(frame('42', 2) + frame('42', 3)); // of the shape that is known
    client.write(frame('42', 1).replace('<user_id>', '<x/><user_id>')); // of none
    await hub.hasRead(client);
    for (const byte of same) {
      client.write(byte); // in packets of their own
      await new Promise(setImmediate);
    }
    await hub.hasRead(client);
    expect(await hub.entry('42')).toMatchObject({ status: 'offline', v: expect.any(Number) as number });
    expect((await explain(hub, '42')).transitions.map(({ cause }) => cause)).toEqual(['kicked', 'came']);
    expect(await hub.entry('7')).toMatchObject({ status: 'online' });
    expect(await hub.badFrames()).toEqual({ forbidden: 1 + 16 + 3 + 3 + 1 });
  });

  it('does not affect the other users of a gateway, in any order (H15)', async () => {
    await withoutAck();
    const users = Array.from({ length: 50 }, (_, i) => `user-${i}`);
    const round = users.map((user) => frame(user, 1)).join('');
    client.write(round);
    await hub.shows('user-49', { status: 'online' });
    await kickOnly('user-7');
    for (let i = 0; i < 3; i++) client.write(round);
    await hub.hasRead(client);
    const entries = await Promise.all(users.map((user) => hub.entry(user)));
    expect(entries.filter(({ status }) => status === 'offline').map(({ user }) => user)).toEqual(['user-7']);
    expect(await hub.badFrames()).toEqual({ forbidden: 3 });
    hub.clock.pass(5000);
    client.write(round);
    await hub.hasRead(client);
    hub.clock.pass(5000);
    await hub.looked();
    expect(await hub.metric('presence_hub_sessions{adapter="tcp-xml"}')).toBe(50); // 49 and one marker
  });

  it('never closes the connection, however often it is refused: on a new one the user would be let in (T16)', async () => {
    await withoutAck();
    client.beat('42');
    await hub.shows('42', { status: 'online' });
    await kickOnly('42');
    for (let i = 0; i < 100; i++) client.beat('42');
    await expect.poll(async () => (await hub.badFrames()).forbidden).toBe(100);
    await hub.hasConnections(1);
    expect(await hub.entry('42')).toMatchObject({ status: 'offline' });
  });

  it('ends what is in its grace after a cut, and the new connection is let in', async () => {
    client.beat('42');
    await hub.shows('42', { status: 'online' });
    client.reset();
    await hub.until(async () => (await onlySession(hub, '42')).state === 'grace');
    await kickOnly('42');
    expect(await hub.entry('42')).toMatchObject({ status: 'offline' });
    const again = await hub.open();
    again.beat('42');
    await hub.shows('42', { status: 'online' });
  });

  it('holds against a fresh token too, and is for admins alone', async () => {
    await hub.stop();
    hub = await startTcpHub({ auth: 'jwt', jwtSecret: TEST_SECRET, adminToken: ADMIN, tcpAuth: 'token' });
    const asAdmin = {
      request: async (method: string, path: string) => {
        const { status, body } = await ask(hub.addresses.http, method, path, { token: ADMIN });
        return { status, body };
      },
    };
    client = await hub.open();
    const tokenOf = (user: string) => tokenFor(user, { clock: hub.clock });
    client.write(frame('42', 1, await tokenOf('42')) + frame('7', 1, await tokenOf('7')));
    await hub.shows('42', { status: 'online' });
    const { id } = await onlySession(asAdmin, '42');
    const path = `/v1/users/42/sessions/${id}`;
    const statusFor = async (token?: string) =>
      (await ask(hub.addresses.http, 'DELETE', path, token === undefined ? {} : { token })).status;
    expect(await statusFor()).toBe(401);
    expect(await statusFor(await tokenOf('42'))).toBe(403);
    expect(await hub.entry('42')).toMatchObject({ status: 'online' });
    expect((await kick(asAdmin, '42', id)).status).toBe(204);
    client.write(frame('42', 1) + frame('42', 1, await tokenFor('42', { clock: hub.clock, expiresInS: 99 })));
    await hub.hasRead(client);
    expect(await hub.entry('42')).toMatchObject({ status: 'offline' });
    expect(await hub.entry('7')).toMatchObject({ status: 'online' });
  });
});

describe('the end of a session', () => {
  let data: string;
  beforeEach(() => {
    data = mkdtempSync(join(tmpdir(), 'hub-kick-'));
  });
  afterEach(() => {
    rmSync(data, { recursive: true, force: true });
  });

  it('that a restart took up is its end: it comes back neither now nor after the next one (H15)', async () => {
    const before = await startTestHub({ data });
    await WsClient.hello(before.addresses.ws, { user: '42' });
    await before.stop();
    const hub = await startTestHub({ data });
    expect(await onlySession(hub, '42')).toMatchObject({ state: 'restored' });
    expect((await kick(hub, '42', (await onlySession(hub, '42')).id)).status).toBe(204);
    expect((await explain(hub, '42')).entry.status).toBe('offline');
    await hub.stop();
    const after = await startTestHub({ data });
    expect((await explain(after, '42')).sessions).toEqual([]);
    await after.stop();
  });

  it('of a polled target lasts until its next good answer (H15)', async () => {
    const target = createServer((socket) => socket.end());
    target.listen(0, '127.0.0.1');
    await once(target, 'listening');
    const pollFile = join(data, 'targets.json');
    const url = `tcp://127.0.0.1:${(target.address() as AddressInfo).port}`;
    writeFileSync(pollFile, JSON.stringify([{ user: 'printer', url, everyMs: 100, timeoutMs: 100 }]));
    const hub = await startTestHub({ pollFile }, () => ({
      now: () => ({ wallMs: Date.now(), monoMs: Math.floor(performance.now()) }),
    }));
    await hub.until(async () => (await explain(hub, 'printer')).sessions.length === 1);
    const { id } = await onlySession(hub, 'printer');
    expect((await kick(hub, 'printer', id)).status).toBe(204);
    await hub.until(async () => (await explain(hub, 'printer')).sessions.length === 1);
    expect((await onlySession(hub, 'printer')).id).not.toBe(id);
    expect((await transitionsOf(hub, 'printer')).slice(0, 3)).toEqual([
      'came offline>online poll',
      'kicked online>offline poll',
      'came offline>online poll',
    ]);
    target.close();
    await hub.stop();
  });
});

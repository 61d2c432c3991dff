/** HUB_MAX_SESSIONS_TOTAL and HUB_MAX_PER_CONNECTION: how many sessions a hub takes, whatever brings them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { frame } from '../support/legacy-client.ts';
import { startTcpHub, type TcpHub } from '../support/tcp-hub.ts';
import { WsClient } from '../support/ws-client.ts';

let hub: TcpHub;
let data: string | undefined;
afterEach(async () => {
  await hub.stop();
  if (data !== undefined) rmSync(data, { recursive: true });
  data = undefined;
});

const beat = (user: string) => hub.request('POST', '/v1/heartbeat', { user });

describe('a hub with as many sessions as it may have', () => {
  it('refuses another one however it comes, and loses none of those that it has (T13, W23)', async () => {
    hub = await startTcpHub({ maxSessionsTotal: 3, tcpAck: true });
    const legacy = await hub.open();
    legacy.write(frame('tcp'));
    await hub.shows('tcp', { status: 'online' });
    await WsClient.hello(hub.addresses.ws, { user: 'ws' });
    expect((await beat('http')).status).toBe(200);

    const late = await WsClient.open(hub.addresses.ws);
    late.send({ type: 'hello', user: 'late', id: 1 });
    expect(await late.next('error')).toMatchObject({ code: 'too_many', re: 1 });
    expect(await beat('late')).toMatchObject({ status: 429 });
    legacy.write(frame('late').repeat(20) + frame('tcp', 2));
    await legacy.waitFor('<ack user_id="tcp" state="2"/>');
    expect(legacy.received.match(/<error code="too_many"/g)).toHaveLength(20);

    expect(await hub.badFrames()).toEqual({});
    expect(await hub.refusals()).toEqual({ sessions_total: 22 });
    for (const user of ['tcp', 'ws', 'http']) expect((await hub.entry(user)).status).not.toBe('offline');
    expect((await beat('http')).status).toBe(200);
    late.send({ type: 'hello', observe: true });
    await late.next('welcome');
  });

  it('takes another one as soon as one has ended, and one that takes the place of another at any time (W23)', async () => {
    hub = await startTcpHub({ maxSessionsTotal: 1, graceMs: 60_000 });
    const legacy = await hub.open();
    legacy.write(frame('42'));
    await hub.shows('42', { status: 'online' });
    legacy.reset();
    await hub.hasConnections(0);
    expect((await beat('7')).status).toBe(429);
    const back = await hub.open();
    back.write(frame('42', 2));
    await hub.shows('42', { status: 'away' });
    back.write(frame('42', 0));
    await hub.shows('42', { status: 'offline' });
    expect((await beat('7')).status).toBe(200);
  });

  it('counts restored sessions, and gives them their place back (S11)', async () => {
    data = mkdtempSync(join(tmpdir(), 'hub-limits-'));
    hub = await startTcpHub({ data, maxSessionsTotal: 2 });
    expect([(await beat('1')).status, (await beat('2')).status]).toEqual([200, 200]);
    await hub.stop();
    hub = await startTcpHub({ data, maxSessionsTotal: 2 });
    expect((await beat('3')).status).toBe(429);
    expect((await beat('1')).status).toBe(200);
    expect(await hub.refusals()).toEqual({ sessions_total: 1 });
  });
});

it('a gateway loses nobody over a user too many (T13)', async () => {
  hub = await startTcpHub({ maxPerConnection: 2 });
  const gateway = await hub.open();
  gateway.write(['1', '2', '3', '3', '1'].map((user) => frame(user)).join(''));
  await hub.hasReceived(3);
  await expect.poll(() => hub.refusals()).toEqual({ per_connection: 2 });
  expect(await hub.badFrames()).toEqual({});
  expect((await hub.entry('3')).status).toBe('offline');
  expect((await hub.entry('2')).status).toBe('online');
});

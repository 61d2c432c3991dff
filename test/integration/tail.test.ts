/** PROTOCOL.md section 4, `tail`: an admin sees every change as it comes, and no more of it than a glance takes. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_TAIL_CHANGES, MAX_TAILS } from '../../shared/limits.ts';
import { onlySession } from '../support/explain.ts';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';
import { WsClient } from '../support/ws-client.ts';

const ADMIN = 'an-admin-token-for-tests';

async function tail(hub: TestHub, fields: object = {}, hello: object = {}): Promise<WsClient> {
  const client = await WsClient.hello(hub.addresses.ws, { observe: true, ...hello });
  client.send({ type: 'tail', id: 'tail', ...fields });
  await client.next('ok', ({ re }) => re === 'tail');
  return client;
}

onBothEngines('a tail', (transport) => {
  let hub: TestHub;
  const admin = () => WsClient.hello(hub.addresses.ws, { observe: true });
  beforeEach(async () => {
    hub = await startTestHub({ transport, messagesPerS: 10_000 });
  });
  afterEach(() => hub.stop());

  it('shows each change with its cause, its session and what was shown before; blocks hide nothing (W36)', async () => {
    await hub.request('PUT', '/v1/users/42/blocks/boss');
    const client = await tail(hub, {}, { observe: true, user: 'boss' });
    await hub.request('POST', '/v1/heartbeat', { user: '42', status: 'away', text: 'x' });
    const { id } = await onlySession(hub, '42');
    const first = await client.next('tail');
    expect(first).toMatchObject({
      changes: [{ at: hub.clock.wallMs, cause: 'came', adapter: 'http', session: id, from: 'offline' }],
      skipped: 0,
    });
    expect(first.changes[0]?.entry).toEqual((await hub.request('GET', '/v1/presence/42')).body);
    await hub.request('POST', '/v1/heartbeat', { user: '42', status: 'away', text: 'x' }); // no change
    await hub.request('DELETE', `/v1/users/42/sessions/${id}`);
    expect((await client.next('tail')).changes).toMatchObject([
      { cause: 'kicked', session: id, from: 'away', entry: { user: '42', status: 'offline' } },
    ]);
    client.close();
  });

  it('shows those alone whose id holds the match; another match takes its place, untail ends it (W18)', async () => {
    const client = await tail(hub, { match: 'print' });
    const beat = (user: string, text: string) => hub.request('POST', '/v1/heartbeat', { user, text });
    for (const user of ['printer-3', '42', 'blueprint']) await beat(user, 'a');
    expect((await client.next('tail')).changes.map(({ entry }) => entry.user)).toEqual(['printer-3', 'blueprint']);
    client.send({ type: 'tail', id: 'again', match: '42' });
    await client.next('ok', ({ re }) => re === 'again');
    for (const user of ['printer-3', '42', 'blueprint']) await beat(user, 'b');
    expect((await client.next('tail')).changes.map(({ entry }) => entry.user)).toEqual(['42']);
    client.send({ type: 'untail', id: 'end' });
    await client.next('ok', ({ re }) => re === 'end');
    const reported = client.all.length;
    await beat('42', 'c');
    await delay(600); // two times that it would have been sent
    expect(client.all.slice(reported)).toEqual([]);
    client.close();
  });

  it('sends what waits when another match takes its place', async () => {
    const client = await tail(hub, { match: '4' });
    await hub.request('POST', '/v1/heartbeat', { user: '42' });
    client.send({ type: 'tail', id: 'again', match: '7' });
    await client.next('ok', ({ re }) => re === 'again');
    await hub.request('POST', '/v1/heartbeat', { user: '7' });
    const reported: string[] = [];
    while (reported.length < 2) reported.push(...(await client.next('tail')).changes.map(({ entry }) => entry.user));
    expect(reported).toEqual(['42', '7']);
    client.close();
  });

  it('counts what is more than it shows (W36)', async () => {
    const client = await tail(hub);
    const changer = await WsClient.hello(hub.addresses.ws, { user: '42' });
    const count = 3 * MAX_TAIL_CHANGES;
    for (let i = 0; i < count; i++) changer.send({ type: 'heartbeat', text: `${i}` });
    await changer.roundTrip();
    let reported = 0;
    while (reported < count + 1) {
      const { changes, skipped } = await client.next('tail');
      expect(changes.length).toBeLessThanOrEqual(MAX_TAIL_CHANGES);
      reported += changes.length + skipped;
    }
    expect(reported).toBe(count + 1); // and the one that came
    for (const one of [client, changer]) one.close();
  });

  it('is had by a few at a time, and the end of one makes room (W18)', async () => {
    const clients = await Promise.all(Array.from({ length: MAX_TAILS }, () => tail(hub)));
    const late = await admin();
    late.send({ type: 'tail', id: 1 });
    expect(await late.next('error')).toMatchObject({ code: 'too_many', re: 1 });
    clients[0]?.send({ type: 'tail', id: 'same' });
    await clients[0]?.next('ok', ({ re }) => re === 'same');
    clients[1]?.cut();
    await hub.until(async () => (await hub.metric('presence_hub_connections{adapter="ws-json"}')) === MAX_TAILS);
    late.send({ type: 'tail', id: 2 });
    await late.next('ok', ({ re }) => re === 2);
    for (const one of [...clients, late]) one.close();
  });

  it('takes a match of the right form alone', async () => {
    const client = await admin();
    for (const match of ['', 7, 'x'.repeat(129)]) {
      client.send({ type: 'tail', match });
      expect(await client.next('error')).toMatchObject({
        code: 'bad_message',
        message: expect.stringMatching(/^match: /) as string,
      });
    }
    client.close();
  });
});

describe('a tail', () => {
  let hub: TestHub;
  beforeEach(async () => {
    hub = await startTestHub({ auth: 'jwt', jwtSecret: TEST_SECRET, adminToken: ADMIN });
  });
  afterEach(() => hub.stop());

  it('is for admins alone (W18, H19)', async () => {
    for (const [user, scopes] of [['42', []] as const, ['42', ['observe']] as const]) {
      const token = await tokenFor(user, { clock: hub.clock, scopes });
      const client = await WsClient.hello(hub.addresses.ws, { observe: true, token });
      client.send({ type: 'tail', id: 1 });
      expect(await client.next('error')).toMatchObject({ code: 'forbidden', re: 1 });
      client.close();
    }
    const byScope = await tokenFor('ops', { clock: hub.clock, scopes: ['admin'] });
    for (const token of [ADMIN, byScope]) (await tail(hub, {}, { token })).close();
    await hub.stop();
    hub = await startTestHub({ adminToken: ADMIN });
    const anyone = await WsClient.hello(hub.addresses.ws, { observe: true });
    anyone.send({ type: 'tail', id: 1 });
    expect(await anyone.next('error')).toMatchObject({ code: 'forbidden' });
    (await tail(hub, {}, { token: ADMIN })).close();
  });

  it('ends if a fresh token is no admin’s (W18)', async () => {
    const tokenOf = (scopes: ('admin' | 'observe')[]) => tokenFor('ops', { clock: hub.clock, scopes });
    const client = await tail(hub, {}, { token: await tokenOf(['admin']) });
    client.send({ type: 'token', token: await tokenOf(['observe']) });
    expect(await client.next('error')).toMatchObject({
      code: 'forbidden',
      message: expect.stringMatching(/^tail: has ended/) as string,
    });
    client.close();
  });
});

/** PROTOCOL.md sections 2 and 4, through real sockets: the greeting, the lease, the end of a WebSocket connection. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { WsClient } from '../support/ws-client.ts';

onBothEngines('hello, lease and end', (transport) => {
  let hub: TestHub;
  beforeEach(async () => {
    hub = await startTestHub({ transport });
  });
  afterEach(() => hub.stop());

  const open = () => WsClient.open(hub.addresses.ws);
  const hello = (fields: object) => WsClient.hello(hub.addresses.ws, fields);
  const presenceOf = async (user: string) => (await hub.request('GET', `/v1/presence/${user}`)).body;

  it('welcomes with its intervals, a session and the id of the hello (I2, L2, W5, W24)', async () => {
    const client = await open();
    client.send({ type: 'hello', user: '42', id: 7, unknown: { field: true } });
    const welcome = await client.next('welcome');
    expect(welcome).toMatchObject({ re: 7, user: '42', heartbeatMs: 10_000, timeoutMs: 25_000, protocol: 1 });
    expect(welcome.session).not.toBe('');
    expect(await presenceOf('42')).toMatchObject({ status: 'online', code: 1, devices: ['web'] });
  });

  it('names no user to an observer that named none (W24)', async () => {
    const client = await open();
    client.send({ type: 'hello', observe: true });
    expect(await client.next('welcome')).not.toHaveProperty('user');
  });

  it('takes device, status and text from the hello (W5)', async () => {
    await hello({ user: '42', device: 'phone', status: 'busy', text: 'in a meeting' });
    expect(await presenceOf('42')).toMatchObject({ status: 'busy', code: 3, devices: ['phone'], text: 'in a meeting' });
  });

  it.each([
    ['a missing user', { type: 'hello' }, 'user'],
    ['a user with a space', { type: 'hello', user: 'abc def' }, 'user'],
    ['a user of 129 characters', { type: 'hello', user: 'x'.repeat(129) }, 'user'],
    ['a user that is a number', { type: 'hello', user: 42 }, 'user'],
    ['a status of offline', { type: 'hello', user: '42', status: 'offline' }, 'status'],
    ['an empty device', { type: 'hello', user: '42', device: '' }, 'device'],
    ['a text of 141 units', { type: 'hello', user: '42', text: 'x'.repeat(141) }, 'text'],
    ['an observer with a status', { type: 'hello', observe: true, status: 'online' }, 'status'],
  ])('refuses %s, names the field, and lets the client try again (W4)', async (_, bad, field) => {
    const client = await open();
    client.send({ ...bad, id: 'x' });
    expect(await client.next('error')).toMatchObject({
      code: 'bad_message',
      re: 'x',
      message: expect.stringContaining(field) as string,
    });
    client.send({ type: 'hello', user: '42' });
    expect(await client.next('welcome')).toMatchObject({ user: '42' });
  });

  it('asks for hello first, and does not close (W4)', async () => {
    const client = await open();
    client.send({ type: 'heartbeat', id: 1 });
    expect(await client.next('error')).toMatchObject({ code: 'hello_first', re: 1 });
    client.send({ type: 'watch', users: [] });
    expect(await client.next('error')).toMatchObject({ code: 'hello_first' });
    client.send({ type: 'hello', user: '42' });
    await client.next('welcome');
  });

  it('closes with 4408 when no hello came within 10 s, and says why (W4)', async () => {
    const client = await open();
    client.send({ type: 'heartbeat' });
    await client.next('error');
    hub.clock.pass(9_900);
    client.send({ type: 'heartbeat' });
    await client.next('error');
    hub.clock.pass(200);
    expect(await client.next('error')).toMatchObject({ code: 'hello_first' });
    expect(await client.closed).toBe(4408);
  });

  it('refuses a second hello, an unknown type, a binary message and what is no JSON object, and stays open (W1, W3, W4, W45)', async () => {
    const client = await hello({ user: '42' });
    client.send({ type: 'hello', user: '42', id: 'again' });
    expect(await client.next('error')).toMatchObject({ code: 'bad_message', re: 'again' });
    client.send({ type: 'dance', id: 'd' });
    expect(await client.next('error')).toMatchObject({ code: 'unknown_type', re: 'd' });
    client.sendBinary(new TextEncoder().encode('{"type":"heartbeat"}'));
    expect(await client.next('error')).toMatchObject({ code: 'bad_message' });
    for (const text of ['', 'null', '[]', '"x"', '{"type":', '{"type":5}']) {
      client.send(text);
      expect(await client.next('error')).toMatchObject({ code: 'bad_message' });
    }
    await client.roundTrip();
  });

  it('closes with 4400 at ten bad messages in a row; a good one resets the count (W46)', async () => {
    const client = await hello({ user: '42' });
    for (let i = 0; i < 9; i++) client.send('nonsense');
    await client.roundTrip();
    for (let i = 0; i < 10; i++) client.send('nonsense');
    expect(await client.closed).toBe(4400);
    expect(client.all.filter(({ type }) => type === 'error')).toHaveLength(19);
  });

  it('closes with 1009 over 16 KiB, and takes exactly 16 KiB', async () => {
    const client = await hello({ user: '42' });
    const padded = (bytes: number) => `{"type":"heartbeat","id":"fits","pad":"${'x'.repeat(bytes - 41)}"}`;
    expect(padded(16_384)).toHaveLength(16_384);
    client.send(padded(16_384));
    expect(await client.next('ok')).toMatchObject({ re: 'fits' });
    client.send(padded(16_385));
    expect(await client.closed).toBe(1009);
  });

  it('answers a heartbeat only when it carries an id, and a token always so (W2, W32)', async () => {
    const client = await hello({ user: '42' });
    client.send({ type: 'heartbeat' });
    client.send({ type: 'heartbeat', id: 0 });
    client.send({ type: 'token', token: 'x', id: '' });
    expect(await client.next('ok')).toMatchObject({ re: 0 });
    expect(await client.next('ok')).toMatchObject({ re: '' });
    client.send({ type: 'token' });
    expect(await client.next('error')).toMatchObject({
      code: 'bad_message',
      message: expect.stringContaining('token') as string,
    });
  });

  it('changes status and text with a heartbeat, and clears the text with an empty one (W10)', async () => {
    const client = await hello({ user: '42', text: 'here' });
    client.send({ type: 'heartbeat', status: 'away' });
    await client.roundTrip();
    expect(await presenceOf('42')).toMatchObject({ status: 'away', code: 2, text: 'here' });
    client.send({ type: 'heartbeat', text: '' });
    await client.roundTrip();
    expect(await presenceOf('42')).not.toHaveProperty('text');
  });

  it('ends the session at once with bye, says nothing more and closes with 1000 (L5, W14)', async () => {
    const client = await hello({ user: '42' });
    client.send({ type: 'bye', id: 'x' });
    client.send({ type: 'heartbeat', id: 'late' });
    expect(await client.closed).toBe(1000);
    expect(client.all.map(({ type }) => type)).toEqual(['welcome']);
    expect(await presenceOf('42')).toMatchObject({ status: 'offline', lastSeen: hub.clock.wallMs });
  });

  it('closes within 5 s after a bye, even if the client does not answer the close (W14)', async () => {
    const connections = () => hub.metric('presence_hub_connections{adapter="ws-json"}');
    const client = await hello({ user: '42' });
    client.pause();
    client.send({ type: 'bye' });
    await hub.until(async () => ((await presenceOf('42')) as { status: string }).status === 'offline');
    hub.clock.pass(5_100);
    await hub.until(async () => (await connections()) === 0);
    client.cut();
  });

  it.each([
    [
      'a broken socket',
      (client: WsClient) => {
        client.cut();
      },
    ],
    [
      'a close of 1000',
      (client: WsClient) => {
        client.close(1000);
      },
    ],
    [
      'a close of 1001',
      (client: WsClient) => {
        client.close(1001);
      },
    ],
  ])('keeps the session visible for the grace after %s, from that moment (L3)', async (_, end) => {
    const client = await hello({ user: '42' });
    hub.clock.pass(24_000);
    await client.roundTrip();
    end(client);
    await client.closed;
    await hub.until(async () => (await hub.metric('presence_hub_connections{adapter="ws-json"}')) === 0);
    hub.clock.pass(1_900);
    await hub.looked();
    expect(await presenceOf('42')).toMatchObject({ status: 'online' });
    hub.clock.pass(200);
    await hub.until(async () => ((await presenceOf('42')) as { status: string }).status === 'offline');
    expect(await presenceOf('42')).toMatchObject({ lastSeen: hub.clock.wallMs - 2_100 });
  });

  it('closes with 4408 when the lease expires, at once offline, with the last sign as lastSeen (L4)', async () => {
    const client = await WsClient.hello(hub.addresses.ws, { user: '42' }, { autoPong: false });
    const lastSignAt = hub.clock.wallMs;
    hub.clock.pass(24_900);
    await hub.looked();
    expect(await presenceOf('42')).toMatchObject({ status: 'online' });
    hub.clock.pass(200);
    expect(await client.closed).toBe(4408);
    expect(await presenceOf('42')).toMatchObject({ status: 'offline', lastSeen: lastSignAt });
  });

  it('pings a silent client, and a pong alone keeps it alive (L1)', async () => {
    const client = await hello({ user: '42' });
    for (let i = 0; i < 4; i++) {
      const pinged = new Promise<void>((resolve) => {
        client.onPing(resolve);
      });
      hub.clock.pass(10_100);
      await pinged;
      await hub.looked();
      await hub.looked();
    }
    await client.roundTrip();
    expect(await presenceOf('42')).toMatchObject({ status: 'online' });
  });

  it('lets an observer watch without a presence, under the same lease (W9)', async () => {
    const observer = await WsClient.hello(hub.addresses.ws, { observe: true, user: '42' }, { autoPong: false });
    expect(await presenceOf('42')).toMatchObject({ status: 'offline', v: 0 });
    observer.send({ type: 'heartbeat', status: 'away', id: 1 });
    expect(await observer.next('error')).toMatchObject({
      code: 'bad_message',
      re: 1,
      message: expect.stringContaining('status') as string,
    });
    observer.send({ type: 'heartbeat', text: 'x', id: 2 });
    expect(await observer.next('error')).toMatchObject({
      code: 'bad_message',
      re: 2,
      message: expect.stringContaining('text') as string,
    });
    hub.clock.pass(20_000);
    await observer.roundTrip();
    hub.clock.pass(20_000);
    await observer.roundTrip();
    hub.clock.pass(25_100);
    expect(await observer.closed).toBe(4408);
  });

  it('sends the true fold to clients that asked for self, and only when it changes (W5, W33)', async () => {
    const phone = await hello({ user: '42', device: 'phone', status: 'invisible', self: true });
    expect(await phone.next('self')).toEqual({ type: 'self', status: 'invisible', devices: ['phone'] });
    const laptop = await hello({ user: '42', device: 'laptop', text: 'hi' });
    expect(await phone.next('self')).toEqual({
      type: 'self',
      status: 'invisible',
      text: 'hi',
      devices: ['laptop', 'phone'],
    });
    laptop.send({ type: 'heartbeat', text: 'hi' });
    await laptop.roundTrip();
    laptop.send({ type: 'bye' });
    await laptop.closed;
    expect(await phone.next('self')).toEqual({ type: 'self', status: 'invisible', devices: ['phone'] });
    expect(laptop.all.some(({ type }) => type === 'self')).toBe(false);
    expect(await presenceOf('42')).toMatchObject({ status: 'offline', devices: [], v: 0 });
  });

  it('lets two tabs of one device be two sessions: the end of one changes nothing (L6)', async () => {
    const first = await hello({ user: '42' });
    await hello({ user: '42' });
    const before = await presenceOf('42');
    first.send({ type: 'bye' });
    await first.closed;
    expect(await presenceOf('42')).toEqual(before);
  });

  it('refuses an upgrade elsewhere than /ws, and one from a page of another origin', async () => {
    const elsewhere = hub.addresses.ws.replace('/ws', '/else');
    await expect(WsClient.open(elsewhere)).rejects.toThrow('404');
    await expect(WsClient.open(hub.addresses.ws, { origin: 'https://evil.example' })).rejects.toThrow('403');
    await WsClient.open(hub.addresses.ws, { origin: hub.addresses.http });
  });
});

/** PROTOCOL.md sections 4 and 7, through real sockets: how fast and how much, how many, and who reads too slowly. */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { Config } from '../../server/config/config.ts';
import { sessionStatuses } from '../../shared/status.ts';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { WsClient } from '../support/ws-client.ts';

let hub: TestHub;
afterEach(() => hub.stop());

const start = async (settings: Partial<Config>): Promise<void> => {
  hub = await startTestHub(settings);
};
const open = () => WsClient.open(hub.addresses.ws);
const hello = (user: string, fields: object = {}) => WsClient.hello(hub.addresses.ws, { user, ...fields });
const presenceOf = async (user: string) => (await hub.request('GET', `/v1/presence/${user}`)).body as { text?: string };
const refused = (reason: string) => hub.metric(`presence_hub_refused_total{reason="${reason}"}`);
const connections = () => hub.metric('presence_hub_connections{adapter="ws-json"}');
/** Uses up what may be said at once: 10 messages at 1 a second, the hello among them, and one that goes over it. */
const useUp = async (client: WsClient, count: number): Promise<void> => {
  for (let i = 0; i < count; i++) client.send({ type: 'heartbeat', id: `use ${i}` });
  await client.next('ok', ({ re }) => re === `use ${count - 1}`);
};
const errorsOf = (client: WsClient) => client.all.filter(({ type }) => type === 'error');

onBothEngines('more messages than the rate allows', (transport) => {
  /** How many of the answers `use 0`, `use 1` … have come. */
  const answered = (client: WsClient) => client.all.filter(({ type }) => type === 'ok').length;

  it('wait, and are answered in their order at the rate; none is refused or lost (W20)', async () => {
    await start({ transport, messagesPerS: 10 });
    const client = await hello('42');
    for (let id = 0; id < 200; id++) client.send({ type: 'heartbeat', text: `${id}`, id });
    await client.next('ok', ({ re }) => re === 98);
    await hub.looked();
    // The one that goes over the rate is handled; the next ones wait.
    expect(answered(client)).toBe(100);
    hub.clock.pass(2_000);
    await hub.until(() => answered(client) >= 119);
    await hub.looked();
    expect(answered(client)).toBeLessThanOrEqual(121);
    expect(await presenceOf('42')).toMatchObject({ status: 'online', text: String(answered(client) - 1) });
    hub.clock.pass(10_000);
    await client.next('ok', ({ re }) => re === 199);
    expect(client.all.slice(1).map((message) => 're' in message && message.re)).toEqual(
      Array.from({ length: 200 }, (_, id) => id),
    );
    expect(errorsOf(client)).toEqual([]);
  });

  it('wait whatever they are: watches, unknown types, bad ones, binary ones, goodbyes', async () => {
    await start({ transport, messagesPerS: 1 });
    const client = await hello('42', { text: 'here' });
    await useUp(client, 10);
    client.send({ type: 'watch', users: ['7'], id: 'w' });
    client.send({ type: 'dance', id: 'd' });
    client.send({ type: 'heartbeat', text: 7, id: 'h' });
    client.sendBinary(new Uint8Array(3));
    client.send({ type: 'bye' });
    await hub.looked();
    expect(client.all).toHaveLength(11);
    hub.clock.pass(10_000);
    expect(await client.closed).toBe(1000);
    expect(client.all.slice(11)).toMatchObject([
      { type: 'snapshot', re: 'w' },
      { type: 'error', code: 'unknown_type', re: 'd' },
      { type: 'error', code: 'bad_message', re: 'h' },
      { type: 'error', code: 'bad_message' },
    ]);
    expect(await presenceOf('42')).toMatchObject({ status: 'offline' });
  });

  it('wait before a hello, too', async () => {
    await start({ transport, messagesPerS: 1 });
    const client = await open();
    for (let i = 0; i < 11; i++) client.send({ type: 'heartbeat', id: i });
    client.send({ type: 'hello', user: '42', id: 'h' });
    await client.next('error', ({ re }) => re === 10);
    await hub.looked();
    expect(client.all).toHaveLength(11);
    hub.clock.pass(3_000);
    expect(await client.next('welcome')).toMatchObject({ re: 'h' });
  });

  it('keep the lease from running out while they wait, and each is pinged all the same (W20)', async () => {
    await start({ transport, messagesPerS: 1, timeoutMs: 4_000, heartbeatMs: 2_000 });
    const client = await WsClient.hello(hub.addresses.ws, { user: '42' }, { autoPong: false });
    let pings = 0;
    client.onPing(() => pings++);
    const users = Array.from({ length: 1_000 }, (_, index) => `user-${index}`);
    await useUp(client, 8);
    client.send({ type: 'watch', users }); // a debt of ten seconds
    client.send({ type: 'heartbeat', id: 'waits' });
    await client.next('snapshot');
    const pass = async (seconds: number): Promise<void> => {
      for (let s = 0; s < seconds; s++) {
        hub.clock.pass(1_000);
        await hub.looked();
      }
    };
    await pass(8);
    expect(pings).toBeGreaterThanOrEqual(2);
    expect(answered(client)).toBe(8);
    expect(await presenceOf('42')).toMatchObject({ status: 'online' });
    await pass(4);
    await client.next('ok', ({ re }) => re === 'waits');
    hub.clock.pass(4_100);
    expect(await client.closed).toBe(4408);
  });

  it('count once for each KiB, so that a few large ones are as many as many small ones (W19)', async () => {
    await start({ transport, messagesPerS: 1 });
    const client = await hello('42');
    const unknown = 'x'.repeat(5_500);
    for (const id of ['first', 'second', 'third']) client.send({ type: 'heartbeat', unknown, id });
    await client.next('ok', ({ re }) => re === 'second');
    await hub.looked();
    expect(client.all.at(-1)).toMatchObject({ re: 'second' });
    hub.clock.pass(12_000);
    await client.next('ok', ({ re }) => re === 'third');
  });

  it.each<[string, (client: WsClient) => void]>([
    ['pings', (client) => client.ping()],
    ['pongs', (client) => client.pong()],
  ])('may be %s: what comes after them waits (W19)', async (_, sendOne) => {
    await start({ transport, messagesPerS: 1 });
    const client = await hello('42');
    await useUp(client, 8);
    for (let i = 0; i < 4; i++) sendOne(client);
    client.send({ type: 'heartbeat', id: 'after' });
    await hub.looked();
    expect(answered(client)).toBe(8);
    hub.clock.pass(5_000);
    await client.next('ok', ({ re }) => re === 'after');
    expect(await refused('messages')).toBeGreaterThan(0);
  });

  it.each<[string, (client: WsClient) => void]>([
    ['is cut', (client) => client.cut()],
    ['closes', (client) => client.close(1001)],
  ])('end with a connection that %s: its session has the grace of an unclean end (W22)', async (_, end) => {
    await start({ transport, messagesPerS: 1 });
    const client = await hello('42');
    await useUp(client, 10);
    client.send({ type: 'heartbeat', text: 'too late' });
    client.send({ type: 'bye' });
    end(client);
    await hub.until(async () => {
      hub.clock.pass(500); // an engine that pauses finds the end behind what waits
      return (await connections()) === 0;
    });
    hub.clock.pass(2_100);
    await hub.until(async () => ((await presenceOf('42')) as { status: string }).status === 'offline');
  });

  const bytesOf = (flood: () => object | string, count: number) => async (client: WsClient) => {
    for (let i = 0; i < count; i++) client.send(flood());
    await client.closed;
  };

  if (transport === 'uws') {
    it.each<[string, (client: WsClient) => Promise<void>]>([
      ['a hundred times the rate, which is ten times the rate for 10 s', bytesOf(() => ({ type: 'heartbeat' }), 120)],
      ['2 MiB', bytesOf(() => ({ type: 'dance', to: 'x'.repeat(16_000) }), 200)],
    ])('end the connection with 4429 if the engine can’t pause it and they come to %s (W21)', async (what, flood) => {
      await start({ transport, messagesPerS: what === '2 MiB' ? 30 : 1 });
      const client = await hello('42');
      await flood(client);
      expect(await client.closed).toBe(4429);
      expect(client.all.at(-1)).toMatchObject({ type: 'error', code: 'rate_limited' });
      expect(await presenceOf('42')).toMatchObject({ status: 'online' });
      expect(await refused('messages')).toBeGreaterThan(0);
    });
  }

  if (transport === 'ws') {
    it('stay in the socket, however many they are, if the engine can pause it (W21)', async () => {
      await start({ transport, messagesPerS: 10 });
      const client = await hello('42');
      for (let id = 0; id < 3_000; id++) client.send({ type: 'heartbeat', id });
      for (let s = 0; s < 300; s += 10) {
        hub.clock.pass(10_000);
        await hub.looked();
        await hub.looked();
      }
      await client.next('ok', ({ re }) => re === 2_999);
      expect(answered(client)).toBe(3_000);
    });
  }
});

describe('heartbeats at any pace', () => {
  it('end in the state that the last of them said', async () => {
    await start({ messagesPerS: 2 });
    const heartbeat = fc.record(
      { status: fc.constantFrom(...sessionStatuses), text: fc.constantFrom('', 'a', 'b', 'c') },
      { requiredKeys: [] },
    );
    const step = fc.record({ heartbeat, passMs: fc.constantFrom(0, 0, 0, 0, 0, 300, 900) });
    let no = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 36 }), async (steps) => {
        const user = `u${no++}`;
        const client = await WsClient.hello(hub.addresses.ws, { user, self: true });
        let last: { status: string; text?: string } = { status: 'online' };
        for (const { heartbeat: said, passMs } of steps) {
          client.send({ type: 'heartbeat', ...said });
          last = { ...last, ...said };
          if (passMs === 0) continue;
          hub.clock.pass(passMs);
          await hub.looked();
        }
        await client.roundTrip();
        hub.clock.pass(1_000);
        await hub.looked();
        client.send({ type: 'unwatch', users: ['marker'], id: 'end' });
        await client.next('unwatched');
        const { status, text } = client.all.filter((message) => message.type === 'self').at(-1)!;
        expect({ status, text: text ?? '' }).toEqual({ text: '', ...last });
        client.send({ type: 'bye' });
        await client.closed;
      }),
      { numRuns: 25 },
    );
  });
});

onBothEngines('more than there is room for', (transport) => {
  it('is turned away with reconnect and 1013, and let in when there is room again (W35)', async () => {
    await start({ transport, maxConnections: 2 });
    const first = await hello('1');
    await hello('2');
    const waits: number[] = [];
    for (let i = 0; i < 5; i++) {
      const third = await open();
      third.send({ type: 'hello', user: '3' });
      expect(await third.closed).toBe(1013);
      expect(third.all).toMatchObject([{ type: 'reconnect' }]);
      waits.push((third.all[0] as { afterMs: number }).afterMs);
    }
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(1_000);
    expect(Math.max(...waits)).toBeLessThanOrEqual(10_000);
    expect(new Set(waits).size).toBeGreaterThan(1);
    expect(await connections()).toBe(2);
    expect(await refused('connections')).toBe(5);
    first.cut();
    await hub.until(async () => (await connections()) === 1);
    await hello('3');
    expect(await connections()).toBe(2);
  });

  it('of one address is turned away the same, and each that goes leaves its place once (W35)', async () => {
    await start({ transport, maxPerAddress: 1 });
    for (let i = 0; i < 3; i++) {
      const client = await hello('42');
      const second = await open();
      expect(await second.closed).toBe(1013);
      client.send({ type: 'bye' });
      await client.closed;
      await hub.until(async () => (await connections()) === 0);
    }
    expect(await refused('per_address')).toBe(3);
  });

  it('of watches is too_many, and changes nothing (W23)', async () => {
    await start({ transport, maxWatches: 3 });
    const client = await WsClient.hello(hub.addresses.ws, { observe: true });
    client.send({ type: 'watch', users: ['1', '2'] });
    client.send({ type: 'watch', friendsOf: '42' });
    client.send({ type: 'watch', users: ['2', '3'], id: 'ids' });
    expect(await client.next('error')).toMatchObject({ code: 'too_many', re: 'ids' });
    client.send({ type: 'watch', friendsOf: '43', id: 'list' });
    expect(await client.next('error')).toMatchObject({ code: 'too_many', re: 'list' });
    expect(await refused('watches')).toBe(2);
    // What is watched already takes no more room.
    for (const again of [{ users: ['1', '2'] }, { users: ['2'] }, { friendsOf: '42' }]) {
      client.send({ type: 'watch', ...again });
      await client.next('snapshot');
    }
    await hub.request('POST', '/v1/heartbeat', { user: '3' });
    await hub.request('POST', '/v1/heartbeat', { user: '2' });
    expect((await client.next('presence')).entries.map(({ user }) => user)).toEqual(['2']);
    client.send({ type: 'unwatch', users: ['1'] });
    client.send({ type: 'watch', users: ['3'], id: 'fits' });
    expect(await client.next('snapshot')).toMatchObject({ re: 'fits' });
  });

  it('of sessions is too_many, and the client may observe instead (W23)', async () => {
    await start({ transport, maxSessions: 1 });
    await hello('42', { device: 'phone' });
    const client = await open();
    client.send({ type: 'hello', user: '42', id: 1 });
    expect(await client.next('error')).toMatchObject({ code: 'too_many', re: 1 });
    client.send({ type: 'hello', user: '42', observe: true, self: true });
    await client.next('welcome');
    expect(await client.next('self')).toMatchObject({ devices: ['phone'] });
    expect(await refused('sessions')).toBe(1);
  });

  it('of observers of one user is too_many; others have room, and so has the user once one of them is gone (W23)', async () => {
    await start({ transport, maxSessions: 2 });
    const observe = { user: '42', observe: true } as const;
    const [first] = [await hello(observe.user, observe), await hello(observe.user, observe)];
    const client = await open();
    client.send({ type: 'hello', ...observe, id: 1 });
    expect(await client.next('error')).toMatchObject({ code: 'too_many', re: 1 });
    expect(await refused('observers')).toBe(1);
    await hello('43', { ...observe, user: '43' });
    for (let i = 0; i < 3; i++) await WsClient.hello(hub.addresses.ws, { observe: true });
    await hello('42', {}); // sessions are counted apart
    first.send({ type: 'bye' });
    await first.closed;
    client.send({ type: 'hello', ...observe, id: 2 });
    expect(await client.next('welcome')).toMatchObject({ re: 2 });
    client.send({ type: 'bye' });
    await client.closed;
    await hello(observe.user, observe);
  });

  it('of silence before a hello counts as a slow sender', async () => {
    await start({ transport });
    const client = await open();
    hub.clock.pass(10_100);
    expect(await client.closed).toBe(4408);
    expect(await refused('slow_sender')).toBe(1);
  });

  it('of leave-taking: who has not said hello yet is asked to reconnect instead of being welcomed', async () => {
    await start({ transport, drainMs: 5_000 });
    const client = await open();
    await hub.until(async () => (await connections()) === 1);
    const drained = hub.drain();
    client.send({ type: 'hello', user: '42' });
    expect(await client.closed).toBe(1012);
    expect(client.all).toMatchObject([{ type: 'reconnect' }]);
    await drained;
  });
});

onBothEngines('a client that reads too slowly', (transport) => {
  const users = Array.from({ length: 1_000 }, (_, i) => `${'u'.repeat(100)}${i}`);
  /** Asks for more than the system's buffers hold, and reads nothing of it. */
  const askAndReadNothing = async (times: number): Promise<WsClient> => {
    const client = await hello('slow');
    client.send({ type: 'watch', users: users.slice(0, 100) });
    await client.next('snapshot');
    client.pause();
    for (let i = 0; i < times; i++) {
      for (let from = 0; from < 1_000; from += 100)
        client.send({ type: 'watch', users: users.slice(from, from + 100) });
      client.send({ type: 'heartbeat' });
    }
    return client;
  };
  const heartbeats = () => hub.metric('presence_hub_heartbeats_total{adapter="ws-json"}');

  it('is let go with 1013 when more answers wait than may, and keeps its grace (W44)', async () => {
    await start({ transport, maxQueuedBytes: 65_536, messagesPerS: 10_000 });
    const client = await askAndReadNothing(40);
    await hub.until(async () => (await refused('slow_reader')) === 1);
    expect(await presenceOf('slow')).toMatchObject({ status: 'online' });
    hub.clock.pass(2_100);
    await hub.until(async () => ((await presenceOf('slow')) as { status: string }).status === 'offline');
    hub.clock.pass(5_100);
    await hub.until(async () => (await connections()) === 0);
    client.resume();
    expect([1006, 1013]).toContain(await client.closed);
  });

  it('is let go when it has been behind for too long, and not before (W44)', async () => {
    await start({ transport, maxQueuedBytes: 16_777_216, slowMs: 20_000, messagesPerS: 10_000 });
    const client = await askAndReadNothing(40);
    await hub.until(async () => (await heartbeats()) === 41);
    for (let i = 0; i < 3; i++) {
      hub.clock.pass(6_000);
      await hub.looked();
      client.send({ type: 'heartbeat' });
      await hub.until(async () => (await heartbeats()) === 42 + i);
    }
    expect(await refused('slow_reader')).toBe(0);
    hub.clock.pass(2_500);
    await hub.until(async () => (await refused('slow_reader')) === 1);
    client.cut();
  });

  it('is no slow reader when it catches up in between', async () => {
    await start({ transport, maxQueuedBytes: 16_777_216, slowMs: 20_000, messagesPerS: 10_000 });
    const client = await askAndReadNothing(40);
    await hub.until(async () => (await heartbeats()) === 41);
    hub.clock.pass(15_000);
    await hub.looked();
    client.resume();
    await client.roundTrip();
    hub.clock.pass(15_000);
    await hub.looked();
    await client.roundTrip();
    expect(await refused('slow_reader')).toBe(0);
  });
});

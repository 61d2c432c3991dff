/** The SDK in Node against a real hub: what an app is shown, over everything that happens to a connection. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { createPresenceClient, type PresenceError, type ViewChange } from '../../client/sdk/index.ts';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { freePort } from '../support/hub-process.ts';
import { closeSdkClients, sdkClient, untilStatus, untilView } from '../support/sdk-client.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';

/** What goes over the wire, both ways, and a line that can be cut. */
class Wire extends WebSocket {
  static readonly sent: Record<string, unknown>[] = [];
  static readonly received: Record<string, unknown>[] = [];
  static current: Wire | undefined;
  /** When each was opened. */
  static readonly openedAt: number[] = [];

  constructor(url: string) {
    super(url);
    Wire.current = this;
    Wire.openedAt.push(performance.now());
    this.on('message', (data: Buffer) => Wire.received.push(JSON.parse(data.toString()) as Record<string, unknown>));
  }

  override send(text: string): void {
    Wire.sent.push(JSON.parse(text) as Record<string, unknown>);
    super.send(text);
  }
}

describe('the SDK at a hub', () => {
  let hub: TestHub;

  beforeEach(async () => {
    hub = await startTestHub();
    Wire.sent.length = Wire.received.length = 0;
  });
  afterEach(async () => {
    closeSdkClients();
    await hub.stop();
  });

  const client = (user: string | undefined, options = {}) => sdkClient({ url: hub.addresses.http, user, ...options });
  const beat = (user: string, status: string) => hub.request('POST', '/v1/heartbeat', { user, status });
  const befriend = (user: string, friend: string) => hub.request('PUT', `/v1/users/${user}/friends/${friend}`);

  it('shows friends come, change and go, in a new Map each time', async () => {
    await befriend('42', '7');
    const view = client('42').watchFriends();
    await untilView(view, ({ isSynced }) => isSynced);
    expect(view.get('7')).toMatchObject({ status: 'offline', devices: [] });
    const before = view.entries;
    const friend = client('7', { device: 'phone', status: 'busy', text: 'in a meeting' });
    friend.connect();
    await untilView(view, () => view.get('7')?.status === 'busy');
    expect(view.get('7')).toMatchObject({ devices: ['phone'], text: 'in a meeting' });
    expect(before.get('7')?.status).toBe('offline');
    friend.set({ status: 'away', text: '' });
    await untilView(view, () => view.get('7')?.status === 'away');
    expect(view.get('7')?.text).toBeUndefined();
    await friend.leave();
    expect(friend.status).toBe('closed');
    await untilView(view, () => view.get('7')?.status === 'offline');
    await befriend('42', '8');
    await untilView(view, () => view.get('8') !== undefined);
    await hub.request('DELETE', '/v1/users/42/friends/7');
    await untilView(view, () => view.get('7') === undefined);
    expect([...view.entries.keys()]).toEqual(['8']);
  });

  it('watches users by id, of many views with as few messages as they fit in', async () => {
    const observer = client(undefined, { WebSocket: Wire });
    const many = Array.from({ length: 1500 }, (_, i) => `${i}-${'x'.repeat(100)}`);
    const all = observer.watch(many);
    const some = observer.watch([many[3]!, many[4]!, 'someone']);
    await untilView(all, ({ isSynced }) => isSynced);
    await untilView(some, ({ isSynced }) => isSynced);
    expect(all.entries.size).toBe(1500);
    expect([...some.entries.keys()].sort()).toEqual([many[3]!, many[4]!, 'someone'].sort());
    expect(Wire.sent.filter(({ type }) => type === 'watch').length).toBeLessThan(14);
    await beat(many[4]!, 'busy');
    await untilView(some, () => some.get(many[4]!)?.status === 'busy');
    expect(all.get(many[4]!)?.status).toBe('busy');

    all.close();
    expect(all.status).toBe('closed');
    await hub.until(() => Wire.received.some(({ type }) => type === 'unwatched'));
    const ended = Wire.sent.filter(({ type }) => type === 'unwatch').flatMap(({ users }) => users as string[]);
    expect(ended).toHaveLength(1498);
    await beat(many[4]!, 'away');
    await untilView(some, () => some.get(many[4]!)?.status === 'away');
  });

  it('asks after a lost connection only for what it missed, and is sent no more', async () => {
    await Promise.all([befriend('42', '7'), befriend('42', '8'), befriend('42', '9')]);
    hub.clock.pass(1_000); // what is asked for from before the store began is sent whole
    const me = client('42', { WebSocket: Wire });
    const friends = me.watchFriends();
    const some = me.watch(['7', 'a']);
    await untilView(friends, ({ isSynced }) => isSynced);
    await untilView(some, ({ isSynced }) => isSynced);
    await beat('7', 'busy');
    await untilView(friends, () => friends.get('7')?.status === 'busy');
    // The `at` that comes with it lies behind all that was sent before, if not behind itself.
    hub.clock.pass(10);
    await beat('a', 'online');
    await untilView(some, () => some.get('a')?.status === 'online');
    const nine = friends.get('9');
    const away = new Promise<void>((resolve) =>
      me.on('status', ({ status }) => {
        if (status === 'reconnecting') resolve();
      }),
    );
    Wire.current?.terminate();
    await away;
    expect(friends.staleSince).not.toBeNull();
    expect(friends.get('7')?.status).toBe('busy');
    Wire.sent.length = Wire.received.length = 0;
    await hub.request('DELETE', '/v1/users/42/friends/8');
    hub.clock.pass(10);
    await beat('a', 'away');
    await untilView(friends, ({ staleSince }) => staleSince === null);
    await untilView(some, ({ staleSince }) => staleSince === null);
    expect(me.staleSince).toBeNull();
    const watches = Wire.sent.filter(({ type }) => type === 'watch');
    expect(watches).toHaveLength(2);
    for (const watch of watches) expect(watch['since']).toEqual(expect.any(Number));
    const reported = Wire.received
      .filter(({ type }) => type === 'snapshot')
      .flatMap(({ entries }) => entries as { user: string }[]);
    expect(reported.map(({ user }) => user)).toEqual(['a']);
    expect(some.get('a')?.status).toBe('away');
    expect([...friends.entries.keys()].sort()).toEqual(['7', '9']);
    expect(friends.get('9')).toBe(nine);
  });

  it('gives a slow consumer the latest, merged', async () => {
    const view = client(undefined).watch(['1', '2', '3']);
    const changes = view[Symbol.asyncIterator]();
    const first = (await changes.next()).value as ViewChange;
    expect(first.isSnapshot).toBe(true);
    expect(first.changed).toHaveLength(3);
    for (const status of ['busy', 'away', 'online', 'busy', 'away']) {
      await beat('1', status);
      await untilView(view, () => view.get('1')?.status === status);
    }
    await beat('2', 'online');
    await untilView(view, () => view.get('2')?.status === 'online');
    const next = (await changes.next()).value as ViewChange;
    expect(next.changed.map(({ user, status }) => [user, status]).sort()).toEqual([
      ['1', 'away'],
      ['2', 'online'],
    ]);
    expect(next.entries).toBe(view.entries);
    const last = changes.next();
    view.close();
    expect(await last).toEqual({ done: true, value: undefined });
  });

  it('ends an iteration while it waits, and one that has not begun', async () => {
    const view = client(undefined).watch(['1']);
    const changes = view[Symbol.asyncIterator]();
    const ended = { done: true, value: undefined };
    await changes.next();
    const [next, after] = [changes.next(), changes.next()];
    expect(await changes.return?.()).toEqual(ended);
    expect([await next, await after]).toEqual([ended, ended]);
    await beat('1', 'busy');
    await untilView(view, () => view.get('1')?.status === 'busy');
    expect(await changes.next()).toEqual(ended);
    expect(await view[Symbol.asyncIterator]().return?.()).toEqual(ended);
    // The view goes on.
    const again = view[Symbol.asyncIterator]();
    expect((await again.next()).value).toMatchObject({ isSnapshot: true });
    const [busy, away] = [again.next(), again.next()];
    await beat('1', 'away');
    expect(((await busy) as { value: ViewChange }).value.changed[0]?.status).toBe('away');
    await beat('1', 'online');
    expect(((await away) as { value: ViewChange }).value.changed[0]?.status).toBe('online');
  });

  it('receives its own true fold, and nobody else does', async () => {
    const me = client('42');
    const view = client(undefined).watch(['42']);
    me.set({ status: 'invisible', text: 'x' });
    await new Promise<void>((resolve) =>
      me.on('self', ({ status }) => {
        if (status === 'invisible') resolve();
      }),
    );
    expect(me.self).toEqual({ status: 'invisible', text: 'x', devices: ['node'] });
    await untilView(view, ({ isSynced }) => isSynced);
    expect(view.get('42')?.status).toBe('offline');
  });

  it('says what is wrong with what it is given, and takes none of it', () => {
    const me = client('42');
    expect(() => me.watch(['7', 'a b'])).toThrow(/each id must be .*a b/);
    expect(() => me.watch('77')).toThrow('ids must be a list');
    expect(() => me.watchFriends('..')).toThrow('user must be');
    expect(() => me.set({ text: 'x'.repeat(141) })).toThrow('text must be');
    expect(() => me.set({ status: 'offline' as 'online' })).toThrow('status must be');
    expect(() => client(undefined).set({ status: 'busy' })).toThrow('observer');
    expect(() => client('a b')).toThrow('user must be');
    expect(() => sdkClient({ url: 'ftp://x' })).toThrow('url must be');
    expect(() => sdkClient({}).connect()).toThrow('url must be');
    expect(me.status).toBe('idle');
  });

  describe('says why it is not connected, in Node', () => {
    const reasonAt = (url: string): Promise<string | undefined> => {
      const me = sdkClient({ url, user: '42' });
      return new Promise((resolve) => {
        me.on('status', ({ reason }) => {
          if (reason !== undefined) resolve(reason.text);
        });
        me.connect();
      });
    };

    it.each(['127.0.0.1', 'localhost'])('when nobody listens at %s', async (host) => {
      expect(await reasonAt(`http://${host}:${await freePort()}`)).toContain('ECONNREFUSED');
    });

    it.each([403, 502])('when a proxy answers %d', async (code) => {
      const server = createServer((_, response) => response.writeHead(code).end());
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      expect(await reasonAt(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)).toContain(String(code));
      server.close();
    });

    it('when the hub speaks no TLS', async () => {
      expect(await reasonAt(hub.addresses.http.replace('http', 'https'))).toMatch(/SSL|wrong version/i);
    });
  });

  if (!('WebSocket' in globalThis)) {
    it('names the option if there is no WebSocket', () => {
      const none = createPresenceClient({ url: hub.addresses.http });
      expect(() => none.connect()).toThrow('give the option WebSocket');
      expect(none.status).toBe('idle');
    });
  }
});

describe('the SDK at a hub that goes down and comes back', () => {
  afterEach(() => closeSdkClients());

  it('keeps what it knew, says since when, and is right again', async () => {
    const port = await freePort();
    let hub = await startTestHub({ port });
    const me = sdkClient({ url: hub.addresses.http, user: '42', WebSocket: Wire });
    await hub.request('PUT', '/v1/users/42/friends/7');
    await hub.request('POST', '/v1/heartbeat', { user: '7', status: 'busy' });
    const view = me.watchFriends();
    await untilView(view, ({ isSynced }) => isSynced);
    // By the hub's clock, which is a test's.
    const { wallMs } = hub.clock.now();
    await hub.stop();
    await untilStatus(me, 'reconnecting');
    expect(view.get('7')?.status).toBe('busy');
    expect(view.staleSince).toBeLessThanOrEqual(wallMs);
    expect(view.staleSince).toBeGreaterThan(wallMs - 60_000);
    hub = await startTestHub({ port });
    await hub.request('PUT', '/v1/users/42/friends/8');
    await untilView(view, ({ staleSince }) => staleSince === null);
    // Its data was in memory: a full snapshot replaces.
    expect([...view.entries.keys()]).toEqual(['8']);
    await hub.stop();
  });

  it('comes back when the hub says, and not before', async () => {
    const hub = await startTestHub({ drainMs: 2_000 });
    const me = sdkClient({ url: hub.addresses.http, user: '42', WebSocket: Wire });
    me.connect();
    await untilStatus(me, 'connected');
    Wire.received.length = Wire.openedAt.length = 0;
    const drained = hub.drain();
    await hub.until(() => Wire.received.some(({ type }) => type === 'reconnect'));
    const reportedAt = performance.now();
    const { afterMs } = Wire.received.find(({ type }) => type === 'reconnect') as { afterMs?: number };
    await hub.until(() => Wire.openedAt.length > 0);
    expect(Wire.openedAt[0]! - reportedAt).toBeGreaterThan(afterMs! - 60); // it was looked at each 25 ms
    await drained;
  });
});

describe('the SDK at a hub that asks for tokens', () => {
  let hub: TestHub;
  const now = Date.now;

  beforeEach(async () => {
    hub = await startTestHub({ auth: 'jwt', jwtSecret: TEST_SECRET, adminToken: 'an-admin-token-for-these-tests' });
    hub.clock.wallMs = now();
  });
  afterEach(async () => {
    closeSdkClients();
    await hub.stop();
  });

  const client = (user: string, getToken: (why: { refresh: boolean }) => Promise<string>, options = {}) =>
    sdkClient({ url: hub.addresses.http, user, getToken, ...options });
  const token = (user: string, expiresInS = 3600) => tokenFor(user, { clock: hub.clock, expiresInS });
  const errorOf = (client: ReturnType<typeof sdkClient>): Promise<PresenceError> =>
    new Promise((resolve) => client.on('error', resolve));

  it('gives a fresh token before the old one expires', async () => {
    const whys: boolean[] = [];
    const me = client(
      '42',
      ({ refresh }) => {
        whys.push(refresh);
        return token('42', whys.length === 1 ? 2 : 3600);
      },
      { WebSocket: Wire },
    );
    me.connect();
    await untilStatus(me, 'connected');
    Wire.received.length = 0;
    await hub.until(() => Wire.received.some(({ re }) => re === 'token'));
    expect(Wire.received.find(({ re }) => re === 'token')?.['type']).toBe('ok');
    expect(whys).toEqual([false, true]);
    expect(me.status).toBe('connected');
  });

  it('asks once for a better token, and is closed if that is refused too', async () => {
    const whys: boolean[] = [];
    const good = client('42', async ({ refresh }) => {
      whys.push(refresh);
      return refresh ? token('42') : 'rubbish';
    });
    good.connect();
    await untilStatus(good, 'connected');
    expect(whys).toEqual([false, true]);
    const bad = client('42', async () => 'rubbish');
    const error = errorOf(bad);
    bad.connect();
    expect(await error).toMatchObject({ code: 'refused', isFinal: true });
    expect(bad.status).toBe('closed');
    const none = sdkClient({ url: hub.addresses.http, user: '42' });
    none.connect();
    await untilStatus(none, 'closed');
  });

  it('is closed for good as somebody else', async () => {
    const me = client('42', () => token('43'));
    me.connect();
    await untilStatus(me, 'closed');
  });

  it('refuses what is forbidden, spoils nothing else, and asks again with a fresh token', async () => {
    let scopes: 'observe'[] = [];
    const me = client('42', () => tokenFor('42', { clock: hub.clock, scopes, expiresInS: 2 }), { WebSocket: Wire });
    await fetch(`${hub.addresses.http}/v1/users/42/friends/7`, {
      method: 'PUT',
      headers: { authorization: 'Bearer an-admin-token-for-these-tests' },
    });
    const good = me.watch(['7']);
    const bad = me.watch(['7', 'stranger']);
    const friends = me.watchFriends();
    await untilView(bad, ({ error }) => error !== null);
    expect(bad.error).toMatchObject({ code: 'forbidden', isFinal: false });
    await untilView(good, ({ isSynced }) => isSynced);
    await untilView(friends, ({ isSynced }) => isSynced);
    expect(good.error).toBeNull();
    expect(bad.isSynced).toBe(false);
    scopes = ['observe'];
    await untilView(bad, ({ isSynced }) => isSynced);
    expect(bad.error).toBeNull();
    expect([...bad.entries.keys()].sort()).toEqual(['7', 'stranger']);
  });
});

/** The list of present users and their number, through real sockets: pages, who may, and what they do not reveal. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Entry } from '../../shared/messages/entry.ts';
import type { Config } from '../../server/config/config.ts';
import { ask } from '../support/ask.ts';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';
import { WsClient } from '../support/ws-client.ts';

const ADMIN = 'an-admin-token-for-tests';
const JWT = { auth: 'jwt', jwtSecret: TEST_SECRET, adminToken: ADMIN } as const;

interface Page {
  readonly entries: Entry[];
  readonly next: string | null;
  readonly stale?: true;
}

onBothEngines('the list of present users', (transport) => {
  let hub: TestHub;
  const start = async (settings: Partial<Config> = {}) => {
    hub = await startTestHub({ transport, ...settings });
  };
  const get = (path: string, token?: string) =>
    ask(hub.addresses.http, 'GET', path, token === undefined ? {} : { token });
  const page = async (query = '', token?: string) => {
    const { status, body } = await get(`/v1/presence${query}`, token);
    expect(status).toBe(200);
    return body as Page;
  };
  const idsOf = ({ entries }: Page) => entries.map(({ user }) => user);
  const beat = async (user: string, status = 'online', token?: string) => {
    const asked = { body: { user, status, ttlMs: 3_600_000 }, ...(token !== undefined && { token }) };
    expect((await ask(hub.addresses.http, 'POST', '/v1/heartbeat', asked)).status).toBe(200);
  };
  const counts = async (token?: string) => (await get('/v1/counts', token)).body;
  afterEach(() => hub.stop());

  it('has every present user in byte order, and no other (H28)', async () => {
    await start();
    for (const user of ['b', 'B', '10', '9', 'a_', 'a-', 'a:b']) await beat(user);
    expect(idsOf(await page())).toEqual(['10', '9', 'B', 'a-', 'a:b', 'a_', 'b']);
    await beat('9', 'busy');
    await beat('B', 'away');
    await beat('10', 'offline');
    await beat('b', 'invisible');
    await beat('new');
    const { entries, next } = await page();
    expect(entries.map(({ user, status }) => `${user} ${status}`)).toEqual([
      '9 busy',
      'B away',
      'a- online',
      'a:b online',
      'a_ online',
      'new online',
    ]);
    expect(next).toBeNull();
    for (const entry of entries) expect((await get(`/v1/presence/${entry.user}`)).body).toEqual(entry);
  });

  it('is filtered by status and prefix', async () => {
    await start();
    for (const [user, status] of [
      ['bot-1', 'busy'],
      ['bot-2', 'away'],
      ['bot-3', 'online'],
      ['bot', 'busy'],
      ['c', 'busy'],
    ] as const) {
      await beat(user, status);
    }
    expect(idsOf(await page('?status=busy'))).toEqual(['bot', 'bot-1', 'c']);
    expect(idsOf(await page('?status=busy,away&prefix=bot-'))).toEqual(['bot-1', 'bot-2']);
    expect(idsOf(await page('?prefix=bot'))).toEqual(['bot', 'bot-1', 'bot-2', 'bot-3']);
    expect(idsOf(await page('?prefix=bot-&after=bot-1'))).toEqual(['bot-2', 'bot-3']);
    expect(idsOf(await page('?prefix=d'))).toEqual([]);
  });

  it('is paged: a user that does not change meanwhile is listed exactly once, whatever the others do', async () => {
    await start({ messagesPerS: 100_000 });
    const staying = Array.from({ length: 120 }, (_, i) => `stay-${i}`);
    const moving = Array.from({ length: 60 }, (_, i) => `stay-${i}-moves`);
    for (const user of [...staying, ...moving]) await beat(user);
    const seen: string[] = [];
    let after = '';
    for (let n = 0; ; n++) {
      const { entries, next } = await page(`?limit=7${after}`);
      seen.push(...entries.map(({ user }) => user));
      if (next === null) break;
      expect(entries).toHaveLength(7);
      after = `&after=${encodeURIComponent(next)}`;
      for (const [i, user] of moving.entries()) await beat(user, i % 3 === n % 3 ? 'offline' : ['away', 'busy'][n % 2]);
    }
    expect(seen.filter((user) => !user.endsWith('moves'))).toEqual([...staying].sort());
    expect(seen).toEqual([...new Set(seen)].sort());
  });

  it('ends with a null next, even if the last page is full', async () => {
    await start();
    for (const user of ['1', '2', '3', '4']) await beat(user);
    expect(await page('?limit=4')).toMatchObject({ next: null });
    const first = await page('?limit=2');
    expect([idsOf(first), idsOf(await page(`?limit=2&after=${first.next}`))]).toEqual([
      ['1', '2'],
      ['3', '4'],
    ]);
  });

  it.each([
    ['status=offline', 'status'],
    ['status=invisible', 'status'],
    ['status=online,', 'status'],
    ['status=', 'status'],
    ['status=online&status=busy', 'status'],
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=1.5', 'limit'],
    ['limit=', 'limit'],
    ['prefix=a%20b', 'prefix'],
    ['after=', 'after'],
    ['after=a%2Fb', 'after'],
    ['users=1&status=online', 'users'],
    ['users=1&prefix=b', 'users'],
    ['users=1&limit=5', 'users'],
    ['users=', 'users.0'],
  ])('is 400 for %s, and names the field', async (query, field) => {
    await start();
    expect(await get(`/v1/presence?${query}`)).toMatchObject({
      status: 400,
      body: { detail: expect.stringMatching(`^${field}: `) as unknown },
    });
  });

  it('counts users by status, and the sessions of those who are counted (H29)', async () => {
    await start();
    expect(await counts()).toEqual({
      online: 0,
      away: 0,
      busy: 0,
      sessions: { 'tcp-xml': 0, 'ws-json': 0, http: 0, poll: 0 },
      at: hub.clock.wallMs,
    });
    for (const [user, status] of [
      ['1', 'online'],
      ['2', 'busy'],
      ['3', 'busy'],
      ['4', 'invisible'],
    ] as const)
      await beat(user, status);
    const tabs = [
      await WsClient.hello(hub.addresses.ws, { user: '1' }),
      await WsClient.hello(hub.addresses.ws, { user: '4' }),
    ];
    expect(await counts()).toMatchObject({
      online: 1,
      away: 0,
      busy: 2,
      sessions: { 'tcp-xml': 0, 'ws-json': 1, http: 3, poll: 0 },
    });
    // The true number is in the metrics.
    expect(await hub.metric('presence_hub_sessions{adapter="ws-json"}')).toBe(2);
    for (const tab of tabs) tab.close();
  });

  it('reveals nothing about an invisible user', async () => {
    await start(JWT);
    const observer = await tokenFor(null, { scopes: ['observe'] });
    await beat('1', 'online', ADMIN);
    const before = [await page('?limit=1', observer), await counts(observer)];
    for (const user of ['0', '2']) await beat(user, 'invisible', ADMIN);
    expect([await page('?limit=1', observer), await counts(observer)]).toEqual(before);
  });

  it('reveals nothing about a user who blocks the caller, and everything to others (H30)', async () => {
    await start(JWT);
    const caller = await tokenFor('caller', { scopes: ['observe'] });
    const other = await tokenFor('other', { scopes: ['observe'] });
    await beat('1', 'online', ADMIN);
    const before = [await page('?limit=1', caller), await counts(caller)];
    for (const user of ['0', '2']) {
      await beat(user, 'online', ADMIN);
      const path = `/v1/users/${user}/blocks/caller`;
      expect((await ask(hub.addresses.http, 'PUT', path, { token: ADMIN })).status).toBe(204);
    }
    expect([await page('?limit=1', caller), await counts(caller)]).toEqual(before);
    for (const token of [other, ADMIN]) {
      expect(idsOf(await page('', token))).toEqual(['0', '1', '2']);
      expect(await counts(token)).toMatchObject({ online: 3, sessions: { http: 3 } });
    }
  });

  describe('may be read', () => {
    const statuses = async (token?: string) => [
      (await get('/v1/presence', token)).status,
      (await get('/v1/presence?status=busy', token)).status,
      (await get('/v1/counts', token)).status,
    ];

    it('by observers, readers and admins in jwt mode', async () => {
      await start(JWT);
      for (const scope of ['observe', 'read', 'admin'] as const) {
        expect(await statuses(await tokenFor(null, { scopes: [scope] }))).toEqual([200, 200, 200]);
      }
      expect(await statuses(await tokenFor('42'))).toEqual([403, 403, 403]);
      expect(await statuses(await tokenFor('42', { scopes: ['metrics', 'roster'] }))).toEqual([403, 403, 403]);
      expect(await statuses()).toEqual([401, 401, 401]);
    });

    it('by everyone in open mode, and only with the admin token if there is one', async () => {
      await start();
      expect(await statuses()).toEqual([200, 200, 200]);
      await hub.stop();
      await start({ adminToken: ADMIN });
      expect(await statuses()).toEqual([401, 401, 401]);
      expect(await statuses(ADMIN)).toEqual([200, 200, 200]);
    });
  });

  it('says that it may be out of date after a restart', async () => {
    await start();
    await beat('1');
    expect(await page()).not.toHaveProperty('stale');
    expect(await counts()).not.toHaveProperty('stale');
  });

  it('hides times if lastSeen is hidden', async () => {
    await start({ ...JWT, lastSeen: 'hide' });
    await beat('1', 'online', ADMIN);
    const observer = await tokenFor(null, { scopes: ['observe'] });
    expect((await page('', observer)).entries[0]?.lastSeen).toBeNull();
    expect((await page('', ADMIN)).entries[0]?.lastSeen).toBe(hub.clock.wallMs);
  });
});

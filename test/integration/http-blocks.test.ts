/** Blocks and hidden last seen over HTTP, through real sockets: what is answered, and what the blocked one reads. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Entry } from '../../shared/messages/entry.ts';
import { openSqlite } from '../../server/storage/sqlite/sqlite.ts';
import { ask, type Asked } from '../support/ask.ts';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';
import { WsClient } from '../support/ws-client.ts';

const ADMIN = 'an-admin-token-for-tests';
const JWT = { auth: 'jwt', jwtSecret: TEST_SECRET, adminToken: ADMIN } as const;

onBothEngines('blocks over HTTP', (transport) => {
  let hub: TestHub;
  const tokens = new Map<string, string>();
  const call = (method: string, path: string, asked: Asked = {}) => ask(hub.addresses.http, method, path, asked);
  const as = async (user: string, method: string, path: string, body?: unknown) => {
    const token = tokens.get(user) ?? (user === 'admin' ? ADMIN : await tokenFor(user));
    tokens.set(user, token);
    return call(method, path, { token, ...(body !== undefined && { body }) });
  };
  /** The entry of 42 as somebody reads it, the same by each way there is. */
  const seenBy = async (user: string): Promise<Entry> => {
    const ways = [
      (await as(user, 'GET', '/v1/presence/42')).body,
      ...((await as(user, 'GET', '/v1/presence?users=42')).body as { entries: Entry[] }).entries,
      ...((await as(user, 'POST', '/v1/presence', { users: ['42'] })).body as { entries: Entry[] }).entries,
      ...((await as(user, 'GET', '/v1/users/7/friends/presence')).body as { entries: Entry[] }).entries,
    ] as Entry[];
    expect(ways).toHaveLength(4);
    for (const way of ways) expect(way).toEqual(ways[0]);
    return ways[0]!;
  };
  const block = (user: string, other: string) => as(user, 'PUT', `/v1/users/${user}/blocks/${other}`);
  const unblock = (user: string, other: string) => as(user, 'DELETE', `/v1/users/${user}/blocks/${other}`);

  describe('of an online user', () => {
    beforeEach(async () => {
      hub = await startTestHub({ transport, ...JWT });
      await as('admin', 'PUT', '/v1/users/42/friends/7');
      await as('42', 'POST', '/v1/heartbeat', { user: '42', status: 'busy', text: 'here', ttlMs: 3_600_000 });
      hub.clock.pass(1_000);
    });
    afterEach(() => hub.stop());

    it('are refused with 409 if the user has as many as it may have friends, and nothing has changed (H9)', async () => {
      await hub.stop();
      hub = await startTestHub({ transport, ...JWT, maxFriends: 2 });
      expect((await block('42', '7')).status).toBe(204);
      expect((await block('42', '8')).status).toBe(204);
      expect((await block('42', '8')).status).toBe(204);
      const third = await block('42', '9');
      expect(third.status).toBe(409);
      expect((third.body as { detail: string }).detail).toMatch(/^other: 42 may block at most 2/);
      expect((await unblock('42', '7')).status).toBe(204);
      expect((await block('42', '9')).status).toBe(204);
    });

    it('show it to the blocked one as if it had left at that moment, and to all others as it is (I22, H9)', async () => {
      const before = await seenBy('7');
      expect(await block('42', '7')).toMatchObject({ status: 204, body: '' });
      const frozen = await seenBy('7');
      expect(frozen).toEqual({
        user: '42',
        status: 'offline',
        code: -1,
        since: hub.clock.wallMs,
        lastSeen: hub.clock.wallMs,
        devices: [],
        v: expect.any(Number) as number,
      });
      expect(frozen.v).toBeGreaterThan(before.v);
      hub.clock.pass(5_000);
      await as('42', 'POST', '/v1/heartbeat', { user: '42', status: 'away' });
      expect(await seenBy('7')).toEqual(frozen);
      expect(await seenBy('admin')).toMatchObject({ status: 'away', text: 'here' });
      expect((await as('42', 'GET', '/v1/presence/42')).body).toMatchObject({ status: 'away', text: 'here' });
    });

    it('answer the user’s own heartbeat as it is', async () => {
      await block('42', '7');
      const { body } = await as('42', 'POST', '/v1/heartbeat', { user: '42', status: 'online' });
      expect(body).toMatchObject({ entry: { user: '42', status: 'online', text: 'here' } });
    });

    it('are lifted with a larger version, and the entry is shown as it is', async () => {
      await block('42', '7');
      const frozen = await seenBy('7');
      hub.clock.pass(1_000);
      expect(await unblock('42', '7')).toMatchObject({ status: 204 });
      const open = await seenBy('7');
      expect(open).toMatchObject({ status: 'busy', text: 'here', devices: ['http'] });
      expect(open.v).toBeGreaterThan(frozen.v);
      expect(await seenBy('admin')).toEqual(open);
    });

    it('may be set and lifted again without harm', async () => {
      await block('42', '7');
      const frozen = await seenBy('7');
      hub.clock.pass(1_000);
      expect((await block('42', '7')).status).toBe(204);
      expect(await seenBy('7')).toEqual(frozen);
      await unblock('42', '7');
      const open = await seenBy('7');
      expect((await unblock('42', '7')).status).toBe(204);
      expect(await seenBy('7')).toEqual(open);
    });

    it('may be of a user nobody ever saw, against one nobody ever saw', async () => {
      expect((await block('new', 'newer')).status).toBe(204);
      expect((await unblock('new', 'newer')).status).toBe(204);
    });

    it('end no friendship, and hide no list', async () => {
      await block('42', '7');
      expect((await as('7', 'GET', '/v1/users/7/friends')).body).toEqual({ user: '7', friends: ['42'] });
    });

    it.each([
      ['PUT', '/v1/users/42/blocks/42', 'other'],
      ['DELETE', '/v1/users/42/blocks/42', 'other'],
      ['PUT', '/v1/users/42/blocks/a%20b', 'other'],
      ['PUT', '/v1/users/a%20b/blocks/7', 'user'],
    ])('%s %s is 400 and names the field', async (method, path, field) => {
      const { status, body } = await as('42', method, path);
      expect([status, (body as { detail: string }).detail.split(':')[0]]).toEqual([400, field]);
    });
  });

  it('are refused with 503 and a reason if storage can’t take them, and hold once it can (H17)', async () => {
    const data = mkdtempSync(join(tmpdir(), 'hub-blocks-'));
    hub = await startTestHub({ transport, data });
    await call('POST', '/v1/heartbeat', { body: { user: '42' } });
    const other = openSqlite(join(data, 'hub.sqlite'));
    other.exec('BEGIN IMMEDIATE');
    expect(await call('PUT', '/v1/users/42/blocks/7')).toMatchObject({
      status: 503,
      headers: { 'retry-after': '1' },
      body: { detail: expect.stringContaining('locked') as string },
    });
    other.exec('ROLLBACK');
    other.close();
    expect((await call('PUT', '/v1/users/42/blocks/7')).status).toBe(204);
    await hub.stop();
    rmSync(data, { recursive: true, force: true });
  });

  it('hold after a restart', async () => {
    const data = mkdtempSync(join(tmpdir(), 'hub-blocks-'));
    hub = await startTestHub({ transport, data, ...JWT });
    await as('admin', 'PUT', '/v1/users/42/friends/7');
    await as('42', 'POST', '/v1/heartbeat', { user: '42', ttlMs: 3_600_000 });
    await block('42', '7');
    const frozen = await seenBy('7');
    await hub.stop();
    hub = await startTestHub({ transport, data, ...JWT });
    // While the hub is stale it says so beside the entry; what it shows is the same.
    expect((await as('7', 'GET', '/v1/presence/42')).body).toMatchObject(frozen);
    expect((await as('admin', 'GET', '/v1/presence/42')).body).toMatchObject({ status: 'online' });
    await hub.stop();
    rmSync(data, { recursive: true, force: true });
  });
});

describe('HUB_LAST_SEEN=hide', () => {
  it('shows lastSeen to an admin alone, whichever way it is read (I24)', async () => {
    const hub = await startTestHub({ ...JWT, lastSeen: 'hide' });
    const call = (token: string, method: string, path: string, body?: unknown) =>
      ask(hub.addresses.http, method, path, { token, ...(body !== undefined && { body }) });
    const own = await tokenFor('42');
    const observer = await tokenFor(null, { scopes: ['observe'] });
    expect((await call(own, 'POST', '/v1/heartbeat', { user: '42' })).body).toMatchObject({
      entry: { lastSeen: null },
    });
    for (const token of [own, observer]) {
      expect((await call(token, 'GET', '/v1/presence/42')).body).toMatchObject({ status: 'online', lastSeen: null });
      expect((await call(token, 'POST', '/v1/presence', { users: ['42'] })).body).toMatchObject({
        entries: [{ lastSeen: null }],
      });
    }
    expect((await call(ADMIN, 'GET', '/v1/presence/42')).body).toMatchObject({ lastSeen: hub.clock.wallMs });
    await hub.stop();
  });

  it.each(['left', 'invisible', 'blocked'])(
    'shows no since of one who is offline, but to an admin: %s (I24)',
    async (how) => {
      const hub = await startTestHub({ ...JWT, lastSeen: 'hide' });
      const own = await tokenFor('42');
      const observer = await tokenFor('7', { scopes: ['observe'] });
      const call = (token: string, method: string, path: string, body?: unknown) =>
        ask(hub.addresses.http, method, path, { token, ...(body !== undefined && { body }) });
      await call(own, 'POST', '/v1/heartbeat', { user: '42' });
      const online = { status: 'online', since: hub.clock.wallMs, lastSeen: null };
      expect((await call(observer, 'GET', '/v1/presence/42')).body).toMatchObject(online);
      hub.clock.pass(1_000);
      if (how === 'left') await call(own, 'POST', '/v1/heartbeat', { user: '42', status: 'offline' });
      if (how === 'invisible') await call(own, 'POST', '/v1/heartbeat', { user: '42', status: 'invisible' });
      if (how === 'blocked') await call(own, 'PUT', '/v1/users/42/blocks/7');
      const hidden = { status: 'offline', since: null, lastSeen: null };
      expect((await call(observer, 'GET', '/v1/presence/42')).body).toMatchObject(hidden);
      const watcher = await WsClient.hello(hub.addresses.ws, { observe: true, token: observer });
      watcher.send({ type: 'watch', users: ['42'] });
      expect((await watcher.next('snapshot')).entries).toMatchObject([hidden]);
      const shown = how === 'blocked' ? { status: 'online' } : { status: 'offline', since: hub.clock.wallMs };
      expect((await call(ADMIN, 'GET', '/v1/presence/42')).body).toMatchObject(shown);
      await hub.stop();
    },
  );
});

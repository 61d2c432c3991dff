/** Export and erasure of a user through real sockets, with the files of the data folder read as bytes. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Config } from '../../server/config/config.ts';
import { openSqlite } from '../../server/storage/sqlite/sqlite.ts';
import type { Entry } from '../../shared/messages/entry.ts';
import { exportAnswer, historyAnswer } from '../../shared/messages/http-bodies.ts';
import { ask } from '../support/ask.ts';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';
import { WEBHOOK_SECRET, WebhookReceiver } from '../support/webhook-receiver.ts';
import { WsClient } from '../support/ws-client.ts';

const ADMIN = 'an-admin-token-for-tests';
const ID = 'somebody-to-erase';
const TTL_MS = 3_600_000;

onBothEngines('the data of a user', (transport) => {
  let hub: TestHub;
  let folder: string;
  const start = async (settings: Partial<Config> = {}) => {
    const jwt = { auth: 'jwt', jwtSecret: TEST_SECRET, adminToken: ADMIN } as const;
    hub = await startTestHub({ transport, data: folder, historyDays: 7, ...jwt, ...settings });
  };
  const call = async (method: string, path: string, body?: unknown, token = ADMIN) =>
    ask(hub.addresses.http, method, path, { token, ...(body !== undefined && { body }) });
  const done = async (method: string, path: string, body?: unknown) => {
    expect((await call(method, path, body)).status).toBeOneOf([200, 204]);
  };
  const beat = async (user: string, status = 'online', device = 'http') => {
    const { body } = await call('POST', '/v1/heartbeat', { user, status, device, ttlMs: TTL_MS });
    return (body as { entry: Entry }).entry;
  };
  const erase = (user = ID) => call('DELETE', `/v1/users/${user}`);
  const seen = async (user = ID) => (await call('GET', `/v1/presence/${user}`)).body as Entry;
  const watcher = async (user: string, scopes: ('observe' | 'admin')[] = []) =>
    WsClient.hello(hub.addresses.ws, { user, token: await tokenFor(user, { scopes, clock: hub.clock }) });
  const filesWith = (id: string) => readdirSync(folder).filter((name) => readFileSync(join(folder, name)).includes(id));
  const never = { user: ID, status: 'offline', code: -1, since: null, lastSeen: null, devices: [] };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'presence-hub-erase-'));
  });
  afterEach(async () => {
    await hub.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Leaves traces of the user in every table. */
  const leaveTraces = async () => {
    await done('PUT', `/v1/users/${ID}/friends`, { friends: ['7', '8', '9'] });
    await done('PUT', `/v1/users/6/friends/${ID}?oneway=true`);
    await done('DELETE', `/v1/users/${ID}/friends/9`);
    await done('PUT', `/v1/users/${ID}/blocks/5`);
    await done('PUT', `/v1/users/4/blocks/${ID}`);
    for (const status of ['online', 'away', 'busy']) {
      await beat(ID, status);
      hub.clock.pass(1000);
    }
  };

  describe('is erased', () => {
    it('from every file, with its friends, blocks, history and webhooks, and none is sent (H37, H40)', async () => {
      const receiver = await WebhookReceiver.open();
      receiver.answer = () => 500;
      await start({ webhookUrl: receiver.url, webhookSecret: WEBHOOK_SECRET });
      await leaveTraces();
      await receiver.until(() => receiver.messages.length > 0);
      await beat(ID, 'away');
      await hub.until(() => filesWith(ID).length > 0);
      expect((await erase()).status).toBe(204);
      expect(filesWith(ID)).toEqual([]);
      expect(await seen()).toEqual({ ...never, v: 0 });
      expect((await call('GET', `/v1/users/${ID}/friends`)).body).toEqual({ user: ID, friends: [] });
      for (const user of ['6', '7', '8']) {
        expect((await call('GET', `/v1/users/${user}/friends`)).body).toEqual({ user, friends: [] });
      }
      const { transitions } = historyAnswer.parse((await call('GET', `/v1/users/${ID}/history`)).body);
      expect(transitions).toEqual([]);
      expect((await call('GET', `/v1/users/${ID}/explain`)).body).toMatchObject({ sessions: [], transitions: [] });
      expect((await call('GET', '/v1/presence')).body).toEqual({ entries: [], next: null });
      await hub.looked();
      // An attempt that was under way has arrived. After this time, the next one would be due.
      const sent = receiver.messages.length;
      hub.clock.pass(10_000);
      await new Promise((resolve) => setTimeout(resolve, 1500));
      expect(receiver.messages.slice(sent).filter(({ body }) => body.includes(ID))).toEqual([]);
      await hub.stop();
      expect(filesWith(ID)).toEqual([]);
      await receiver.close();
    });

    it('also if rows were moved between pages before, and nobody else is changed (H37)', async () => {
      await start();
      const others = Array.from({ length: 3000 }, (_, i) => `u${(i * 7919) % 3000}${'x'.repeat(i % 30)}`);
      const edges = others.flatMap((other, i) => [
        [other, others[(i * 31 + 1) % 3000]],
        ...(i % 5 === 0 ? [[ID, other]] : []),
        ...(i % 7 === 0 ? [[other, ID]] : []),
      ]);
      for (let from = 0; from < edges.length; from += 500) {
        const some = edges.slice(from, from + 500).filter(([user, friend]) => user !== friend);
        await done('POST', '/v1/friends/import?oneway=true', { edges: some });
      }
      const countEdges = () => {
        const db = openSqlite(join(folder, 'hub.sqlite'));
        const rows = db.prepare<{ n: number }>('SELECT count(*) AS n FROM edge WHERE user <> ? AND friend <> ?');
        const { n = 0 } = rows.get(ID, ID) ?? {};
        db.close();
        return n;
      };
      const before = countEdges();
      expect((await erase()).status).toBe(204);
      expect(filesWith(ID)).toEqual([]);
      expect(countEdges()).toBe(before);
    });

    it('and watchers see it disappear: a list without it, by id one last entry (H38)', async () => {
      await start();
      await done('PUT', `/v1/users/${ID}/friends`, { friends: ['7', '8'] });
      await done('PUT', `/v1/users/${ID}/blocks/8`);
      await done('PUT', `/v1/users/9/blocks/${ID}`);
      const { v } = await beat(ID, 'busy');
      const ofList = await watcher('7');
      ofList.send({ type: 'watch', friendsOf: '7' });
      await ofList.next('snapshot');
      const byId = await watcher('observer', ['observe']);
      const asFriend = await watcher('8');
      for (const one of [byId, asFriend]) {
        one.send({ type: 'watch', users: [ID] });
        await one.next('snapshot');
      }
      expect((await erase()).status).toBe(204);
      expect(await ofList.next('friend')).toEqual({ type: 'friend', friendsOf: '7', op: 'remove', user: ID });
      for (const one of [byId, asFriend]) {
        const { entries } = await one.next('presence');
        expect(entries).toEqual([{ ...never, v: expect.any(Number) as number }]);
        expect(entries[0]!.v).toBeGreaterThan(v);
      }
      expect(await asFriend.next('unwatched')).toMatchObject({ users: [ID] });
      await hub.looked();
      expect(ofList.all.filter(({ type }) => type === 'presence')).toEqual([]);
      expect(byId.all.filter(({ type }) => type === 'presence')).toHaveLength(1);
      expect(await seen()).toEqual({ ...never, v: 0 });
      byId.send({ type: 'watch', users: [ID] });
      expect((await byId.next('snapshot')).entries).toEqual([{ ...never, v: 0 }]);
      await beat(ID, 'away');
      expect((await byId.next('presence')).entries).toMatchObject([{ user: ID, status: 'away' }]);
      for (const one of [ofList, byId, asFriend]) one.close();
    });

    it('and is not shown who had blocked it before its sessions end (I22)', async () => {
      await start();
      await beat('4');
      await done('PUT', `/v1/users/4/blocks/${ID}`);
      const own = await watcher(ID, ['observe']);
      own.send({ type: 'watch', users: ['4'] });
      expect((await own.next('snapshot')).entries).toMatchObject([{ user: '4', status: 'offline' }]);
      expect((await erase()).status).toBe(204);
      expect(await own.closed).toBe(4403);
      expect(JSON.stringify(own.all)).not.toContain('"online"');
      own.close();
    });

    it('and its own sessions are ended with 4403 (H37)', async () => {
      await start();
      const own = await watcher(ID);
      expect((await erase()).status).toBe(204);
      expect(await own.closed).toBe(4403);
      expect(filesWith(ID)).toEqual([]);
    });

    it('and starts from nothing when it returns, with a larger version, also after a restart (H39)', async () => {
      await start();
      await leaveTraces();
      let last = 0;
      for (let i = 0; i < 500; i++) last = (await beat(ID, i % 2 === 0 ? 'online' : 'away')).v;
      expect((await erase()).status).toBe(204);
      const entry = await beat(ID, 'online');
      expect(entry).toEqual({
        ...never,
        status: 'online',
        code: 1,
        since: hub.clock.wallMs,
        v: entry.v,
        devices: ['http'],
        lastSeen: hub.clock.wallMs,
      });
      expect(entry.v).toBeGreaterThan(last);
      const exported = exportAnswer.parse((await call('GET', `/v1/users/${ID}/export`)).body);
      expect(exported).toMatchObject({ friends: [], followers: [], blocks: [], blockedBy: [] });
      expect((await erase()).status).toBe(204);
      await hub.stop();
      await start();
      expect(await seen()).toEqual({ ...never, v: 0 });
      expect((await beat(ID)).v).toBeGreaterThan(entry.v);
    });

    it('and a since from before it is answered by a full snapshot (H39)', async () => {
      await start();
      await done('PUT', `/v1/users/${ID}/friends`, { friends: ['7'] });
      await beat(ID);
      const watching = await watcher('7', ['observe']);
      const watches = [{ friendsOf: '7' }, { users: [ID] }];
      const ats: number[] = [];
      for (const watch of watches) {
        watching.send({ type: 'watch', ...watch });
        ats.push((await watching.next('snapshot')).at);
      }
      watching.close();
      hub.clock.pass(1000);
      expect((await erase()).status).toBe(204);
      hub.clock.pass(1000);
      const again = await watcher('7', ['observe']);
      for (const [i, watch] of watches.entries()) {
        again.send({ type: 'watch', ...watch, since: ats[i] });
        const snapshot = await again.next('snapshot');
        expect(snapshot.since).toBeUndefined();
        expect(snapshot.entries).toEqual(i === 0 ? [] : [{ ...never, v: 0 }]);
      }
      again.close();
    });

    it('with 503 while another program reads the files, and completes by itself (H37)', async () => {
      await start();
      await leaveTraces();
      await hub.until(() => filesWith(ID).length > 0);
      const reader = openSqlite(join(folder, 'hub.sqlite'));
      reader.exec('BEGIN; SELECT count(*) FROM edge');
      const { status, headers, body } = await erase();
      expect({ status, retryAfter: headers['retry-after'], body }).toMatchObject({
        status: 503,
        retryAfter: '1',
        body: { detail: expect.stringMatching(/^storage: somebody-to-erase is erased, but/) as unknown },
      });
      expect(await seen()).toEqual({ ...never, v: 0 });
      expect(filesWith(ID)).not.toEqual([]);
      reader.exec('COMMIT');
      reader.close();
      await hub.until(() => filesWith(ID).length === 0);
      expect((await erase()).status).toBe(204);
    });

    it('by itself once storage can be written again, if it failed halfway (H37)', async () => {
      await start();
      await leaveTraces();
      await hub.until(() => filesWith(ID).length > 0);
      const writer = openSqlite(join(folder, 'hub.sqlite'));
      writer.exec('BEGIN IMMEDIATE');
      expect((await erase()).status).toBe(503);
      expect(readdirSync(folder)).toContain('erasing.json');
      writer.exec('ROLLBACK');
      writer.close();
      await hub.until(() => !readdirSync(folder).includes('erasing.json'));
      expect(filesWith(ID)).toEqual([]);
      expect(await seen()).toEqual({ ...never, v: 0 });
    });

    it('by itself after a restart if it was cut off, even if the request was answered with 503 (H37)', async () => {
      await start();
      await leaveTraces();
      await hub.until(() => filesWith(ID).length > 0);
      const reader = openSqlite(join(folder, 'hub.sqlite'));
      reader.exec('BEGIN; SELECT count(*) FROM edge');
      expect((await erase()).status).toBe(503);
      await hub.stop();
      expect(readFileSync(join(folder, 'erasing.json'), 'utf8')).toBe(`["${ID}"]`);
      reader.exec('COMMIT');
      reader.close();
      // As after a crash halfway: some of it is stored again.
      const halfway = openSqlite(join(folder, 'hub.sqlite'));
      halfway.exec(`INSERT INTO edge VALUES ('${ID}', '7', 1), ('6', '${ID}', 1)`);
      halfway.close();
      await start();
      await hub.until(() => filesWith(ID).length === 0 && readdirSync(folder).every((name) => name !== 'erasing.json'));
      expect((await call('GET', `/v1/users/${ID}/friends`)).body).toEqual({ user: ID, friends: [] });
    });

    it('while others are served and friend lists can be changed, also with many rows on many pages (H37)', async () => {
      await start();
      const rows = 60_000;
      await hub.stop();
      const filled = openSqlite(join(folder, 'hub.sqlite'));
      filled.exec('PRAGMA synchronous = OFF; BEGIN');
      // Deep trees, whose pages are split at random: rows of the user were on many pages before.
      filled.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
        INSERT INTO entry SELECT hex(randomblob(20)), 'offline', 0, 1, 1, '[]', hex(randomblob(60)), 1, NULL FROM n`);
      filled.exec(`INSERT INTO edge SELECT user, '${ID}', 1 FROM entry LIMIT 6000`);
      filled.exec('COMMIT; PRAGMA wal_checkpoint(TRUNCATE)');
      filled.close();
      await start();
      const answer = erase();
      const progress = { isDone: false };
      void answer.finally(() => (progress.isDone = true));
      while (!progress.isDone) {
        await done('PUT', '/v1/users/7/friends/8');
        expect((await ask(hub.addresses.http, 'GET', '/healthz')).status).toBe(200);
      }
      expect((await answer).status).toBe(204);
      expect(filesWith(ID)).toEqual([]);
    });

    it('by an admin alone (H37)', async () => {
      await start();
      await beat(ID);
      const tokens = [
        await tokenFor(ID),
        ...(await Promise.all(
          (['observe', 'read', 'roster', 'metrics'] as const).map((scope) => tokenFor('7', { scopes: [scope] })),
        )),
      ];
      for (const token of tokens) expect((await call('DELETE', `/v1/users/${ID}`, undefined, token)).status).toBe(403);
      expect((await seen()).status).toBe('online');
    });
  });

  describe('is exported', () => {
    it('as a whole to an admin, and to the user without what others keep to themselves (H35, H36)', async () => {
      await start();
      await leaveTraces();
      await hub.until(
        async () => ((await call('GET', `/v1/users/${ID}/export`)).body as { history: unknown[] }).history.length > 2,
      );
      const all = exportAnswer.strict().parse((await call('GET', `/v1/users/${ID}/export`)).body);
      expect(all).toMatchObject({
        user: ID,
        friends: ['7', '8'],
        followers: ['6', '7', '8'],
        blocks: ['5'],
        blockedBy: ['4'],
        webhookEvents: [],
      });
      expect(all.history.map(({ from, to }) => [from, to])).toEqual([
        ['offline', 'online'],
        ['online', 'away'],
        ['away', 'busy'],
      ]);
      expect(all.sessions).toMatchObject([
        { adapter: 'http', address: expect.stringContaining('127.0.0.1') as unknown },
      ]);
      const own = exportAnswer
        .strict()
        .parse((await call('GET', `/v1/users/${ID}/export`, undefined, await tokenFor(ID))).body);
      const { blockedBy: _by, webhookEvents: _events, ...rest } = all;
      expect(own).toEqual({
        ...rest,
        at: own.at,
        followers: ['7', '8'],
        sessions: all.sessions.map(({ peerAddress: _peer, ...session }) => ({ ...session, address: null })),
      });
    });

    it('to the user itself, an admin and the scope read alone (H35)', async () => {
      await start();
      const path = `/v1/users/${ID}/export`;
      const statusFor = async (token: string) => (await call('GET', path, undefined, token)).status;
      expect(await statusFor(ADMIN)).toBe(200);
      expect(await statusFor(await tokenFor('service', { scopes: ['read'] }))).toBe(200);
      expect(await statusFor(await tokenFor(ID))).toBe(200);
      expect(await statusFor(await tokenFor('7', { scopes: ['observe'] }))).toBe(403);
      expect(await statusFor(await tokenFor('7'))).toBe(403);
    });
  });
});

/** The erasure of a user in a cluster: on every hub, in Redis and in PostgreSQL. */
import { setTimeout as delay } from 'node:timers/promises';
import { createClient } from '@redis/client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Entry } from '../../../shared/messages/entry.ts';
import { historyAnswer } from '../../../shared/messages/http-bodies.ts';
import { systemClock } from '../../../server/lib/time/system-clock.ts';
import { ask } from '../../support/ask.ts';
import { ClusterStage, type ClusterHub } from '../../support/cluster-stage.ts';
import { endHubProcesses } from '../../support/hub-process.ts';
import { needing } from '../../support/needs.ts';
import { PostgresServer } from '../../support/postgres-server.ts';
import { tokenFor, TEST_SECRET } from '../../support/tokens.ts';
import { WEBHOOK_SECRET, WebhookReceiver } from '../../support/webhook-receiver.ts';
import { WsClient } from '../../support/ws-client.ts';
import { transports } from '../../support/transports.ts';

const ADMIN = 'an-admin-token-for-tests';
const WITHIN_MS = 40_000;
const until = async (isTrue: () => Promise<boolean>): Promise<void> => {
  for (const endsAt = performance.now() + WITHIN_MS; !(await isTrue());) {
    if (performance.now() > endsAt) throw new Error('it did not become true in time');
    await delay(50);
  }
};

describe('a user who is erased in a cluster', { ...needing('redis-server'), timeout: 90_000 }, () => {
  describe.each(transports)('with PostgreSQL, on %s', needing('postgres'), (engine) => {
    let server: PostgresServer;
    let stage: ClusterStage;
    let database: string;
    let receiver: WebhookReceiver;
    let users = 0;
    let id: string;
    const never = () => ({ user: id, status: 'offline', code: -1, since: null, lastSeen: null, devices: [] });

    beforeAll(async () => {
      server = await PostgresServer.start();
      database = await server.newDatabase();
      receiver = await WebhookReceiver.open();
      stage = await ClusterStage.start({
        HUB_TRANSPORT: engine,
        HUB_ROSTER: server.urlOf(database),
        HUB_AUTH: 'jwt',
        HUB_JWT_SECRET: TEST_SECRET,
        HUB_ADMIN_TOKEN: ADMIN,
        HUB_HISTORY_DAYS: '7',
        HUB_WEBHOOK_URL: receiver.url,
        HUB_WEBHOOK_SECRET: WEBHOOK_SECRET,
      });
    });
    beforeEach(() => {
      id = `somebody-to-erase-${++users}`;
    });
    afterEach(endHubProcesses);
    afterAll(async () => {
      await stage.stop();
      await receiver.close();
      await server.stop();
    });

    const call = (hub: ClusterHub, method: string, path: string, body?: object) =>
      ask(hub.http, method, path, { token: ADMIN, ...(body !== undefined && { body }) });
    const done = async (...asked: Parameters<typeof call>) => {
      const { status, body } = await call(...asked);
      expect([asked[2], status, body]).toEqual([asked[2], expect.toBeOneOf([200, 204]), body]);
    };
    const erase = (hub: ClusterHub) => call(hub, 'DELETE', `/v1/users/${id}`);
    /** The entry without the mark of a doubt. */
    const shown = async (hub: ClusterHub): Promise<Entry> => {
      const { body } = await call(hub, 'GET', `/v1/presence/${id}`);
      const { stale: _, ...entry } = body as Entry & { readonly stale?: boolean };
      return entry;
    };
    const beat = (hub: ClusterHub, status = 'online', device = 'http') =>
      done(hub, 'POST', '/v1/heartbeat', { user: id, status, device, ttlMs: 600_000 });
    const client = async (hub: ClusterHub, user: string, scopes: 'observe'[] = []) =>
      WsClient.hello(hub.ws, { user, token: await tokenFor(user, { scopes, clock: systemClock }) });
    const watching = async (hub: ClusterHub, watch: object, user = 'observer', scopes: 'observe'[] = ['observe']) => {
      const one = await client(hub, user, scopes);
      one.send({ type: 'watch', ...watch });
      await one.next('snapshot');
      return one;
    };
    const redis = async (...command: string[]): Promise<unknown> => {
      const connection = createClient({ url: stage.redis.url });
      await connection.connect();
      const answer = await connection.sendCommand(command);
      connection.destroy();
      return answer;
    };
    /** The keys of Redis that hold the id in their name or value. */
    const valuesWith = async (user: string): Promise<string[]> => {
      const found: string[] = [];
      for (const key of (await redis('KEYS', '*')) as string[]) {
        const type = String(await redis('TYPE', key));
        const read = { string: ['GET'], hash: ['HGETALL'], set: ['SMEMBERS'], zset: ['ZRANGE'], list: ['LRANGE'] }[
          type
        ];
        const rest = type === 'zset' || type === 'list' ? ['0', '-1'] : [];
        const value = read === undefined ? '' : JSON.stringify(await redis(...read, key, ...rest));
        if (`${key} ${value}`.includes(user)) found.push(key);
      }
      return found;
    };
    /** The tables that hold the id in any row. */
    const tablesWith = async (user: string): Promise<string[]> => {
      const tables = await server.query(
        database,
        `SELECT table_name FROM information_schema.tables WHERE table_schema = 'presence_hub'`,
      );
      const found: string[] = [];
      for (const { table_name: table } of tables as { table_name: string }[]) {
        const rows = await server.query(
          database,
          `SELECT 1 FROM presence_hub.${table} AS one WHERE one::text LIKE '%${user}%' LIMIT 1`,
        );
        if (rows.length > 0) found.push(table);
      }
      return found.sort();
    };
    const leaveTraces = async (hub: ClusterHub) => {
      await done(hub, 'PUT', `/v1/users/${id}/friends`, { friends: ['7', '8', '9'] });
      await done(hub, 'PUT', `/v1/users/6/friends/${id}?oneway=true`);
      await done(hub, 'DELETE', `/v1/users/${id}/friends/9`);
      await done(hub, 'PUT', `/v1/users/${id}/blocks/5`);
      await done(hub, 'PUT', `/v1/users/4/blocks/${id}`);
      for (const status of ['online', 'away', 'busy']) {
        await beat(hub, status);
        await delay(60); // Changes within 50 ms count as one.
      }
      await until(async () => (await tablesWith(id)).includes('history'));
    };

    it('is in no table and in no record afterwards, on no hub, and no webhook is sent (C33, H37, H39, H40)', async () => {
      const [a, b] = (await stage.hubs(2)) as [ClusterHub, ClusterHub];
      await leaveTraces(a);
      const onA = await client(a, id);
      const onB = await client(b, id);
      await until(async () => (await shown(b)).devices.length === 2);
      receiver.answer = () => 204;
      await until(async () => receiver.messages.some(({ body }) => body.includes(id)));
      await delay(500);
      const sent = receiver.messages.length;

      expect((await erase(a)).status).toBe(204);
      expect(await Promise.all([onA.closed, onB.closed])).toEqual([4403, 4403]);
      expect(await tablesWith(id)).toEqual([]);
      for (const hub of [a, b]) {
        expect(await shown(hub)).toEqual({ ...never(), v: 0 });
        expect(historyAnswer.parse((await call(hub, 'GET', `/v1/users/${id}/history`)).body).transitions).toEqual([]);
        expect((await call(hub, 'GET', `/v1/users/${id}/explain`)).body).toMatchObject({
          sessions: [],
          transitions: [],
          hidden: { from: [] },
        });
        expect((await call(hub, 'GET', `/v1/users/${id}/friends`)).body).toEqual({ user: id, friends: [] });
        for (const user of ['6', '7', '8'])
          expect((await call(hub, 'GET', `/v1/users/${user}/friends`)).body).toEqual({ user, friends: [] });
        expect((await call(hub, 'GET', '/v1/users/4/explain')).body).toMatchObject({ hidden: { from: [] } });
      }
      expect(await valuesWith(id)).toEqual([]);
      await delay(1500);
      expect(receiver.messages.slice(sent).filter(({ body }) => body.includes(id))).toEqual([]);
      expect(await tablesWith(id)).toEqual([]);
    });

    it('is left out of a message that is being repeated, and of the dead events (C33, H37, N3)', async () => {
      const [a, b] = await stage.hubs(2);
      receiver.answer = () => 503;
      const rest = { user: `beside-${id}`, status: 'busy', ttlMs: 600_000 };
      await Promise.all([beat(a!), done(b!, 'POST', '/v1/heartbeat', rest)]);
      const isTried = (user: string): boolean => receiver.messages.some(({ body }) => body.includes(`"${user}"`));
      await receiver.until(() => isTried(id));
      expect(await erase(b!)).toMatchObject({ status: 204 });
      expect(JSON.stringify(await redis('GET', 'ph:{m}:b:default'))).not.toContain(`"${id}`);
      receiver.answer = () => 200;
      await receiver.until(() => receiver.eventsOf(rest.user).length > 0);
      expect(receiver.eventsOf(id)).toEqual([]);
    });

    it('disappears for watchers of either hub, and returns with nothing and a larger version (C33, H38, H39)', async () => {
      const [a, b] = (await stage.hubs(2)) as [ClusterHub, ClusterHub];
      await done(a, 'PUT', `/v1/users/${id}/friends`, { friends: ['17', '18'] });
      await done(a, 'PUT', `/v1/users/${id}/blocks/18`);
      await beat(a, 'busy');
      await until(async () => (await shown(b)).status === 'busy');
      const { v } = await shown(b);
      const lists = await Promise.all([a, b].map((hub) => watching(hub, { friendsOf: '17' }, '17', [])));
      const observers = await Promise.all([a, b].map((hub) => watching(hub, { users: [id] })));
      const blocked = await watching(b, { users: [id] }, '18', []);
      const at = await (async () => {
        const one = await client(b, 'resumer', ['observe']);
        one.send({ type: 'watch', users: [id] });
        const snapshot = await one.next('snapshot');
        one.close();
        return snapshot.at;
      })();

      expect((await erase(b)).status).toBe(204);
      for (const list of lists)
        expect(await list.next('friend')).toEqual({ type: 'friend', friendsOf: '17', op: 'remove', user: id });
      const last: Entry[] = [];
      const isLast = ({ since }: Entry): boolean => since === null;
      for (const one of [...observers, blocked]) {
        const { entries } = await one.next('presence', (message) => message.entries.some(isLast));
        expect(entries).toEqual([{ ...never(), v: expect.any(Number) as number }]);
        last.push(entries[0]!);
      }
      expect(await blocked.next('unwatched')).toMatchObject({ users: [id] });
      for (const one of [...observers, blocked]) {
        await one.roundTrip();
        const sent = one.all.flatMap((message) => (message.type === 'presence' ? message.entries : []));
        expect(sent.filter(isLast)).toHaveLength(1);
      }
      expect(new Set(last.map((entry) => entry.v)).size).toBe(1);
      expect(last[0]!.v).toBeGreaterThan(v);

      // A hub that started later, and those that were there, answer an old `since` in full.
      const c = await stage.hub();
      for (const hub of [a, b, c]) {
        const one = await client(hub, 'resumer', ['observe']);
        one.send({ type: 'watch', users: [id], since: at });
        const { entries, since } = await one.next('snapshot');
        expect([entries, since]).toEqual([[{ ...never(), v: 0 }], undefined]);
        one.close();
      }

      await beat(c, 'away', 'new');
      for (const one of observers) {
        const { entries } = await one.next('presence');
        expect(entries).toMatchObject([{ user: id, status: 'away', devices: ['new'] }]);
        expect(entries[0]!.v).toBeGreaterThan(last[0]!.v);
      }
      for (const hub of [a, b, c]) {
        const history = historyAnswer.parse((await call(hub, 'GET', `/v1/users/${id}/history`)).body);
        expect(history.transitions.map(({ from, to }) => [from, to])).toEqual([['offline', 'away']]);
      }
      for (const one of [...lists, ...observers, blocked]) one.close();
    });

    it('is also erased on a hub that was stopped until after that (C33, H37)', async () => {
      const [a, b] = (await stage.hubs(2)) as [ClusterHub, ClusterHub];
      const onB = await client(b, id);
      await until(async () => (await shown(a)).status === 'online');
      b.process.child.kill('SIGSTOP');
      expect((await erase(a)).status).toBe(204); // once the hub counts as dead
      b.process.child.kill('SIGCONT');
      expect(await onB.closed).toBe(4403);
      await until(async () => (await call(b, 'GET', `/v1/presence/${id}`)).status === 200);
      await delay(1000); // what the hub still had to store when it was stopped
      expect(await tablesWith(id)).toEqual([]);
      for (const hub of [a, b]) expect(await shown(hub)).toEqual({ ...never(), v: 0 });
    });

    it('is erased by itself once PostgreSQL is back (C33, H37)', async () => {
      const [a, b] = (await stage.hubs(2)) as [ClusterHub, ClusterHub];
      await leaveTraces(a);
      await server.kill();
      const { status, body } = await erase(b);
      expect([status, body]).toMatchObject([503, { type: expect.stringContaining('storage_failed') as string }]);
      await server.run();
      await until(async () => (await tablesWith(id)).length === 0);
      await until(async () => (await shown(a)).v === 0);
      expect(await shown(b)).toEqual({ ...never(), v: 0 });
    });
  });

  it('is refused if no database holds the blocks (C33)', async () => {
    const stage = await ClusterStage.start();
    try {
      const hub = await stage.hub();
      const answer = await fetch(`${hub.http}/v1/users/42`, { method: 'DELETE' });
      expect([answer.status, await answer.json()]).toMatchObject([
        501,
        {
          type: expect.stringContaining('not_implemented') as string,
          detail: expect.stringContaining('HUB_DATABASE_URL') as string,
        },
      ]);
    } finally {
      await endHubProcesses();
      await stage.stop();
    }
  });
});

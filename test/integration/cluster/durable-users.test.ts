/** Blocks and last seen of a cluster in PostgreSQL: a Redis that lost its data reveals no blocked user. */
import { setTimeout as delay } from 'node:timers/promises';
import { createClient } from '@redis/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Entry } from '../../../shared/messages/entry.ts';
import { systemClock } from '../../../server/lib/time/system-clock.ts';
import { ClusterStage, type ClusterHub } from '../../support/cluster-stage.ts';
import { endHubProcesses } from '../../support/hub-process.ts';
import { needing } from '../../support/needs.ts';
import { PostgresServer } from '../../support/postgres-server.ts';
import { tokenFor, TEST_SECRET } from '../../support/tokens.ts';
import { WsClient } from '../../support/ws-client.ts';
import { transports } from '../../support/transports.ts';

const ADMIN = 'an-admin-token-for-tests';
const WITHIN_MS = 100_000;

const until = async (isTrue: () => Promise<boolean>): Promise<void> => {
  for (const endsAt = performance.now() + WITHIN_MS; !(await isTrue());) {
    if (performance.now() > endsAt) throw new Error('it did not become true in time');
    await delay(50);
  }
};

describe('blocks and last seen', { ...needing('redis-server'), timeout: 240_000 }, () => {
  describe.each(transports)('in PostgreSQL, on %s', needing('postgres'), (engine) => {
    let server: PostgresServer;
    let stage: ClusterStage;
    let database: string;

    beforeAll(async () => {
      server = await PostgresServer.start();
      database = await server.newDatabase();
      stage = await ClusterStage.start({
        HUB_TRANSPORT: engine,
        HUB_DATABASE_URL: server.urlOf(database),
        HUB_AUTH: 'jwt',
        HUB_JWT_SECRET: TEST_SECRET,
        HUB_ADMIN_TOKEN: ADMIN,
        HUB_HISTORY_DAYS: '7',
      });
    });
    afterEach(endHubProcesses);
    afterAll(async () => {
      await stage.stop();
      await server.stop();
    });

    const flush = async (): Promise<void> => {
      const client = createClient({ url: stage.redis.url });
      await client.connect();
      await client.sendCommand(['FLUSHALL']);
      client.destroy();
    };
    const request = async (hub: ClusterHub, method: string, path: string, token = ADMIN, body?: object) => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      const answer = await fetch(hub.http + path, {
        method,
        headers,
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      return { status: answer.status, body: (text === '' ? null : JSON.parse(text)) as Entry };
    };
    /** The entry without the mark of a doubt. Hubs that recover answer with 503 for a user that they do not hold. */
    const seenBy = async (hub: ClusterHub, viewer: string, user: string): Promise<Entry> => {
      const token = await tokenFor(viewer, { scopes: ['observe'], clock: systemClock });
      for (const endsAt = performance.now() + WITHIN_MS; ;) {
        const { status, body } = await request(hub, 'GET', `/v1/presence/${user}`, token);
        const { stale: _, ...entry } = body as Entry & { readonly stale?: boolean };
        if (status === 200) return entry;
        if (status !== 503 || performance.now() > endsAt) throw new Error(`answered with ${status}`);
        await delay(50);
      }
    };
    const beat = (hub: ClusterHub, user: string, status = 'online') =>
      request(hub, 'POST', '/v1/heartbeat', ADMIN, { user, status, ttlMs: 600_000 });
    const isKept = (user: string) => async () =>
      (await server.query(database, `SELECT FROM presence_hub.user_state WHERE user_id = '${user}'`)).length === 1;

    it('a user stays hidden from blocked viewers if Redis comes back empty and no hub remembers the user (C32)', async () => {
      const [a] = (await stage.hubs(1)) as [ClusterHub];
      await beat(a, 'blocker');
      expect((await request(a, 'PUT', '/v1/users/blocker/blocks/viewer')).status).toBe(204);
      const frozen = await seenBy(a, 'viewer', 'blocker');
      expect(frozen.status).toBe('offline');
      await endHubProcesses();
      await flush();
      const [b, c] = (await stage.hubs(2)) as [ClusterHub, ClusterHub];
      const viewer = await WsClient.open(b.ws);
      viewer.send({
        type: 'hello',
        user: 'viewer',
        token: await tokenFor('viewer', { scopes: ['observe'], clock: systemClock }),
      });
      await viewer.next('welcome');
      viewer.send({ type: 'watch', users: ['blocker'] });
      await viewer.next('snapshot');
      expect((await beat(c, 'blocker', 'busy')).status).toBe(200);
      expect(await seenBy(b, 'stranger', 'blocker')).toMatchObject({ status: 'busy' });
      for (const hub of [b, c]) {
        const { v: _, ...shown } = await seenBy(hub, 'viewer', 'blocker');
        const { v: _v, ...before } = frozen;
        expect(shown).toEqual(before);
      }
      const entries = viewer.all.flatMap((message) =>
        message.type === 'snapshot' || message.type === 'presence' ? message.entries : [],
      );
      expect(entries.map(({ status, since }) => [status, since])).toEqual(entries.map(() => ['offline', frozen.since]));
      viewer.close();
    });

    it('a lifted block stays lifted, and last seen survives, with larger versions on all hubs (C1, C32)', async () => {
      const [a] = (await stage.hubs(1)) as [ClusterHub];
      await beat(a, 'lifter');
      await request(a, 'PUT', '/v1/users/lifter/blocks/viewer');
      expect((await request(a, 'DELETE', '/v1/users/lifter/blocks/viewer')).status).toBe(204);
      await beat(a, 'lifter', 'offline');
      const before = await seenBy(a, 'viewer', 'lifter');
      await until(async () => {
        const [row] = await server.query(database, `SELECT v FROM presence_hub.user_state WHERE user_id = 'lifter'`);
        return Number(row?.['v']) === before.v;
      });
      await endHubProcesses();
      await flush();
      const hubs = await stage.hubs(2);
      const shown = await Promise.all(hubs.map((hub) => seenBy(hub, 'viewer', 'lifter')));
      expect(shown[0]).toEqual(shown[1]);
      const { v, ...rest } = shown[0]!;
      const { v: earlier, ...same } = before;
      expect(rest).toEqual(same);
      expect(v).toBeGreaterThan(earlier);
    });

    it('hubs that run while Redis is flushed reveal nobody either (C14, C32)', async () => {
      const [a, b] = (await stage.hubs(2)) as [ClusterHub, ClusterHub];
      await beat(a, 'shy', 'away');
      await request(a, 'PUT', '/v1/users/shy/blocks/viewer');
      await beat(a, 'shy', 'offline');
      await until(isKept('shy'));
      await delay(6000); // no hub holds the user any more
      await flush();
      await until(async () => (await beat(b, 'shy', 'away')).status === 200);
      expect(await seenBy(a, 'viewer', 'shy')).toMatchObject({ status: 'offline' });
      await until(async () => (await seenBy(a, 'stranger', 'shy')).status === 'away');
      expect(await seenBy(b, 'viewer', 'shy')).toMatchObject({ status: 'offline' });
    });

    it('an export on any hub has the sessions of all, the history and all blocks (C32, H35)', async () => {
      const [a, b] = (await stage.hubs(2)) as [ClusterHub, ClusterHub];
      const open = async (hub: ClusterHub, device: string) => {
        const client = await WsClient.open(hub.ws);
        client.send({ type: 'hello', user: 'whole', device, token: await tokenFor('whole', { clock: systemClock }) });
        await client.next('welcome');
        return client;
      };
      const clients = [await open(a, 'phone'), await open(b, 'laptop')];
      for (const [user, other] of [
        ['whole', 'enemy'],
        ['hater', 'whole'],
      ]) {
        expect((await request(b, 'PUT', `/v1/users/${user}/blocks/${other}`)).status).toBe(204);
      }
      for (const hub of [a, b]) {
        await until(async () => {
          const { body } = await request(hub, 'GET', '/v1/users/whole/export');
          return (body as unknown as { history: unknown[] }).history.length === 1;
        });
        const { body } = await request(hub, 'GET', '/v1/users/whole/export');
        expect(body).toMatchObject({
          entry: { devices: ['laptop', 'phone'] },
          blocks: ['enemy'],
          blockedBy: ['hater'],
          history: [{ from: 'offline', to: 'online', cause: 'began' }],
        });
        const { sessions } = body as unknown as { sessions: { device: string }[] };
        expect(sessions.map(({ device }) => device).sort()).toEqual(['laptop', 'phone']);
      }
      for (const client of clients) client.close();
    });

    it('a block is not confirmed while PostgreSQL is away, but holds, and is stored afterwards (C32)', async () => {
      const [a] = (await stage.hubs(1)) as [ClusterHub];
      await beat(a, 'cautious');
      await server.kill();
      expect((await request(a, 'PUT', '/v1/users/cautious/blocks/viewer')).status).toBe(503);
      expect(await seenBy(a, 'viewer', 'cautious')).toMatchObject({ status: 'offline' });
      await server.run();
      await until(
        async () =>
          (await server.query(database, `SELECT FROM presence_hub.block WHERE user_id = 'cautious'`)).length === 1,
      );
      expect((await request(a, 'PUT', '/v1/users/cautious/blocks/viewer')).status).toBe(204);
    });
  });
});

/** HUB_ROSTER=postgres://…: friend lists in PostgreSQL, through real sockets and a real server. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { needing } from '../support/needs.ts';
import { GUARDED_ROLE, PostgresServer } from '../support/postgres-server.ts';
import { FaultProxy } from '../support/redis/fault-proxy.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';
import { WsClient } from '../support/ws-client.ts';

describe('PostgreSQL', needing('postgres'), () => {
  let server: PostgresServer;
  let database: string;
  const undo: (() => unknown)[] = [];

  beforeAll(async () => {
    server = await PostgresServer.start();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    database = await server.newDatabase();
  });
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step();
  });

  const startHub = async (settings: Parameters<typeof startTestHub>[0] = {}): Promise<TestHub> => {
    const hub = await startTestHub({ roster: server.urlOf(database), ...settings });
    undo.push(() => hub.stop());
    return hub;
  };
  const sql = (text: string) => server.query(database, text);
  const befriend = (hub: TestHub, user: string, friend: string) =>
    hub.request('PUT', `/v1/users/${user}/friends/${friend}`);
  const unfriend = (hub: TestHub, user: string, friend: string) =>
    hub.request('DELETE', `/v1/users/${user}/friends/${friend}`);
  const friendsOf = async (hub: TestHub, user: string) =>
    ((await hub.request('GET', `/v1/users/${user}/friends`)).body as { friends: string[] }).friends;
  const watch = async (hub: TestHub, owner: string): Promise<WsClient> => {
    const client = await WsClient.hello(hub.addresses.ws, { observe: true });
    client.send({ type: 'watch', friendsOf: owner });
    return client;
  };
  const beat = (hub: TestHub, user: string) => hub.request('POST', '/v1/heartbeat', { user });

  onBothEngines('friend lists', (transport) => {
    it('are edited on one hub, and reported by another one (H43)', async () => {
      const [one, two] = [await startHub({ transport }), await startHub({ transport })];
      await befriend(one, '42', '7');
      const clients = [await watch(one, '42'), await watch(two, '42')] as const;
      for (const client of clients) {
        expect((await client.next('snapshot')).entries.map(({ user }) => user)).toEqual(['7']);
      }
      expect((await befriend(one, '42', '8')).status).toBe(204);
      expect((await unfriend(one, '42', '7')).status).toBe(204);
      const reported = clients[0].all.filter(({ type }) => type === 'friend');
      expect(reported).toMatchObject([
        { op: 'add', entry: { user: '8' } },
        { op: 'remove', user: '7' },
      ]);
      expect(await clients[1].next('friend')).toMatchObject({ op: 'add', entry: { user: '8' } });
      expect(await clients[1].next('friend')).toMatchObject({ op: 'remove', user: '7' });
      await beat(two, '8');
      expect(await clients[1].entryOf('8')).toMatchObject({ status: 'online' });
    });

    it('decide who may watch, and the end of a friendship ends the watch (H43)', async () => {
      const hub = await startHub({ transport, auth: 'jwt', jwtSecret: TEST_SECRET });
      await sql(`INSERT INTO presence_hub.edge VALUES ('42', '7')`);
      const token = await tokenFor('42', { clock: hub.clock });
      const client = await WsClient.hello(hub.addresses.ws, { user: '42', token });
      client.send({ type: 'watch', users: ['8'] });
      expect(await client.next('error')).toMatchObject({ code: 'forbidden' });
      client.send({ type: 'watch', users: ['7'] });
      await client.next('snapshot');
      await sql(`DELETE FROM presence_hub.edge WHERE owner = '42'`);
      expect(await client.next('unwatched')).toMatchObject({ users: ['7'] });
    });
  });

  it('reports what is edited by hand, the last state of each friend once (H43)', async () => {
    const hub = await startHub();
    const client = await watch(hub, '42');
    await client.next('snapshot');
    await sql(`INSERT INTO presence_hub.edge SELECT '42', 'f' || n FROM generate_series(1, 300) AS n`);
    for (let n = 0; n < 300; n++) expect((await client.next('friend')).op).toBe('add');
    await sql(`BEGIN; DELETE FROM presence_hub.edge WHERE friend = 'f1';
      INSERT INTO presence_hub.edge VALUES ('42', 'f1'); UPDATE presence_hub.edge SET friend = 'f0' WHERE friend = 'f2'; COMMIT`);
    expect(await client.next('friend')).toMatchObject({ op: 'remove', user: 'f2' });
    expect(await client.next('friend')).toMatchObject({ op: 'add', entry: { user: 'f0' } });
    await sql('TRUNCATE presence_hub.edge');
    for (let n = 0; n < 300; n++) expect((await client.next('friend')).op).toBe('remove');
    expect(await friendsOf(hub, '42')).toEqual([]);
  });

  it('answers an edit only when every hub has reported it, and does not wait for one that is gone (H43)', async () => {
    const [one, two] = [await startHub(), await startHub()];
    for (let round = 0; round < 10; round++) {
      await befriend(one, '42', '7');
      const client = await watch(two, '42');
      await client.next('snapshot');
      expect((await unfriend(one, '42', '7')).status).toBe(204);
      // What the other hub has written to its socket by now arrives before the answer to a later message.
      client.send({ type: 'unwatch', friendsOf: '42' });
      await client.next('unwatched');
      expect(client.all.filter(({ type }) => type === 'friend')).toMatchObject([{ op: 'remove', user: '7' }]);
    }
    await befriend(one, '42', '7');
    await two.stop();
    const startedAt = performance.now();
    expect((await unfriend(one, '42', '7')).status).toBe(204);
    expect(performance.now() - startedAt).toBeLessThan(2000);
    await befriend(one, '42', '7');
    await sql(`INSERT INTO presence_hub.reader VALUES ('hub-crashed', 0, now() - interval '4 seconds')`);
    expect((await unfriend(one, '42', '7')).status).toBe(204);
  });

  it('refuses by hand what the hub would refuse', async () => {
    await startHub();
    await expect(sql(`INSERT INTO presence_hub.edge VALUES ('42', '42')`)).rejects.toThrow('check');
    await expect(sql(`INSERT INTO presence_hub.edge VALUES ('42', 'a b')`)).rejects.toThrow('check');
  });

  it('lets no list grow beyond HUB_MAX_FRIENDS, whichever hubs add to it at the same time', async () => {
    const hubs = [await startHub({ maxFriends: 10 }), await startHub({ maxFriends: 10 })];
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, n) => befriend(hubs[n % 2] as TestHub, '42', `f${n}`)),
    );
    expect(answers.filter(({ status }) => status === 204)).toHaveLength(10);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(30);
    for (const hub of hubs) expect(await friendsOf(hub, '42')).toHaveLength(10);
    expect(await sql('SELECT count(*)::int AS n FROM presence_hub.edge')).toEqual([{ n: 20 }]);
  });

  it('converges on two hubs that edit the same lists at the same time', async () => {
    const hubs = [await startHub(), await startHub()] as const;
    for (const hub of hubs) await friendsOf(hub, 'u0');
    const clients = await Promise.all(hubs.map((hub) => watch(hub, 'u0')));
    for (const client of clients) await client.next('snapshot');
    await Promise.all(
      Array.from({ length: 200 }, (_, n) => {
        const hub = hubs[n % 2] as TestHub;
        const friend = `f${(n * 7) % 10}`;
        return n % 3 === 0 ? unfriend(hub, 'u0', friend) : befriend(hub, 'u0', friend);
      }),
    );
    const rows = await sql(`SELECT friend FROM presence_hub.edge WHERE owner = 'u0' ORDER BY friend`);
    const truth = rows.map(({ friend }) => friend);
    for (const hub of hubs) await hub.until(async () => (await friendsOf(hub, 'u0')).join() === truth.join());
    for (const client of clients) {
      const shown = new Set<string>();
      const follow = (): string => {
        shown.clear();
        for (const message of client.all) {
          if (message.type !== 'friend') continue;
          if (message.op === 'add') shown.add(message.entry.user);
          else shown.delete(message.user);
        }
        return [...shown].sort().join();
      };
      await hubs[0].until(() => follow() === truth.join());
    }
  });

  it('erases a user in both directions, also from the changes of lists', async () => {
    const hub = await startHub();
    await befriend(hub, '42', '7');
    await befriend(hub, '43', '7');
    const client = await watch(hub, '42');
    await client.next('snapshot');
    const { body } = await hub.request('GET', '/v1/users/7/export');
    expect(body).toMatchObject({ friends: ['42', '43'], followers: ['42', '43'] });
    expect((await hub.request('DELETE', '/v1/users/7')).status).toBe(204);
    expect(await client.next('friend')).toMatchObject({ op: 'remove', user: '7' });
    for (const table of ['edge', 'change']) {
      expect(await sql(`SELECT * FROM presence_hub.${table} WHERE owner = '7' OR friend = '7'`)).toEqual([]);
    }
  });

  it('that is away leaves known lists and presence as they are, and is caught up with once it is back (H42)', async () => {
    const proxy = await FaultProxy.start(server.port);
    undo.push(() => proxy.close());
    const hub = await startHub({ roster: server.urlOf(database, 'postgres', proxy.port) });
    await befriend(hub, '42', '7');
    const client = await watch(hub, '42');
    await client.next('snapshot');
    proxy.cut();
    await sql(`INSERT INTO presence_hub.edge VALUES ('42', '9')`);
    expect(await befriend(hub, '42', '8')).toMatchObject({
      status: 503,
      body: { detail: 'storage: it cannot be reached, so the change was not made; try again' },
    });
    await hub.until(async () => (await hub.request('GET', '/v1/users/43/friends')).status === 503);
    client.send({ type: 'watch', friendsOf: '43', id: 'w' });
    expect(await client.next('error')).toMatchObject({ code: 'internal', re: 'w' });
    expect(await friendsOf(hub, '42')).toEqual(['7']);
    await beat(hub, '7');
    expect(await client.entryOf('7')).toMatchObject({ status: 'online' });
    expect((await hub.request('GET', '/readyz')).status).toBe(200);
    expect(client.all.filter(({ type }) => type === 'friend' || type === 'stale')).toEqual([]);

    proxy.mend();
    expect(await client.next('friend')).toMatchObject({ op: 'add', entry: { user: '9' } });
    expect((await befriend(hub, '42', '8')).status).toBe(204);
    expect(await friendsOf(hub, '42')).toEqual(['7', '8', '9']);
  });

  it(
    'that does not answer is given up after 5 s, and an edit in doubt is not called undone',
    { timeout: 40_000 },
    async () => {
      const proxy = await FaultProxy.start(server.port);
      undo.push(() => proxy.close());
      const hub = await startHub({ roster: server.urlOf(database, 'postgres', proxy.port) });
      await befriend(hub, '42', '7');
      proxy.alter = (text) => {
        // From the answer to COMMIT on, nothing arrives.
        if (text.includes('COMMIT\0')) proxy.swallow();
        return text;
      };
      const answer = await befriend(hub, '42', '8');
      expect(answer.status).toBe(503);
      expect((answer.body as { detail: string }).detail).toMatch(/the change (may have been made|is stored)/);
      proxy.alter = (text) => text;
      proxy.cut();
      proxy.mend();
      await hub.until(async () => (await friendsOf(hub, '42')).join() === '7,8');
    },
  );

  it('that crashes and starts again is used again', async () => {
    const hub = await startHub();
    await befriend(hub, '42', '7');
    const client = await watch(hub, '42');
    await client.next('snapshot');
    await server.kill();
    await hub.until(async () => (await hub.request('PUT', '/v1/users/42/friends/8')).status === 503);
    await server.run();
    await hub.until(async () => (await hub.request('PUT', '/v1/users/42/friends/8')).status === 204);
    expect(await client.next('friend')).toMatchObject({ op: 'add', entry: { user: '8' } });
  });

  it('keeps a hub right that was away for longer than changes are remembered', async () => {
    const proxy = await FaultProxy.start(server.port);
    undo.push(() => proxy.close());
    const hub = await startHub({ roster: server.urlOf(database, 'postgres', proxy.port) });
    await befriend(hub, '42', '7');
    const client = await watch(hub, '42');
    await client.next('snapshot');
    proxy.cut();
    await sql(`DELETE FROM presence_hub.edge WHERE owner = '42'; INSERT INTO presence_hub.edge VALUES ('42', '9')`);
    await sql(`WITH old AS (DELETE FROM presence_hub.change RETURNING id)
      UPDATE presence_hub.forgotten SET up_to = (SELECT max(id) FROM old)`);
    proxy.mend();
    expect(await client.next('friend')).toMatchObject({ op: 'remove', user: '7' });
    expect(await client.next('friend')).toMatchObject({ op: 'add', entry: { user: '9' } });
  });

  it('makes its tables once, however many hubs start at the same time', async () => {
    const hubs = await Promise.all(Array.from({ length: 4 }, () => startHub()));
    for (const [n, hub] of hubs.entries()) expect((await befriend(hub, '42', `f${n}`)).status).toBe(204);
    expect(await friendsOf(hubs[0] as TestHub, '42')).toHaveLength(4);
  });

  describe('a start', () => {
    const failure = async (roster: string): Promise<string> => {
      const started = await startTestHub({ roster }).then(
        async (hub) => {
          await hub.stop();
          return 'it started';
        },
        (error: unknown) => String(error),
      );
      expect(started).not.toContain('\n');
      expect(started).not.toContain('hush-hush');
      return started;
    };

    it('says what is wrong with the address, the role, the password, the database or the rights', async () => {
      await sql(`CREATE ROLE ${GUARDED_ROLE} LOGIN PASSWORD 'right'; CREATE ROLE weak LOGIN`);
      undo.push(() => sql(`DROP ROLE ${GUARDED_ROLE}; DROP ROLE weak`));
      const at = `127.0.0.1:${server.port}/${database}`;
      expect(await failure(`postgres://me:hush-hush@127.0.0.1:1/${database}`)).toMatch(
        /HUB_ROSTER: PostgreSQL at 127\.0\.0\.1:1 cannot be reached \(ECONNREFUSED\): start it/,
      );
      expect(await failure(`postgres://${GUARDED_ROLE}:hush-hush@${at}`)).toContain(
        'refuses the password of "guarded"',
      );
      expect(await failure(`postgres://nobody-here@${at}`)).toContain('refuses the user "nobody-here"');
      expect(await failure(server.urlOf('nowhere'))).toContain('has no database "nowhere": create it');
      expect(await failure(server.urlOf(database, 'weak'))).toContain('GRANT CREATE ON DATABASE');
    });

    it('refuses tables of a newer hub', async () => {
      await (await startHub()).stop();
      await sql('UPDATE presence_hub.version SET number = 99');
      expect(await failure(server.urlOf(database))).toContain('written by a newer hub');
    });

    it('needs only the documented rights once the tables are there', async () => {
      await (await startHub()).stop();
      await sql(`CREATE ROLE small LOGIN; GRANT USAGE ON SCHEMA presence_hub TO small;
        GRANT SELECT ON presence_hub.version TO small;
        GRANT SELECT, INSERT, DELETE ON presence_hub.edge TO small;
        GRANT SELECT, DELETE ON presence_hub.change TO small; GRANT SELECT, UPDATE ON presence_hub.forgotten TO small;
        GRANT SELECT, INSERT, UPDATE, DELETE ON presence_hub.reader TO small`);
      undo.push(() => sql('DROP OWNED BY small; DROP ROLE small'));
      const hub = await startHub({ roster: server.urlOf(database, 'small') });
      expect((await befriend(hub, '42', '7')).status).toBe(204);
      expect(await friendsOf(hub, '42')).toEqual(['7']);
      expect((await hub.request('DELETE', '/v1/users/42')).status).toBe(204);
      await hub.stop();
    });
  });
});

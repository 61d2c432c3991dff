/** History of a cluster in PostgreSQL: each change once, from whichever hub, and unknown whenever no hub knew. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { historyAnswer, uptimeAnswer } from '../../../shared/messages/http-bodies.ts';
import { ask, ClusterStage, type ClusterHub } from '../../support/cluster-stage.ts';
import { endHubProcesses } from '../../support/hub-process.ts';
import { needing } from '../../support/needs.ts';
import { PostgresServer } from '../../support/postgres-server.ts';
import { WsClient } from '../../support/ws-client.ts';
import { transports } from '../../support/transports.ts';

const WITHIN_MS = 100_000;
let lastUser = 0;
/** Users of their own for each test. */
const newUser = (): string => `user-${++lastUser}`;

const historyOf = async (hub: ClusterHub, user: string) => {
  const { status, body } = await ask(hub, 'GET', `/v1/users/${user}/history`);
  expect([status, body]).toMatchObject([200, {}]);
  return historyAnswer.parse(body).transitions;
};
const stepsOf = async (hub: ClusterHub, user: string) =>
  (await historyOf(hub, user)).map(({ from, to, cause }) => `${from} ${to} ${cause}`);
const uptimeOf = async (hub: ClusterHub, user: string, from: number, to: number) => {
  const { status, body } = await ask(hub, 'GET', `/v1/users/${user}/uptime?from=${from}&to=${to}`);
  expect([status, body]).toMatchObject([200, {}]);
  return uptimeAnswer.parse(body);
};
/** How long a hub stood still, which is unknown. It is 0 unless the machine is very busy. */
const stalledMsOf = async (hub: ClusterHub): Promise<number> => {
  const metrics = await (await fetch(`${hub.http}/metrics`)).text();
  return 1000 * Number(/^presence_hub_stall_seconds_total (\S+)$/m.exec(metrics)![1]);
};
const until = async (isTrue: () => Promise<boolean>): Promise<void> => {
  for (const endsAt = performance.now() + WITHIN_MS; !(await isTrue());) {
    if (performance.now() > endsAt) throw new Error('it did not become true in time');
    await delay(50);
  }
};

describe('history in a cluster', { ...needing('redis-server'), timeout: 240_000 }, () => {
  describe('on PostgreSQL', needing('postgres'), () => {
    let server: PostgresServer;
    const undo: (() => unknown)[] = [];

    beforeAll(async () => {
      server = await PostgresServer.start();
    });
    afterAll(() => server.stop());
    afterEach(async () => {
      await endHubProcesses();
      for (const step of undo.splice(0).reverse()) await step();
    });

    const stageOn = async (engine = 'ws'): Promise<{ stage: ClusterStage; database: string }> => {
      const database = await server.newDatabase();
      const stage = await ClusterStage.start({
        HUB_TRANSPORT: engine,
        HUB_DATABASE_URL: server.urlOf(database),
        HUB_HISTORY_DAYS: '7',
      });
      undo.push(() => stage.stop());
      return { stage, database };
    };
    const hello = async (hub: ClusterHub, fields: object): Promise<WsClient> => {
      const client = await WsClient.hello(hub.ws, fields);
      undo.push(() => client.close());
      return client;
    };
    const countOf = async (database: string, user: string) =>
      Number(
        (await server.query(database, `SELECT count(*) FROM presence_hub.history WHERE user_id = '${user}'`))[0]?.[
          'count'
        ],
      );

    it.each(transports)('is answered by any hub, and each change is stored once (C30, H31) [%s]', async (engine) => {
      const { stage, database } = await stageOn(engine);
      const hubs = await stage.hubs(3);
      const [a, b, c] = hubs as [ClusterHub, ClusterHub, ClusterHub];
      const user = newUser();
      await hello(c, { observe: true }).then((watcher) => watcher.send({ type: 'watch', users: [user] }));
      // Changes within 50 ms count as one, so each waits for the one before.
      const allKnow = async (count: number): Promise<void> => {
        for (const hub of hubs) await until(async () => (await stepsOf(hub, user)).length === count);
      };
      const onA = await hello(a, { user, status: 'away' });
      await allKnow(1);
      const onB = await hello(b, { user, device: 'phone', status: 'busy' });
      await allKnow(2);
      onB.send({ type: 'bye' });
      await allKnow(3);
      onA.send({ type: 'bye' });
      const all = ['offline away began', 'away busy began', 'busy away bye', 'away offline bye'];
      await allKnow(all.length);
      for (const hub of hubs) {
        const transitions = (await historyOf(hub, user)).map(({ from, to }) => `${from} ${to}`);
        expect(transitions).toEqual(['offline away', 'away busy', 'busy away', 'away offline']);
      }
      await until(async () => (await countOf(database, user)) === all.length);
      const entry = (await ask(c, 'GET', `/v1/presence/${user}`)).body;
      expect((await historyOf(b, user)).at(-1)?.at).toBe((entry as { since: number }).since);
    });

    it('a change appears on another hub before it is stored (C30)', async () => {
      const { stage } = await stageOn();
      const [a, b] = (await stage.hubs(2)) as [ClusterHub, ClusterHub];
      const user = newUser();
      await ask(a, 'POST', '/v1/heartbeat', { user, ttlMs: 600_000 });
      expect(await stepsOf(b, user)).toEqual(['offline online began']);
      await ask(b, 'POST', '/v1/heartbeat', { user, status: 'busy', ttlMs: 600_000 });
      expect((await stepsOf(a, user)).at(-1)).toBe('online busy set');
    });

    it('the death of a hub loses no change, and is unknown until its users are settled (C30, H33)', async () => {
      const { stage, database } = await stageOn();
      const [a, b] = (await stage.hubs(2)) as [ClusterHub, ClusterHub];
      const user = newUser();
      const startedAt = Date.now();
      await hello(a, { user });
      const diedAt = Date.now();
      a.process.child.kill('SIGKILL');
      await until(async () => (await stepsOf(b, user)).at(-1) === 'online offline node_lost');
      expect(await stepsOf(b, user)).toEqual(['offline online began', 'online offline node_lost']);
      await until(async () => (await countOf(database, user)) === 2);
      const offlineAt = (await historyOf(b, user)).at(-1)!.at;
      await until(async () => (await uptimeOf(b, user, offlineAt + 3000, offlineAt + 4000)).offlineMs > 0);
      const { unknownMs, onlineMs } = await uptimeOf(b, user, diedAt, offlineAt);
      expect(unknownMs).toBe(offlineAt - diedAt);
      expect(onlineMs).toBe(0);
      const whole = await uptimeOf(b, user, startedAt, offlineAt + 4000);
      expect(whole.onlineMs + whole.awayMs + whole.busyMs + whole.offlineMs + whole.unknownMs).toBe(
        offlineAt + 4000 - startedAt,
      );
    });

    it('a rolling restart leaves no time unknown, and the time of a restart of all hubs is unknown (C30, H33)', async () => {
      const { stage } = await stageOn();
      const a = await stage.hub();
      const user = newUser();
      await ask(a, 'POST', '/v1/heartbeat', { user, ttlMs: 600_000 });
      const sinceAt = Date.now();
      const b = await stage.hub();
      await until(async () => (await uptimeOf(b, user, sinceAt, Date.now())).unknownMs === 0);
      a.process.child.kill('SIGTERM');
      await a.process.exited;
      await delay(1500);
      const rolledAt = Date.now();
      const { onlineMs, unknownMs } = await uptimeOf(b, user, sinceAt, rolledAt);
      expect(unknownMs).toBeLessThanOrEqual(await stalledMsOf(b));
      expect(onlineMs).toBe(rolledAt - sinceAt - unknownMs);
      b.process.child.kill('SIGTERM');
      await b.process.exited;
      const downAt = Date.now();
      await delay(1000);
      const upAt = Date.now();
      const c = await stage.hub();
      await until(async () => (await uptimeOf(c, user, Date.now() - 100, Date.now())).unknownMs === 0);
      const down = await uptimeOf(c, user, downAt, upAt);
      expect(down.unknownMs).toBe(upAt - downAt);
    });

    it('a stall of one hub is unknown, and ends no session (C30, H33)', async () => {
      const { stage } = await stageOn();
      const [a, b] = (await stage.hubs(2)) as [ClusterHub, ClusterHub];
      const user = newUser();
      await ask(a, 'POST', '/v1/heartbeat', { user, ttlMs: 600_000 });
      await until(async () => (await uptimeOf(b, user, Date.now() - 100, Date.now())).unknownMs === 0);
      a.process.child.kill('SIGSTOP');
      await delay(100);
      const from = Date.now();
      await delay(2500);
      const to = Date.now();
      a.process.child.kill('SIGCONT');
      await until(async () => (await uptimeOf(b, user, from, to)).unknownMs === to - from);
      expect(await stepsOf(b, user)).toEqual(['offline online began']);
    });

    it('the time without Redis is unknown, and so is the time of a change that died with its hub (C30, H33)', async () => {
      const { stage } = await stageOn();
      const [a, b] = (await stage.hubs(2)) as [ClusterHub, ClusterHub];
      const user = newUser();
      await ask(a, 'POST', '/v1/heartbeat', { user, ttlMs: 600_000 });
      const from = Date.now();
      await until(async () => (await uptimeOf(b, user, from, Date.now())).onlineMs > 2000);
      await stage.redis.kill();
      const awayAt = Date.now();
      await delay(3000);
      await stage.redis.run();
      const backAt = Date.now();
      await until(async () => {
        const { status } = await ask(b, 'GET', `/v1/users/${user}/uptime?from=${from}&to=${Date.now()}`);
        return status === 200 && (await uptimeOf(b, user, Date.now() - 100, Date.now())).unknownMs === 0;
      });
      expect((await uptimeOf(b, user, awayAt, backAt)).unknownMs).toBe(backAt - awayAt);
      expect((await uptimeOf(a, user, awayAt, backAt)).unknownMs).toBe(backAt - awayAt);
    });

    it('changes made while PostgreSQL is away are stored afterwards, by both hubs (C30)', async () => {
      const { stage, database } = await stageOn();
      const [a, b] = (await stage.hubs(2)) as [ClusterHub, ClusterHub];
      const user = newUser();
      await ask(a, 'POST', '/v1/heartbeat', { user, ttlMs: 600_000 });
      await until(async () => (await countOf(database, user)) === 1);
      await server.kill();
      await ask(b, 'POST', '/v1/heartbeat', { user, status: 'busy', ttlMs: 600_000 });
      await delay(100);
      await ask(a, 'POST', '/v1/heartbeat', { user, status: 'away', ttlMs: 600_000 });
      expect((await ask(a, 'GET', `/v1/users/${user}/history`)).status).toBe(503);
      await server.run();
      await until(async () => (await countOf(database, user)) === 3);
      expect(await stepsOf(b, user)).toEqual(['offline online began', 'online busy set', 'busy away set']);
    });
  });
});

/**
 * A node, and Redis, that are stopped (SIGSTOP) and continue: nobody of another node is falsely offline, views are right
 * again within 5 s, and watchers know when they may be behind (PROTOCOL.md section 8). `NODE_STOP_MS` and
 * `REDIS_STOP_MS` say for how long.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../../client/cli/demo/random.ts';
import { ClusterCrowd } from '../../support/cluster-crowd.ts';
import { ClusterStage, Observer, type ClusterHub } from '../../support/cluster-stage.ts';
import { endHubProcesses, freePort } from '../../support/hub-process.ts';
import { needing } from '../../support/needs.ts';
import { transports } from '../../support/transports.ts';

const NODE_STOP_MS = Number(process.env['NODE_STOP_MS'] ?? 15_000);
const REDIS_STOP_MS = Number(process.env['REDIS_STOP_MS'] ?? 5000);
const USERS = 30;
const HEARTBEAT_MS = 1000;
/** For a busy machine, 1 s more than the protocol allows. */
const RIGHT_WITHIN_MS = 6000;
const GONE_WITHIN_MS = 11_000;
const SHOWN_WITHIN_MS = 20_000;

let stage: ClusterStage | undefined;
let crowd: ClusterCrowd | undefined;
afterEach(async () => {
  stage?.redis.signal('SIGCONT');
  crowd?.end();
  await endHubProcesses();
  await stage?.stop();
});

/** Users on two nodes, half over WebSocket and half over TCP, and an observer on each node. */
async function begin(engine: string): Promise<{ hubs: ClusterHub[]; crowd: ClusterCrowd; observers: Observer[] }> {
  stage = await ClusterStage.start({ HUB_TRANSPORT: engine, HUB_HEARTBEAT_MS: '2000' });
  const ports = await Promise.all([freePort(), freePort()]);
  const hubs = await Promise.all(ports.map((port) => stage!.hub({ HUB_TCP_PORT: String(port) })));
  crowd = new ClusterCrowd({ users: USERS, random: seededRandom(1), hubs, heartbeatMs: HEARTBEAT_MS });
  await crowd.come();
  const seen = new Map<string, string>();
  const observers = await Promise.all(hubs.map((hub) => Observer.open(hub.ws, crowd!.ids, seen)));
  await crowd.untilShown(observers, SHOWN_WITHIN_MS);
  return { hubs, crowd, observers };
}

describe.each(transports)('on %s', needing('redis-server'), (engine) => {
  it(
    `a node that is stopped for ${NODE_STOP_MS} ms joins again, and never contradicts what others reported (C10, C12)`,
    { timeout: 90_000 + NODE_STOP_MS },
    async ({ annotate }) => {
      const { hubs, crowd, observers } = await begin(engine);
      const [first, second] = observers as [Observer, Observer];
      const [a, b] = hubs as [ClusterHub, ClusterHub];
      const onB = crowd.users.filter(({ hub }) => hub === b);
      const moving = onB.slice(0, 5);
      b.process.child.kill('SIGSTOP');
      const stoppedAt = performance.now();
      crowd.hubs = [a];
      await delay(500);
      await Promise.all(moving.map((user) => user.reload(0)));
      const isAbsent = ({ user }: { readonly user: string }): boolean => first.statusOf(user) === 'offline';
      const left = onB.filter((user) => !moving.includes(user));
      await first.until(() => left.every(isAbsent) && !first.isStale);
      const goneMs = performance.now() - stoppedAt;
      expect(goneMs).toBeLessThan(GONE_WITHIN_MS);
      await delay(Math.max(0, NODE_STOP_MS - goneMs));
      expect(first.doubts).toEqual(['stale', 'fresh']);
      for (const user of crowd.users)
        expect([user.user, first.leavesOf(user.user)]).toEqual([user.user, left.includes(user) ? 1 : 0]);

      // Clients of the stopped node have not noticed anything: their connections are still there.
      b.process.child.kill('SIGCONT');
      crowd.hubs = hubs;
      const rightMs = await crowd.untilShown(observers, RIGHT_WITHIN_MS);
      for (const observer of observers) {
        expect(observer.faults).toEqual([]);
        for (const user of crowd.users.filter((one) => !left.includes(one)))
          expect([user.user, observer.leavesOf(user.user)]).toEqual([user.user, 0]);
      }
      expect(second.doubts.at(0)).toBe('stale');
      await annotate(
        `gone after ${Math.round(goneMs)} ms, right after ${Math.round(rightMs)} ms, ${second.doubts.join()}`,
      );
    },
  );

  it(
    `a Redis that is stopped for ${REDIS_STOP_MS} ms: all views are right 5 s after it, and nobody was falsely offline (C13, C14)`,
    { timeout: 90_000 + REDIS_STOP_MS },
    async ({ annotate }) => {
      const { crowd, observers } = await begin(engine);
      stage!.redis.signal('SIGSTOP');
      const stoppedAt = performance.now();
      await delay(700);
      const [leaving, changing] = crowd.users as [ClusterCrowd['users'][0], ClusterCrowd['users'][0]];
      leaving.leave();
      changing.set('busy', '');
      await Promise.all(observers.map((one) => one.until(() => one.isStale)));
      const staleMs = performance.now() - stoppedAt;
      await delay(REDIS_STOP_MS - staleMs);
      // Nothing is reported meanwhile.
      for (const one of observers)
        expect([...one.view.values()].map(({ status }) => status)).toEqual(crowd.users.map(() => 'online'));
      stage!.redis.signal('SIGCONT');
      const rightMs = await crowd.untilShown(observers, RIGHT_WITHIN_MS);
      for (const one of observers) {
        expect(one.faults).toEqual([]);
        expect(one.doubts).toEqual(['stale', 'fresh']);
        for (const user of crowd.users)
          expect([user.user, one.leavesOf(user.user)]).toEqual([user.user, user === leaving ? 1 : 0]);
      }
      await annotate(`stale after ${Math.round(staleMs)} ms, right after ${Math.round(rightMs)} ms`);
    },
  );
});

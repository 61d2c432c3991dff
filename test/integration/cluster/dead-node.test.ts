/**
 * A node dies with its clients: those who come back elsewhere in time are never shown offline, the others leave once
 * (PROTOCOL.md section 8). Default settings. `DEAD_NODE_USERS` is the number of users on three nodes.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../../client/cli/demo/random.ts';
import { ClusterCrowd } from '../../support/cluster-crowd.ts';
import { ClusterStage, Observer, type ClusterHub } from '../../support/cluster-stage.ts';
import { endHubProcesses, freePort } from '../../support/hub-process.ts';
import { starvedMs } from '../../bench/lib/proc.ts';
import { needing } from '../../support/needs.ts';
import { WsClient } from '../../support/ws-client.ts';
import { transports } from '../../support/transports.ts';

const USERS = Number(process.env['DEAD_NODE_USERS'] ?? 30);
const HEARTBEAT_MS = 1500;
/** How long clients take at most to come back. */
const BACK_WITHIN_MS = 2000;
/** And the time in which a hub was ready to run and had no core. */
const GONE_WITHIN_MS = 10_000;
const SHOWN_WITHIN_MS = 30_000;
const WATCHERS_A_NODE = 2;

let stage: ClusterStage | undefined;
let crowd: ClusterCrowd | undefined;
afterEach(async () => {
  crowd?.end();
  await endHubProcesses();
  await stage?.stop();
});

/** @returns how long the most starved of these hubs had no core since this call, in milliseconds. */
function starvationOf(hubs: readonly ClusterHub[]): () => number {
  const now = (): number[] => hubs.map(({ process }) => starvedMs(process.child.pid ?? 0));
  const before = now();
  return () => Math.max(...now().map((ms, i) => ms - before[i]!));
}

describe.each(transports)('on %s', needing('redis-server'), (engine) => {
  it(
    `a node with a third of ${USERS} users is killed: those who move are never offline, the others go offline once within 10 s (C10)`,
    { timeout: 120_000 },
    async ({ annotate }) => {
      stage = await ClusterStage.start({ HUB_TRANSPORT: engine });
      const ports = await Promise.all([freePort(), freePort(), freePort()]);
      const hubs = await Promise.all(ports.map((port) => stage!.hub({ HUB_TCP_PORT: String(port) })));
      const random = seededRandom(1);
      crowd = new ClusterCrowd({ users: USERS, random, hubs, heartbeatMs: HEARTBEAT_MS });
      await crowd.come();
      const seen = new Map<string, string>();
      const survivors = hubs.slice(0, 2);
      const homes = survivors.flatMap((hub) => Array.from({ length: WATCHERS_A_NODE }, () => hub));
      const observers = await Promise.all(homes.map((hub) => Observer.open(hub.ws, crowd!.ids, seen)));
      await crowd.untilShown(observers, SHOWN_WITHIN_MS);

      const victims = crowd.users.filter(({ hub }) => hub === hubs[2]);
      crowd.hubs = survivors;
      hubs[2]!.process.child.kill('SIGKILL');
      const killedAt = performance.now();
      const starvation = starvationOf(survivors);
      // Does not count doubts from the start, when thousands of users connect at once.
      const toldBefore = observers.map(({ doubts }) => doubts.length);
      // Half of each kind.
      const moving = victims.filter((_, i) => i % 4 < 2);
      for (const user of victims) if (!moving.includes(user)) user.vanish();
      await Promise.all(moving.map((user) => user.reload(random() * BACK_WITHIN_MS)));
      const movedAt = performance.now();
      const left = victims.length - moving.length;
      await Promise.all(observers.map((one) => one.until(() => one.offlineAtMs.size >= left && !one.isStale)));
      const hadNoCoreMs = Math.round(starvation());
      await crowd.untilShown(observers, SHOWN_WITHIN_MS);
      await delay(1000); // for what is reported twice

      const goneMs = observers.flatMap(({ offlineAtMs }) => [...offlineAtMs.values()].map((at) => at - killedAt));
      for (const [i, one] of observers.entries()) {
        expect(one.faults).toEqual([]);
        expect(one.doubts.slice(toldBefore[i])).toEqual(['stale', 'fresh']);
        const leaves = crowd.users.map(({ user }) => [user, one.leavesOf(user)]);
        expect(leaves).toEqual(crowd.users.map(({ user, isHere }) => [user, isHere ? 0 : 1]));
      }
      const [first, last] = [Math.min(...goneMs), Math.max(...goneMs)].map(Math.round);
      const figures = `${moving.length} moved within ${Math.round(movedAt - killedAt)} ms, ${left} left`;
      await annotate(
        `${figures} after ${first} to ${last} ms, as ${observers.length} watchers were told once each; ${hadNoCoreMs} ms without a core`,
      );
      expect(last).toBeLessThan(GONE_WITHIN_MS + hadNoCoreMs);
    },
  );

  it('watchers are told that views may be behind since before the death, not since it was noticed (W34, C10)', async () => {
    stage = await ClusterStage.start({ HUB_TRANSPORT: engine });
    const [a, b] = (await stage.hubs(2)) as [ClusterHub, ClusterHub];
    const watching = await WsClient.hello(a.ws, { observe: true });
    watching.send({ type: 'watch', users: ['42'] });
    await watching.next('snapshot');
    b.process.child.kill('SIGKILL');
    await b.process.exited;
    const diedBefore = Date.now();
    const { since } = await watching.next('stale', ({ since: at }) => at > diedBefore - 60_000);
    expect(since).toBeLessThanOrEqual(diedBefore);
    watching.close();
  });
});

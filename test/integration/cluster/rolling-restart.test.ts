/**
 * All nodes of a cluster are restarted one after the other, as for an upgrade, while users change, move and reload
 * (PROTOCOL.md section 8). `ROLLING_SEED` repeats who does what.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../../client/cli/demo/random.ts';
import { ClusterCrowd } from '../../support/cluster-crowd.ts';
import { ClusterStage, type ClusterHub } from '../../support/cluster-stage.ts';
import { endHubProcesses, freePort } from '../../support/hub-process.ts';
import { needing } from '../../support/needs.ts';
import { ResumingObserver } from '../../support/resuming-observer.ts';
import { transports } from '../../support/transports.ts';

const SEED = Number(process.env['ROLLING_SEED'] ?? Date.now() % 2 ** 31);
const USERS = 60;
const DEEDS_PER_S = 60;
const DRAIN_MS = 2000;
const BETWEEN_MS = 500;
/** A client on a busy machine may need longer than the default grace to come back. */
const GRACE_MS = 5000;
/** Of a session too that broke within a second after a stall of its hub (L10). */
const TIMEOUT_MS = 10_000;
const RIGHT_WITHIN_MS = TIMEOUT_MS + 5000;

let stage: ClusterStage | undefined;
let crowd: ClusterCrowd | undefined;
afterEach(async () => {
  crowd?.end();
  await endHubProcesses();
  await stage?.stop();
});

/** Keeps an observer connected: when its hub sends it away, it resumes on another one. */
async function keepWatching(observer: ResumingObserver, open: () => readonly ClusterHub[]): Promise<void> {
  while (open().length > 0) {
    await observer.sentAway;
    const others = open().filter((hub) => hub !== observer.hub);
    const [hub] = others;
    if (hub !== undefined) await observer.resume(hub).catch(() => delay(50));
  }
}

describe.each(transports)('on %s', needing('redis-server'), (engine) => {
  it(
    `a rolling restart of all nodes shows nobody offline, loses no change and sends no \`stale\` (ROLLING_SEED=${SEED}) (C1, C3, C11)`,
    { timeout: 180_000 },
    async ({ annotate }) => {
      stage = await ClusterStage.start({
        HUB_TRANSPORT: engine,
        HUB_HEARTBEAT_MS: '3000',
        HUB_TIMEOUT_MS: String(TIMEOUT_MS),
        HUB_GRACE_MS: String(GRACE_MS),
        HUB_DRAIN_MS: String(DRAIN_MS),
      });
      const ports = await Promise.all(
        Array.from({ length: 3 }, async () => ({
          HUB_PORT: String(await freePort()),
          HUB_TCP_PORT: String(await freePort()),
        })),
      );
      const hubs = await Promise.all(ports.map((settings) => stage!.hub(settings)));
      crowd = new ClusterCrowd({ users: USERS, random: seededRandom(SEED), hubs, heartbeatMs: 1000 });
      await crowd.come();
      const seen = new Map<string, string>();
      const observers = hubs.map(() => new ResumingObserver(crowd!.ids, seen));
      await Promise.all(observers.map((observer, i) => observer.resume(hubs[i]!)));
      await crowd.untilShown(observers, RIGHT_WITHIN_MS);
      let isOver = false;
      const watching = observers.map((observer) => keepWatching(observer, () => (isOver ? [] : crowd!.hubs)));

      crowd.act(DEEDS_PER_S);
      for (const [i, hub] of hubs.entries()) {
        crowd.hubs = crowd.hubs.filter((one) => one !== hub);
        hub.process.child.kill('SIGTERM');
        expect((await hub.process.exited).code).toBe(0);
        crowd.hubs = [...crowd.hubs, await stage.hub(ports[i])];
        await delay(BETWEEN_MS);
      }
      await crowd.settle();
      const rightMs = await crowd.untilShown(observers, RIGHT_WITHIN_MS);

      for (const observer of observers) {
        expect(observer.faults).toEqual([]);
        expect(observer.leaves).toEqual([]);
        expect(observer.counts).toMatchObject({ stale: 0 });
        expect(observer.counts.changed).toBeGreaterThan(USERS);
      }
      await annotate(`${JSON.stringify(crowd.counts)}, right after ${Math.round(rightMs)} ms`);
      isOver = true;
      for (const observer of observers) observer.cut();
      await Promise.all(watching);
    },
  );
});

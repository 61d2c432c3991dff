/**
 * Observers that are cut at random moments and resume on another node with their last `at`, while users come, change,
 * move and go: the result always equals a fresh snapshot (PROTOCOL.md section 8). `RESUMES` is their number on each
 * engine, `RESUME_SEED` repeats the moments.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { seededRandom, type Random } from '../../../client/cli/demo/random.ts';
import { ClusterCrowd } from '../../support/cluster-crowd.ts';
import { ClusterStage, type ClusterHub } from '../../support/cluster-stage.ts';
import { endHubProcesses, freePort } from '../../support/hub-process.ts';
import { needing } from '../../support/needs.ts';
import { ResumingObserver } from '../../support/resuming-observer.ts';
import { transports } from '../../support/transports.ts';

const RESUMES = Number(process.env['RESUMES'] ?? 150);
const SEED = Number(process.env['RESUME_SEED'] ?? Date.now() % 2 ** 31);
const USERS = 60;
const DEEDS_PER_S = 100;
const OBSERVERS = 4;
/** The longest time on one connection. */
const STAY_MS = 150;
/** Of the resumes, how many are preceded by one that is cut before its answer has arrived, or right after it. */
const INTERRUPTED = 0.25;
const INTERRUPTED_MS = 15;
const GRACE_MS = 5000;
/** Also of a session that broke within a second after a stall of its hub. */
const TIMEOUT_MS = 10_000;
const RIGHT_WITHIN_MS = TIMEOUT_MS + 5000;

let stage: ClusterStage | undefined;
let crowd: ClusterCrowd | undefined;
afterEach(async () => {
  crowd?.end();
  await endHubProcesses();
  await stage?.stop();
});

async function roam(observer: ResumingObserver, hubs: readonly ClusterHub[], random: Random): Promise<void> {
  let last = Math.floor(random() * hubs.length);
  const other = (): ClusterHub => hubs[(last = (last + 1 + Math.floor(random() * (hubs.length - 1))) % hubs.length)]!;
  for (let i = 0; i < RESUMES / OBSERVERS; i++) {
    await delay(random() * STAY_MS);
    if (random() < INTERRUPTED) await observer.interrupted(other(), random() * INTERRUPTED_MS);
    await observer.resume(other());
  }
}

describe.each(transports)('on %s', needing('redis-server'), (engine) => {
  it(
    `${RESUMES} resumes at random moments, each on another node, equal a fresh snapshot (RESUME_SEED=${SEED}) (C2)`,
    { timeout: 60_000 + RESUMES * 1000 },
    async ({ annotate }) => {
      stage = await ClusterStage.start({
        HUB_TRANSPORT: engine,
        HUB_HEARTBEAT_MS: '3000',
        HUB_TIMEOUT_MS: String(TIMEOUT_MS),
        HUB_GRACE_MS: String(GRACE_MS),
      });
      const ports = await Promise.all([freePort(), freePort(), freePort()]);
      const hubs = await Promise.all(ports.map((port) => stage!.hub({ HUB_TCP_PORT: String(port) })));
      crowd = new ClusterCrowd({ users: USERS, random: seededRandom(SEED), hubs, heartbeatMs: 1000, mayLeave: true });
      await crowd.come();
      const seen = new Map<string, string>();
      const observers = Array.from({ length: OBSERVERS }, () => new ResumingObserver(crowd!.ids, seen));
      crowd.act(DEEDS_PER_S);
      await Promise.all(observers.map((observer, i) => roam(observer, hubs, seededRandom(SEED + 1 + i))));
      await crowd.settle();
      await crowd.untilShown(observers, RIGHT_WITHIN_MS);

      const sum = { resumes: 0, partial: 0, changed: 0, later: 0, stale: 0 };
      for (const { faults, counts } of observers) {
        expect(faults).toEqual([]);
        for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += counts[name];
      }
      await annotate(`${JSON.stringify(sum)} with ${JSON.stringify(crowd.counts)}`);
      // A full snapshot would be right by itself.
      expect(sum.partial).toBeGreaterThan(0.9 * RESUMES);
      expect(sum.changed).toBeGreaterThan(RESUMES);
      expect(sum.later).toBeLessThan(Math.max(5, 0.02 * RESUMES));
    },
  );
});

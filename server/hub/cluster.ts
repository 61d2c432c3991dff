/**
 * Joins the hub to a cluster if HUB_REDIS_URL is set: opens Redis, builds the cluster's part of the hub, and tells
 * watchers when views may be behind.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Explanation } from '../../shared/messages/explain.ts';
import { ClusterBlocks } from '../cluster/bridge/cluster-blocks.ts';
import { ClusterSessions } from '../cluster/bridge/cluster-sessions.ts';
import { ClusterTails } from '../cluster/bridge/cluster-tails.ts';
import { HubCluster, type HubParts } from '../cluster/bridge/hub-cluster.ts';
import { BUCKETS } from '../cluster/bucket.ts';
import { Calls } from '../cluster/calls.ts';
import { openRedisEngine } from '../cluster/redis/supervisor.ts';
import type { Outbox } from '../fanout/delivery/outbox.ts';
import type { Tails } from '../fanout/tails.ts';
import { stampsOf } from '../presence/explain/merge-explanations.ts';
import type { Shown } from '../presence/fold.ts';
import type { Users } from '../presence/users.ts';
import type { Reason, Staleness } from '../staleness.ts';
import type { HubContext } from './context.ts';

const TICK_MS = 100;
/** How long a start waits until the hub knows what the others know. It serves after that in any case. */
const JOINED_WITHIN_MS = 5000;
const LOOK_EVERY_MS = 20;

/** How this hub explains and ends its own sessions. */
interface SessionsHere {
  readonly users: Users;
  readonly explain: (user: string) => Promise<Explanation>;
  readonly kick: (user: string, session: string) => boolean;
}

/** The cluster's part of the hub, and what of it must wait until other parts are built. */
export class ClusterParts {
  readonly cluster: HubCluster;
  readonly calls: Calls;
  readonly #context: HubContext;
  #tails: ClusterTails | undefined;
  #checkStaleness: () => void = () => undefined;

  private constructor(context: HubContext, offline: Shown, redis: Awaited<ReturnType<typeof openRedisEngine>>) {
    const { config, clock, sessionIds, node, log } = context;
    this.#context = context;
    this.calls = new Calls({
      send: (to, text) => redis.engine.send(to, text),
      inc: () => this.cluster.node.inc,
      after: (ms, run) => {
        const timer = setTimeout(run, ms);
        return () => clearTimeout(timer);
      },
      warn: (text) => log.warn(text),
    });
    let isFirst = true;
    this.cluster = new HubCluster({
      clock,
      nowMs: () => performance.now(),
      offline,
      sessionIdOf: (no) => sessionIds.of(no),
      buckets: BUCKETS,
      leaseMs: config.nodeLeaseMs,
      graceMs: config.graceMs,
      newInc: () => {
        const inc = isFirst ? node : `hub-${randomBytes(4).toString('hex')}`;
        isFirst = false;
        return inc;
      },
      connection: redis,
      onMail: (text) => this.calls.hear(text),
      onLate: () => this.#checkStaleness(),
    });
  }

  /** @throws {StartError} if Redis can't be used, or if the other nodes have other settings. */
  static async open(context: HubContext, offline: Shown): Promise<ClusterParts | null> {
    const { config, log, onStop } = context;
    if (config.redisUrl === null) return null;
    const redis = await openRedisEngine(config.redisUrl, {
      prefix: config.redisPrefix,
      agreement: { HUB_CODES: config.codes ?? '', HUB_LAST_SEEN: config.lastSeen },
      warn: (text) => log.warn(text),
    });
    onStop(() => redis.stop());
    return new ClusterParts(context, offline, redis);
  }

  tails(tails: Tails): ClusterTails {
    const { node } = this.cluster;
    return (this.#tails = new ClusterTails({ node, calls: this.calls, tails, nowMs: () => performance.now() }));
  }

  blocks(maxBlocks: number): ClusterBlocks {
    return new ClusterBlocks({ cluster: this.cluster, calls: this.calls, nowMs: () => performance.now(), maxBlocks });
  }

  sessions({ users, explain, kick }: SessionsHere): ClusterSessions {
    const { node, peers } = this.cluster;
    return new ClusterSessions({
      node,
      calls: this.calls,
      refresh: (user) => peers.refresh([user]),
      explain: async (user) => {
        const stamps = stampsOf(users.peek(user));
        return { explanation: await explain(user), stamps };
      },
      kick,
    });
  }

  /** Joins the cluster. Resolves when this hub knows what the others know, or after some seconds. */
  async join(parts: HubParts, staleness: Staleness, outboxes: () => Iterable<Outbox>): Promise<void> {
    const { cluster } = this;
    cluster.start(parts);
    const endsAt = performance.now() + JOINED_WITHIN_MS;
    const timer = setInterval(() => {
      cluster.tick();
      this.#tails?.tick();
      this.#checkStaleness();
    }, TICK_MS);
    this.#context.onStop(async () => {
      clearInterval(timer);
      await cluster.stop();
    });
    while (cluster.node.isStale && performance.now() < endsAt) await delay(LOOK_EVERY_MS);
    this.#watchStaleness(staleness, outboxes);
  }

  #watchStaleness(staleness: Staleness, outboxes: () => Iterable<Outbox>): void {
    const { node } = this.cluster;
    const { clock } = this.#context;
    let reason: Reason | undefined;
    let sureAt = clock.now().wallMs;
    this.#checkStaleness = () => {
      if (!node.isStale) {
        sureAt = clock.now().wallMs;
        reason = undefined;
      } else if (reason === undefined) {
        reason = { since: sureAt, isAbout: null, isOver: () => !node.isStale };
        staleness.begin(reason, outboxes());
      }
    };
    this.#checkStaleness();
  }
}

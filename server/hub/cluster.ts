/**
 * Joins the hub to a cluster: opens Redis, builds the cluster's part of the hub, and tells
 * watchers when views may be behind.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Explanation } from '../../shared/messages/explain.ts';
import { ClusterBlocks } from '../cluster/bridge/cluster-blocks.ts';
import { ClusterList } from '../cluster/bridge/cluster-list.ts';
import { ClusterSessions } from '../cluster/bridge/cluster-sessions.ts';
import { ClusterTails } from '../cluster/bridge/cluster-tails.ts';
import { HubCluster, type HubParts } from '../cluster/bridge/hub-cluster.ts';
import { BUCKETS } from '../cluster/bucket.ts';
import { Calls } from '../cluster/calls.ts';
import { Keeper } from '../cluster/durable/keeper.ts';
import { RestoringEngine, withEngine } from '../cluster/durable/restoring-engine.ts';
import type { UserRecord } from '../cluster/record/record.ts';
import { Shares } from '../cluster/shares/shares.ts';
import { LateEvents } from '../cluster/node-events.ts';
import { RedisEvents } from '../cluster/redis/redis-events.ts';
import type { EventStore } from '../cluster/webhooks/event-store.ts';
import { openRedisEngine } from '../cluster/redis/supervisor.ts';
import { Histogram } from '../lib/histogram.ts';
import type { ClusterSource } from '../metrics/cluster-metrics.ts';
import type { TargetShares } from '../adapters/poll/poller.ts';
import { targetKey } from '../adapters/poll/targets.ts';
import type { WsJson } from '../adapters/ws-json/ws-json.ts';
import { presentStatuses } from '../../shared/status.ts';
import type { PresentUsers } from '../actions/present-users.ts';
import type { ApiOptions } from '../adapters/http/api.ts';
import { adapters } from '../presence/sessions/session.ts';
import type { Viewer } from '../presence/viewer.ts';
import type { Outbox } from '../fanout/delivery/outbox.ts';
import type { Tails } from '../fanout/tails.ts';
import { stampsOf } from '../presence/explain/merge-explanations.ts';
import type { Shown } from '../presence/fold.ts';
import type { Users } from '../presence/users.ts';
import type { Reason, Staleness } from '../staleness.ts';
import { Alone } from '../cluster/bridge/alone.ts';
import type { HubContext } from './context.ts';
import type { Storage } from './storage/open-storage.ts';

const TICK_MS = 100;
/** How long a start waits until the hub knows what the others know. It serves after that in any case. */
const JOINED_WITHIN_MS = 5000;
const LOOK_EVERY_MS = 20;
/** Over how long the clients of a node that is alone are spread. */
const SENT_AWAY_WITHIN_MS = 2000;
const BUS_BOUNDS_MS = [0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500];

type Redis = Awaited<ReturnType<typeof openRedisEngine>>;

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
  /** Which node does what each of them could do. */
  readonly shares: Shares;
  readonly metrics: ClusterSource;
  /** What webhooks learn of this node, and where their events are. */
  readonly events = new LateEvents();
  readonly eventStore: EventStore;
  /** Called about ten times a second. */
  readonly onTick: (() => void)[] = [];
  readonly #context: HubContext;
  readonly #storage: Storage;
  /** Null if no database is set that outlives Redis. */
  readonly keeper: Keeper | null;
  #tails: ClusterTails | undefined;
  #alone: Alone | undefined;
  #checkStaleness: () => void = () => undefined;

  private constructor(context: HubContext, offline: Shown, redis: Redis, storage: Storage) {
    const { config, clock, sessionIds, node, log } = context;
    this.#context = context;
    this.#storage = storage;
    this.keeper = this.#buildKeeper();
    this.eventStore = new RedisEvents(redis.engine, BUCKETS, () => clock.now().wallMs);
    this.calls = new Calls({
      send: (to, text) => redis.engine.send(to, text),
      inc: () => this.cluster.node.inc,
      after: (ms, run) => {
        const timer = setTimeout(run, ms);
        return () => clearTimeout(timer);
      },
      warn: (text) => log.warn(text),
    });
    const bus = new Histogram(BUS_BOUNDS_MS);
    let isFirst = true;
    this.cluster = new HubCluster({
      clock,
      nowMs: () => performance.now(),
      offline,
      sessionIdOf: (no) => sessionIds.of(no),
      buckets: BUCKETS,
      url: config.nodeUrl ?? '',
      leaseMs: config.nodeLeaseMs,
      graceMs: config.graceMs,
      warmMs: config.warmMs,
      newInc: () => {
        const inc = isFirst ? node : `hub-${randomBytes(4).toString('hex')}`;
        isFirst = false;
        return inc;
      },
      connection: this.#connection(redis, offline),
      calls: this.calls,
      isPolled: (user, device) => this.shares.owner('poll', targetKey({ user, device })) !== undefined,
      events: this.events,
      onDirectMessage: (text) => this.calls.receive(text),
      onOperation: (op, t) => {
        if (!this.cluster.isOwn(op)) bus.observe(Math.max(0, clock.now().wallMs - t));
      },
      onLate: () => this.#checkStaleness(),
    });
    const { node: self } = this.cluster;
    this.shares = new Shares({
      calls: this.calls,
      members: self.members,
      inc: () => self.inc,
      isUp: () => self.state === 'up',
      nowMs: () => performance.now(),
    });
    this.metrics = { bus, isUp: () => self.state === 'up', nodes: () => self.members.counts() };
  }

  /** @throws {StartError} if Redis can't be used, or if the other nodes have other settings. */
  static async open(context: HubContext, url: string, offline: Shown, storage: Storage): Promise<ClusterParts> {
    const { config, log, onStop } = context;
    const redis = await openRedisEngine(url, {
      prefix: config.redisPrefix,
      agreement: { HUB_CODES: config.codes ?? '', HUB_LAST_SEEN: config.lastSeen },
      warn: (text) => log.warn(text),
    });
    onStop(() => redis.stop());
    return new ClusterParts(context, offline, redis, storage);
  }

  /** This hub has written the record of a user, or found it as it should be. */
  readonly onWritten: HubParts['onWritten'] = (...written) => this.keeper?.written(...written);

  #buildKeeper(): Keeper | null {
    const { shared, health } = this.#storage;
    if (shared === null) return null;
    const keeper = new Keeper({
      users: shared.users,
      onHealth: (error) => health.report('last seen and blocks', error),
    });
    this.#context.onStop(() => keeper.stop());
    return keeper;
  }

  /** Asks the database about users whom Redis does not know. */
  #connection(redis: Redis, offline: Shown) {
    const { shared } = this.#storage;
    if (shared === null) return redis;
    const knows = (user: string): boolean => this.cluster.node.replicas.get(user)?.isKnown === true;
    const inc = (): string => this.cluster.node.inc;
    return withEngine(redis, new RestoringEngine({ engine: redis.engine, users: shared.users, offline, inc, knows }));
  }

  get description(): string {
    // Without user and password. Several servers are no valid URL.
    const [, hosts = ''] = /^[^/]*\/\/(?:[^/]*@)?([^/]*)/.exec(this.#context.config.redisUrl ?? '') ?? [];
    const calls = `at most ${BUCKETS} calls a second by all nodes together, and 2 by each`;
    return `node ${this.cluster.node.inc} on Redis at ${hosts}; in the background ${calls}`;
  }

  get reachesRedis(): 'up' | 'away' {
    return this.cluster.node.state === 'up' ? 'up' : 'away';
  }

  /** Why clients should go to another hub. */
  get failures(): readonly string[] {
    return this.#alone?.isAlone === true ? ['redis: this hub cannot reach it, and others can'] : [];
  }

  /** Which targets this node polls. */
  get targetShares(): TargetShares {
    const { shares } = this;
    return {
      offer: (keys) => shares.offer('poll', keys),
      isMine: (key) => shares.isMine('poll', key),
      isOfferedElsewhere: (key) => shares.isOfferedElsewhere('poll', key),
      onChange: shares.onChange,
    };
  }

  tails(tails: Tails): ClusterTails {
    const { node } = this.cluster;
    return (this.#tails = new ClusterTails({ node, calls: this.calls, tails, nowMs: () => performance.now() }));
  }

  blocks(limits: { readonly maxFriends: number }): ClusterBlocks {
    const { cluster, calls, keeper } = this;
    const keep = keeper && ((user: string, record: UserRecord) => keeper.keep(user, record));
    return new ClusterBlocks({ cluster, calls, nowMs: () => performance.now(), keep, limits });
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

  /** Lists and counts the users of all nodes. */
  list(presentUsers: PresentUsers, isStale: () => boolean): Pick<ApiOptions, 'list' | 'counts'> {
    const viewerOf = (user: string | null, isAdmin: boolean): Viewer => {
      return { user, isAdmin, follower: null, mayObserve: true };
    };
    const lists = new ClusterList({
      node: this.cluster.node,
      calls: this.calls,
      page: ({ statuses, ...query }, { user, isAdmin }) => {
        const known = presentStatuses.filter((status) => statuses.includes(status));
        return presentUsers.page({ ...query, statuses: new Set(known) }, viewerOf(user, isAdmin));
      },
      count: async ({ user, isAdmin }) => {
        const { sessions, isStale: _, ...counts } = await presentUsers.counts(viewerOf(user, isAdmin), () => false);
        return { ...counts, ...sessions };
      },
    });
    return {
      list: ({ statuses, ...query }, viewer) => lists.page({ ...query, statuses: [...statuses] }, viewer),
      counts: async (viewer) => {
        const all = await lists.count(viewer);
        const named = <Name extends string>(names: readonly Name[]): Record<Name, number> =>
          Object.fromEntries(names.map((name) => [name, all[name] ?? 0])) as Record<Name, number>;
        return { ...named(presentStatuses), sessions: named(adapters), isStale: isStale() };
      },
    };
  }

  /** Joins the cluster. Resolves when this hub knows what the others know, or after some seconds. */
  async join(parts: HubParts, staleness: Staleness, wsJson: WsJson): Promise<void> {
    const { cluster } = this;
    const { node } = cluster;
    const { worker } = this.#context;
    worker?.onAsked('redis', () => node.state === 'up');
    cluster.start(parts);
    const alone = new Alone({
      members: node.members,
      inc: () => node.inc,
      siblingReaches: async () => (await worker?.ask('redis'))?.includes(true) === true,
      isUp: () => node.reachesStore,
      nowMs: () => performance.now(),
      log: this.#context.log,
      onAlone: (isAlone) => (isAlone ? wsJson.sendAway(SENT_AWAY_WITHIN_MS) : wsJson.takeAgain()),
    });
    this.#alone = alone;
    const endsAt = performance.now() + JOINED_WITHIN_MS;
    const timer = setInterval(() => {
      cluster.tick();
      this.shares.tick();
      this.#tails?.tick();
      for (const tick of this.onTick) tick();
      alone.tick();
      this.#checkStaleness();
    }, TICK_MS);
    this.#context.onStop(async () => {
      clearInterval(timer);
      await cluster.stop();
    });
    while (node.isStale && performance.now() < endsAt) await delay(LOOK_EVERY_MS);
    this.#watchStaleness(staleness, () => wsJson.welcomedOutboxes());
  }

  #watchStaleness(staleness: Staleness, outboxes: () => Iterable<Outbox>): void {
    const { node } = this.cluster;
    const { clock } = this.#context;
    let reason: Reason | undefined;
    let sureAt = clock.now().wallMs;
    this.#checkStaleness = () => {
      if (!node.isStale) {
        const silentMs = Math.ceil(performance.now() - node.members.allAliveAtMs);
        sureAt = Math.max(sureAt, clock.now().wallMs - silentMs); // a node that just appeared gives no time
        reason = undefined;
      } else if (reason === undefined) {
        reason = { since: sureAt, isAbout: null, isOver: () => !node.isStale };
        staleness.begin(reason, outboxes());
      }
    };
    this.#checkStaleness();
  }
}

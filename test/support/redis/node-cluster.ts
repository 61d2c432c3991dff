/**
 * Three nodes over one real Redis, each behind a faulty connection of its own, with clients that change their status
 * all the time. Checks at all times that versions grow, that one version is one entry, and that nobody who is here is
 * reported offline; and on demand that all nodes agree with the truth.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';
import { ClusterNode } from '../../../server/cluster/node.ts';
import type { OwnSession } from '../../../server/cluster/record/next-record.ts';
import type { PublicEntry } from '../../../server/cluster/record/record.ts';
import { RedisSupervisor } from '../../../server/cluster/redis/supervisor.ts';
import { offlineFold } from '../../../server/presence/fold.ts';
import { codeOf } from '../presence-stage.ts';
import { FaultProxy } from './fault-proxy.ts';
import type { RedisServer } from './redis-server.ts';

const BUCKETS = 16;
const USERS = 40;
const STATUSES = ['online', 'away', 'busy'] as const;
type Status = (typeof STATUSES)[number];

interface Held {
  readonly k: string;
  readonly startedAt: number;
  status: Status;
  setNo: number;
  setAt: number;
}

export class TestNode {
  readonly proxy: FaultProxy;
  readonly supervisor: RedisSupervisor;
  readonly node: ClusterNode;
  readonly held = new Map<string, Held>();
  readonly views = new Map<string, { readonly entry: PublicEntry; readonly v: number }>();
  readonly warnings: string[] = [];
  #sets = 0;

  constructor(proxy: FaultProxy, report: (node: TestNode, user: string, entry: PublicEntry, v: number) => void) {
    this.proxy = proxy;
    this.supervisor = new RedisSupervisor({
      url: proxy.url,
      prefix: 'ph:',
      buckets: BUCKETS,
      events: {
        message: (bucket, text) => this.node.message(bucket, text),
        away: () => this.node.away(),
        back: () => this.node.back(),
      },
      warn: (text) => void this.warnings.push(text),
    });
    this.node = new ClusterNode({
      engine: this.supervisor.engine,
      buckets: BUCKETS,
      offline: offlineFold(-1),
      now: () => performance.now(),
      random: Math.random,
      newInc: randomUUID,
      leaseMs: 6000,
      graceMs: 2000,
      host: {
        own: (user) => ({ sessions: this.#sessions(user), signAgeMs: 0, goodbyes: [] }),
        usersHere: () => this.held.keys(),
        report: (user, entry, v) => report(this, user, entry, v),
        onBegan: () => undefined,
        onOvertaken: () => undefined,
        onDeaf: () => void this.supervisor.replacePush(),
      },
    });
  }

  set(user: string, status: Status): void {
    const now = performance.now();
    const held = this.held.get(user) ?? { k: String(++this.#sets), startedAt: now, status, setNo: 0, setAt: now };
    Object.assign(held, { status, setNo: ++this.#sets, setAt: now });
    this.held.set(user, held);
    this.node.touch(user);
  }

  end(user: string): void {
    this.held.delete(user);
    this.node.touch(user);
  }

  #sessions(user: string): OwnSession[] {
    const held = this.held.get(user);
    if (held === undefined) return [];
    const { k, status: s, setNo: i, setAt, startedAt } = held;
    const now = performance.now();
    const ages = { statusAgeMs: now - setAt, textAgeMs: null, startAgeMs: now - startedAt };
    return [{ k, a: 'ws-json', d: 'web', s, c: codeOf[s], x: '', i, j: 0, l: 25_000, ...ages }];
  }
}

export class NodeCluster {
  readonly nodes: readonly TestNode[];
  /** What was wrong at any time. */
  readonly faults: string[] = [];
  /** Reports so far. */
  reports = 0;
  readonly #users = Array.from({ length: USERS }, (_, i) => `u${i}`);
  readonly #home = new Map<string, TestNode>();
  readonly #entryOf = new Map<string, string>();
  readonly #ticker: NodeJS.Timeout;

  private constructor(proxies: readonly FaultProxy[]) {
    this.nodes = proxies.map((proxy) => new TestNode(proxy, (...args) => this.#reported(...args)));
    this.#ticker = setInterval(() => this.nodes.forEach(({ node }) => node.tick()), 100);
  }

  static async start(server: RedisServer): Promise<NodeCluster> {
    const cluster = new NodeCluster(await Promise.all([0, 1, 2].map(() => FaultProxy.start(server.port))));
    for (const { supervisor } of cluster.nodes) await supervisor.start();
    for (const { node } of cluster.nodes) void node.load(cluster.#users)?.catch(() => undefined);
    for (const user of cluster.#users) cluster.#move(user);
    return cluster;
  }

  /** Lets clients change their status, and move, for that long. */
  async churn(ms: number): Promise<void> {
    for (const until = performance.now() + ms; performance.now() < until; await delay(20)) {
      const user = this.#any(this.#users);
      if (Math.random() < 0.3) this.#move(user);
      else this.#home.get(user)?.set(user, this.#any(STATUSES));
    }
  }

  /** What is not as it should be: views that differ from the truth or in `v`, and nodes that say that they are behind. */
  differences(): string[] {
    const found: string[] = [];
    for (const [i, { views, node }] of this.nodes.entries()) {
      if (node.isStale) found.push(`node ${i} is stale (${node.state})`);
      for (const user of this.#users) {
        const view = views.get(user);
        const status = this.#home.get(user)?.held.get(user)?.status;
        const v = this.nodes[0]?.views.get(user)?.v;
        if (view?.entry.status !== status || view?.v !== v) {
          found.push(`node ${i} shows ${user} ${view?.entry.status} ${view?.v}, not ${status} ${v}`);
        }
      }
    }
    return found;
  }

  async close(): Promise<void> {
    clearInterval(this.#ticker);
    for (const { supervisor, proxy } of this.nodes) {
      supervisor.stop();
      await proxy.close();
    }
  }

  /** As a client does that reconnects: it is on the new node before the old one notices. */
  #move(user: string): void {
    const from = this.#home.get(user);
    const to = this.#any(this.nodes);
    const status = from?.held.get(user)?.status ?? 'online';
    if (from === to) return;
    to.set(user, status);
    this.#home.set(user, to);
    if (from !== undefined) setTimeout(() => this.#home.get(user) !== from && from.end(user), 500);
  }

  #reported(node: TestNode, user: string, entry: PublicEntry, v: number): void {
    this.reports++;
    const before = node.views.get(user);
    if (before !== undefined && before.v >= v) this.faults.push(`${user}: version ${v} after ${before.v}`);
    if (before !== undefined && entry.status === 'offline') this.faults.push(`${user} falsely offline at ${v}`);
    const text = JSON.stringify(entry);
    const same = this.#entryOf.get(`${user} ${v}`) ?? text;
    if (same !== text) this.faults.push(`${user} ${v}: ${same} and ${text}`);
    this.#entryOf.set(`${user} ${v}`, text);
    node.views.set(user, { entry, v });
  }

  #any<T>(list: readonly T[]): T {
    return list[Math.floor(Math.random() * list.length)] as T;
  }
}

/**
 * Nodes of a cluster on a real engine, without a hub around them: each has sessions that a test begins and ends, and
 * notes what it reports. In real time.
 */
import { randomUUID } from 'node:crypto';
import { expect, vi } from 'vitest';
import { noEvents } from '../../server/cluster/node-events.ts';
import { ClusterNode } from '../../server/cluster/node.ts';
import type { OwnSession } from '../../server/cluster/record/next-record.ts';
import type { PublicEntry } from '../../server/cluster/record/record.ts';
import { openRedisEngine, type RedisSupervisor } from '../../server/cluster/redis/supervisor.ts';
import { offlineFold } from '../../server/presence/fold.ts';
import { codeOf } from './presence-stage.ts';

interface Here {
  readonly k: string;
  readonly device: string;
  readonly startedAtMs: number;
  status: keyof typeof codeOf;
  setAtMs: number;
  setNo: number;
}

export interface View {
  readonly entry: PublicEntry;
  readonly v: number;
}

const NO_BLOCKS = new Map<string, boolean>();
const EVERY_MS = 100;

export class StageNode {
  readonly node: ClusterNode;
  readonly views = new Map<string, View>();
  /** How often each user was reported offline. */
  readonly offline = new Map<string, number>();
  readonly states: ('away' | 'back')[] = [];
  /** How often its subscription was found dead. */
  deadSubscriptions = 0;
  readonly #supervisor: RedisSupervisor;
  readonly #here = new Map<string, Here[]>();
  readonly #timer: NodeJS.Timeout;
  #sessions = 0;

  private constructor(supervisor: RedisSupervisor, buckets: number) {
    this.#supervisor = supervisor;
    const now = (): number => performance.now();
    this.node = new ClusterNode({
      engine: supervisor.engine,
      buckets,
      offline: offlineFold(-1),
      now,
      random: Math.random,
      newInc: () => randomUUID().slice(0, 8),
      leaseMs: 6000,
      graceMs: 3000,
      warmMs: 3000,
      url: '',
      host: {
        own: (user) => ({
          sessions: (this.#here.get(user) ?? []).map(toOwn),
          signAgeMs: 0,
          goodbyes: [],
          origin: '',
          blocks: NO_BLOCKS,
        }),
        usersHere: () => this.#here.keys(),
        report: (user, { entry }, v, isShown) => {
          if (!isShown) return;
          expect(v).toBeGreaterThan(this.views.get(user)?.v ?? 0);
          this.views.set(user, { entry, v });
          if (entry.status === 'offline') this.offline.set(user, (this.offline.get(user) ?? 0) + 1);
        },
        onBegan: () => undefined,
        onErased: (user) => void this.#here.delete(user),
        onSuperseded: () => undefined,
        onRejoin: () => undefined,
        onOperation: () => undefined,
        onWritten: () => undefined,
        isPolled: () => false,
        load: () => undefined,
        onOrphan: () => undefined,
        events: noEvents,
        onDirectMessage: () => undefined,
        onDeadSubscription: () => {
          this.deadSubscriptions++;
          void supervisor.replacePush();
        },
      },
    });
    this.#timer = setInterval(() => this.node.tick(), EVERY_MS);
    supervisor.connect({
      message: (bucket, text) => this.node.message(bucket, text),
      directMessage: (text) => this.node.directMessage(text),
      away: () => {
        this.states.push('away');
        this.node.away();
      },
      back: () => {
        this.states.push('back');
        this.node.back();
      },
    });
  }

  static async start(url: string, buckets: number): Promise<StageNode> {
    const warn = (): void => undefined;
    const supervisor = await openRedisEngine(url, { prefix: 'ph:', buckets, agreement: {}, warn });
    const stage = new StageNode(supervisor, buckets);
    await expect.poll(() => stage.node.state, { timeout: 10_000 }).toBe('up');
    return stage;
  }

  begin(user: string, status: keyof typeof codeOf = 'online'): void {
    const nowMs = performance.now();
    const k = (++this.#sessions).toString(36);
    const session = { k, device: 'web', status, startedAtMs: nowMs, setAtMs: nowMs, setNo: this.#sessions };
    this.#here.set(user, [...(this.#here.get(user) ?? []), session]);
    this.node.scheduleWrite(user);
  }

  set(user: string, status: keyof typeof codeOf): void {
    for (const session of this.#here.get(user) ?? []) {
      Object.assign(session, { status, setAtMs: performance.now(), setNo: ++this.#sessions });
    }
    this.node.scheduleWrite(user);
  }

  end(user: string): void {
    this.#here.delete(user);
    this.node.scheduleWrite(user);
  }

  async watch(users: readonly string[]): Promise<void> {
    await this.node.load(users);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#supervisor.stop();
  }
}

function toOwn({ k, device, status, startedAtMs, setAtMs, setNo }: Here): OwnSession {
  const nowMs = performance.now();
  return {
    k,
    a: 'ws-json',
    d: device,
    s: status,
    c: codeOf[status],
    x: '',
    i: setNo,
    j: 0,
    l: 25_000,
    statusAgeMs: nowMs - setAtMs,
    textAgeMs: null,
    startAgeMs: nowMs - startedAtMs,
  };
}

/** Within 5 s all nodes show these statuses, each under one version, and none is stale. */
export async function agreed(nodes: readonly StageNode[], statuses: Readonly<Record<string, string>>): Promise<void> {
  const check = (): void => {
    for (const [user, status] of Object.entries(statuses)) {
      const views = nodes.map((node) => node.views.get(user));
      expect(views.map((view) => view?.entry.status ?? 'offline')).toEqual(nodes.map(() => status));
      expect(new Set(views.flatMap((view) => view?.v ?? [])).size).toBeLessThanOrEqual(1);
    }
    expect(nodes.map(({ node }) => node.isStale)).toEqual(nodes.map(() => false));
  };
  await vi.waitFor(check, { timeout: 5000, interval: 50 });
}

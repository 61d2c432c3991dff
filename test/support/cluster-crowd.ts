/** The users of a cluster, half over WebSocket and half over TCP: they send heartbeats, and act by a seed. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { pick, type Random } from '../../client/cli/demo/random.ts';
import type { Entry } from '../../shared/messages/entry.ts';
import { ask, type ClusterHub } from './cluster-stage.ts';
import { ClusterUser, type ShownStatus } from './cluster-user.ts';

const statuses = ['online', 'away', 'busy'] as const satisfies readonly ShownStatus[];
const MAX_RELOAD_MS = 500;
const SETTLED_WITHIN_MS = 10_000;
const USERS_A_REQUEST = 1000;

/** What somebody is shown. */
export interface View {
  readonly isStale: boolean;
  readonly view: ReadonlyMap<string, Entry>;
}

export interface CrowdOptions {
  readonly users: number;
  readonly random: Random;
  /** Hubs that clients find. May change. */
  readonly hubs: readonly ClusterHub[];
  readonly heartbeatMs: number;
  /** Whether users also say goodbye and come back. Otherwise nobody is ever absent. */
  readonly mayLeave?: boolean;
}

export class ClusterCrowd {
  readonly users: readonly ClusterUser[];
  hubs: readonly ClusterHub[];
  readonly counts = { changes: 0, moves: 0, reloads: 0, leaves: 0 };
  readonly #random: Random;
  readonly #mayLeave: boolean;
  readonly #timers: NodeJS.Timeout[] = [];
  #texts = 0;

  constructor({ users, random, hubs, heartbeatMs, mayLeave = false }: CrowdOptions) {
    this.#random = random;
    this.#mayLeave = mayLeave;
    this.hubs = hubs;
    const choose = (except?: ClusterHub): ClusterHub => {
      const others = this.hubs.filter((hub) => hub !== except);
      const open = others.length > 0 ? others : this.hubs;
      return open[Math.floor(random() * open.length)]!;
    };
    this.users = Array.from({ length: users }, (_, i) => new ClusterUser(`u${i}`, i % 2 === 0 ? 'ws' : 'tcp', choose));
    this.#timers.push(setInterval(() => this.users.forEach((user) => user.beat()), heartbeatMs));
  }

  get ids(): string[] {
    return this.users.map(({ user }) => user);
  }

  /** Everybody comes, in equal numbers to each hub. */
  async come(): Promise<void> {
    const pairs = this.users.map((user, i) => ({ user, hub: this.hubs[Math.floor(i / 2) % this.hubs.length] }));
    const atOnce = 50;
    for (let from = 0; from < pairs.length; from += atOnce)
      await Promise.all(pairs.slice(from, from + atOnce).map(({ user, hub }) => user.come(hub)));
  }

  /** From now on this many deeds a second: changes, moves, reloads, and goodbyes if they are allowed. */
  act(perS: number): void {
    this.#timers.push(setInterval(() => this.#deed(), 1000 / perS));
  }

  /** Resolves once nothing is under way and no more deeds follow. Heartbeats continue until `end`. */
  async settle(): Promise<void> {
    for (const timer of this.#timers.splice(1)) clearInterval(timer);
    const endsAt = performance.now() + SETTLED_WITHIN_MS;
    while (this.users.some(({ isBusy, isMoving }) => isBusy || isMoving)) {
      if (performance.now() > endsAt) throw new Error('clients do not settle');
      await delay(20);
    }
  }

  /**
   * Resolves once every view and every hub over HTTP shows the truth under equal versions, and none is stale. Rejects
   * after the time. @returns how long it took.
   */
  async untilShown(views: readonly View[], withinMs: number): Promise<number> {
    const startedAt = performance.now();
    let wrong = await this.#wrong(views);
    while (wrong.length > 0 && performance.now() < startedAt + withinMs) {
      await delay(20);
      wrong = await this.#wrong(views);
    }
    expect(wrong).toEqual([]);
    return performance.now() - startedAt;
  }

  end(): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const user of this.users) user.vanish();
  }

  async #wrong(views: readonly View[]): Promise<string[]> {
    const wrong: string[] = [];
    for (const [i, view] of [...views, ...(await Promise.all(this.hubs.map((hub) => this.#ask(hub))))].entries()) {
      const place = i < views.length ? `observer ${i}` : `HTTP of hub ${i - views.length}`;
      if (view.isStale) wrong.push(`${place} is stale`);
      for (const user of this.users) {
        const entry = view.view.get(user.user);
        const { status, code, devices, text } = entry ?? {};
        const actual = JSON.stringify({ status, code, devices, text });
        if (actual !== JSON.stringify(user.shown))
          wrong.push(`${place} shows ${user.user} as ${actual} instead of ${JSON.stringify(user.shown)}`);
        const first = views[0]?.view.get(user.user);
        if (JSON.stringify(entry) !== JSON.stringify(first))
          wrong.push(`${place} has ${JSON.stringify(entry)}, and observer 0 has ${JSON.stringify(first)}`);
      }
    }
    return wrong;
  }

  /** What a hub answers over HTTP. */
  async #ask(hub: ClusterHub): Promise<View> {
    const view = new Map<string, Entry>();
    let isStale = false;
    for (let from = 0; from < this.users.length; from += USERS_A_REQUEST) {
      const users = this.ids.slice(from, from + USERS_A_REQUEST);
      const { status, body } = await ask(hub, 'POST', '/v1/presence', { users });
      if (status !== 200) return { isStale: true, view };
      const { entries, stale } = body as { entries: readonly Entry[]; stale?: boolean };
      for (const entry of entries) view.set(entry.user, entry);
      isStale ||= stale === true;
    }
    return { isStale, view };
  }

  #deed(): void {
    const random = this.#random;
    const user = this.users[Math.floor(random() * this.users.length)]!;
    if (user.isBusy || user.isMoving) return;
    const chance = random();
    if (!user.isHere) void user.come();
    else if (chance < 0.6) {
      this.counts.changes++;
      user.set(pick(random, statuses), random() < 0.3 ? `text ${++this.#texts}` : user.text);
    } else if (chance < 0.8) {
      this.counts.moves++;
      void user.move();
    } else if (chance < 0.9 || !this.#mayLeave) {
      this.counts.reloads++;
      void user.reload(random() * MAX_RELOAD_MS);
    } else {
      this.counts.leaves++;
      user.leave();
    }
  }
}

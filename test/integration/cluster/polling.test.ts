/** Polled targets in a cluster: one node polls each, and another one takes over (PROTOCOL.md sections 6 and 8). */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endHubProcesses } from '../../support/hub-process.ts';
import { ClusterStage, Observer, type ClusterHub } from '../../support/cluster-stage.ts';
import { needing } from '../../support/needs.ts';

const EVERY_MS = 300;
const SEVERAL = 6 * EVERY_MS;

/** Polled over HTTP. The path tells which hub polls which user. */
class Targets {
  readonly polls: { readonly hub: string; readonly user: string }[] = [];
  readonly down = new Set<string>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const [, hub = '', user = ''] = (request.url ?? '').split('/');
      this.polls.push({ hub, user });
      response.writeHead(this.down.has(user) ? 500 : 200).end();
    });
  }

  static async open(): Promise<Targets> {
    const targets = new Targets();
    await once(targets.#server.listen(0, '127.0.0.1'), 'listening');
    return targets;
  }

  urlOf(hub: string, user: string): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/${hub}/${user}`;
  }

  /** Which hubs poll each user from now on, by what comes within some rounds. */
  async pollers(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
    const from = this.polls.length;
    await pass(SEVERAL);
    const pollers = new Map<string, Set<string>>();
    for (const { hub, user } of this.polls.slice(from)) {
      pollers.set(user, (pollers.get(user) ?? new Set()).add(hub));
    }
    return pollers;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

function pass(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

describe('polled targets in a cluster', needing('redis-server'), () => {
  const users = Array.from({ length: 12 }, (_, i) => `bot-${i}`);
  let folder: string;
  let stage: ClusterStage;
  let targets: Targets;
  let hubs: Map<string, ClusterHub>;
  let observer: Observer;

  const fileOf = (hub: string): string => join(folder, `${hub}.json`);
  const write = (hub: string, polled: readonly string[]): void => {
    const list = polled.map((user) => ({
      user,
      url: targets.urlOf(hub, user),
      everyMs: EVERY_MS,
      timeoutMs: EVERY_MS,
    }));
    writeFileSync(fileOf(hub), JSON.stringify(list));
  };
  const start = async (hub: string, polled: readonly string[]): Promise<void> => {
    write(hub, polled);
    hubs.set(hub, await stage.hub({ HUB_POLL: fileOf(hub) }));
  };
  /** Resolves when each of the users is polled by one hub, which `isRight` accepts. */
  const shared = async (polled: readonly string[], isRight: (hub: string, user: string) => boolean): Promise<void> => {
    await expect
      .poll(
        async () => {
          const pollers = await targets.pollers();
          return polled.filter((user) => {
            const [hub, ...others] = pollers.get(user) ?? [];
            return hub === undefined || others.length > 0 || !isRight(hub, user);
          });
        },
        { timeout: 30_000 },
      )
      .toEqual([]);
  };
  const wereNeverGone = (): void => {
    expect(observer.faults).toEqual([]);
    for (const user of users) expect(observer.history.get(user)?.slice(1)).not.toContain('offline');
  };

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'polling-'));
    stage = await ClusterStage.start();
    targets = await Targets.open();
    hubs = new Map();
    await Promise.all(['a', 'b', 'c'].map((hub) => start(hub, hub === 'a' ? [...users, 'only-a'] : users)));
    observer = await Observer.open(hubs.get('c')!.ws, [...users, 'only-a'], new Map());
    await observer.until(() => [...users, 'only-a'].every((user) => observer.statusOf(user) === 'online'));
  });
  afterEach(async () => {
    observer.client.close();
    await endHubProcesses();
    await stage.stop();
    targets.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  });

  it('each is polled by one node, and a target that only one node knows by that node (C21)', async () => {
    await shared([...users, 'only-a'], (hub, user) => user !== 'only-a' || hub === 'a');
    expect(new Set([...(await targets.pollers()).values()].flatMap((one) => [...one])).size).toBeGreaterThan(1);
    wereNeverGone();
  });

  it('another node takes over the targets of a killed node, and nobody is reported offline (C21)', async () => {
    await shared(users, () => true);
    hubs.get('b')!.process.child.kill('SIGKILL');
    await shared(users, (hub) => hub !== 'b');
    await observer.until(() => !observer.isStale);
    wereNeverGone();
    // The next owner also notices an end.
    targets.down.add('bot-0').add('bot-1').add('bot-2');
    await observer.until(() => [0, 1, 2].every((i) => observer.statusOf(`bot-${i}`) === 'offline'));
  });

  it('a node that leaves hands its targets over, and a new one gets its share (C21)', async () => {
    await shared(users, () => true);
    hubs.get('b')!.process.child.kill('SIGTERM');
    await shared(users, (hub) => hub !== 'b');
    await start('d', users);
    await shared(users, () => true);
    expect([...(await targets.pollers()).values()].some((by) => by.has('d'))).toBe(true);
    wereNeverGone();
  });

  it('while Redis is away, each node continues, and nobody is reported offline because of it (C14, C21)', async () => {
    await shared(users, () => true);
    stage.redis.signal('SIGSTOP');
    await observer.until(() => observer.isStale);
    const before = await targets.pollers();
    await pass(4 * EVERY_MS);
    stage.redis.signal('SIGCONT');
    await observer.until(() => !observer.isStale);
    expect([...before.values()].every((by) => by.size === 1)).toBe(true);
    await shared(users, () => true);
    wereNeverGone();
  });

  it('a target that leaves all files ends, but not before it has left the last one (C21)', async () => {
    await shared(users, () => true);
    const rest = users.slice(1);
    for (const hub of ['a', 'b']) write(hub, hub === 'a' ? [...rest, 'only-a'] : rest);
    await shared(users, (hub, user) => user !== 'bot-0' || hub === 'c');
    wereNeverGone();
    write('c', rest);
    await observer.until(() => observer.statusOf('bot-0') === 'offline');
  });
});

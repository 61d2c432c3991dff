/** A Redis Cluster of a test's own: masters with equal shares of the slots, and replicas of the first ones. */
import { expect, vi } from 'vitest';
import { freePort } from '../hub-process.ts';
import { RedisServer } from './redis-server.ts';

const SLOTS = 16_384;

interface ClusterOptions {
  readonly masters: number;
  readonly replicas?: number;
  readonly nodeTimeoutMs?: number;
  /** The port under which a server is named to clients, in place of its own. */
  readonly announce?: (port: number) => Promise<number>;
}

export class RedisCluster {
  readonly masters: readonly RedisServer[];
  readonly replicas: readonly RedisServer[];

  private constructor(masters: readonly RedisServer[], replicas: readonly RedisServer[]) {
    this.masters = masters;
    this.replicas = replicas;
  }

  static async start({ masters, replicas = 0, nodeTimeoutMs = 1000, announce }: ClusterOptions): Promise<RedisCluster> {
    const buses = new Map<RedisServer, number>();
    const start = async (): Promise<RedisServer> => {
      const [port, bus] = [await freePort(), await freePort()];
      const named = announce === undefined ? [] : ['--cluster-announce-port', String(await announce(port))];
      const cluster = [
        '--cluster-enabled',
        'yes',
        '--cluster-port',
        String(bus),
        '--cluster-announce-bus-port',
        String(bus),
      ];
      const timeout = ['--cluster-node-timeout', String(nodeTimeoutMs), '--cluster-replica-validity-factor', '0'];
      const server = await RedisServer.startAt(port, [...cluster, ...timeout, ...named]);
      buses.set(server, bus);
      return server;
    };
    const all = await Promise.all(Array.from({ length: masters + replicas }, start));
    const cluster = new RedisCluster(all.slice(0, masters), all.slice(masters));
    try {
      await cluster.#join(buses);
      return cluster;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  get all(): readonly RedisServer[] {
    return [...this.masters, ...this.replicas];
  }

  /** HUB_REDIS_URL. */
  get url(): string {
    return `redis+cluster://${this.masters.map(({ port }) => `127.0.0.1:${port}`).join()}`;
  }

  async idOf(server: RedisServer): Promise<string> {
    return String((await server.send(['CLUSTER', 'MYID']))[0]);
  }

  /** Moves a slot with its keys, one key at a time. `during` runs when the first key has moved. */
  async moveSlot(slot: number, from: RedisServer, to: RedisServer, during?: () => Promise<void>): Promise<void> {
    const [fromId, toId] = [await this.idOf(from), await this.idOf(to)];
    await to.send(['CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', fromId]);
    await from.send(['CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', toId]);
    for (let moved = 0; ; moved++) {
      const [keys] = (await from.send(['CLUSTER', 'GETKEYSINSLOT', String(slot), '1'])) as [string[]];
      const [key] = keys;
      if (key === undefined) break;
      await from.send(['MIGRATE', '127.0.0.1', String(to.port), key, '0', '1000']);
      if (moved === 0) await during?.();
    }
    for (const server of [to, from, ...this.masters]) {
      await server.send(['CLUSTER', 'SETSLOT', String(slot), 'NODE', toId]).catch(() => undefined);
    }
  }

  /** The master that holds a slot. */
  async masterOf(slot: number): Promise<RedisServer> {
    const [ranges] = (await (this.masters[0] as RedisServer).send(['CLUSTER', 'SLOTS'])) as [
      [number, number, [string, number, string]][],
    ];
    const id = ranges.find(([first, last]) => first <= slot && slot <= last)?.[2][2];
    for (const server of this.all) if ((await this.idOf(server)) === id) return server;
    throw new Error(`no master for slot ${slot}`);
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((server) => server.close()));
  }

  async #join(buses: ReadonlyMap<RedisServer, number>): Promise<void> {
    const [first] = this.masters as [RedisServer];
    for (const [i, server] of this.masters.entries()) {
      const [from, to] = [i, i + 1].map((share) => Math.floor((share * SLOTS) / this.masters.length)) as [
        number,
        number,
      ];
      await server.send(
        ['CLUSTER', 'ADDSLOTSRANGE', String(from), String(to - 1)],
        ['CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1)],
      );
    }
    for (const server of this.all.slice(1)) {
      await first.send(['CLUSTER', 'MEET', '127.0.0.1', String(server.port), String(buses.get(server))]);
    }
    await this.#settled();
    for (const [i, replica] of this.replicas.entries()) {
      await replica.send(['CLUSTER', 'REPLICATE', await this.idOf(this.masters[i] as RedisServer)]);
    }
    await this.#settled();
  }

  /** Waits until all servers know each other and agree on who has which slot. */
  async #settled(): Promise<void> {
    await vi.waitFor(
      async () => {
        const views = await Promise.all(
          this.all.map((server) => server.send(['CLUSTER', 'INFO'], ['CLUSTER', 'SLOTS'])),
        );
        for (const [info] of views) {
          expect(info).toContain('cluster_state:ok');
          expect(info).toContain(`cluster_known_nodes:${this.all.length}`);
        }
        expect(new Set(views.map(([, slots]) => JSON.stringify(slots))).size).toBe(1);
      },
      { timeout: 20_000, interval: 100 },
    );
  }
}

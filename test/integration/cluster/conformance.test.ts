/**
 * The checks of `presence-hub conformance` with clients on two nodes of a cluster: TCP on one node and all else on the
 * other, and each connection and each request on the next node.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { allChecks, run } from '../../../client/cli/commands/conformance.ts';
import type { Outcome } from '../../../client/cli/conformance/check.ts';
import { testIo } from '../../support/cli-io.ts';
import { endHubProcesses, freePort, startHubProcess, startLine } from '../../support/hub-process.ts';
import { needing } from '../../support/needs.ts';
import { PostgresServer } from '../../support/postgres-server.ts';
import { RedisCluster } from '../../support/redis/redis-cluster.ts';
import { RedisServer } from '../../support/redis/redis-server.ts';
import { spreadConnections, spreadRequests, type Spread } from '../../support/spread.ts';
import { transports } from '../../support/transports.ts';

interface Ports {
  readonly web: number;
  readonly tcp: number;
}

const stores = [
  ['one Redis', () => RedisServer.start()],
  ['a Redis Cluster with three masters', () => RedisCluster.start({ masters: 3 })],
] as const;

describe('clients on two nodes pass every check', needing('postgres'), () => {
  let postgres: PostgresServer;
  let redis: { readonly url: string; close(): Promise<void> } | undefined;
  const spreads: Spread[] = [];
  beforeAll(async () => {
    postgres = await PostgresServer.start();
  });
  afterEach(async () => {
    for (const spread of spreads.splice(0)) spread.close();
    await endHubProcesses();
    await redis?.close();
  });
  afterAll(() => postgres.stop());

  const spread = async (kind: (ports: readonly number[]) => Promise<Spread>, ports: number[]): Promise<number> => {
    const made = await kind(ports);
    spreads.push(made);
    return made.port;
  };

  /** Two nodes with one store, and friends that both of them know. */
  const startNodes = async (redisUrl: string, transport: string): Promise<[Ports, Ports]> => {
    const roster = postgres.urlOf(await postgres.newDatabase());
    const start = async (): Promise<Ports> => {
      const tcp = await freePort();
      const { started } = startHubProcess({
        HUB_REDIS_URL: redisUrl,
        HUB_ROSTER: roster,
        HUB_TRANSPORT: transport,
        HUB_TCP_PORT: String(tcp),
        // Enough for a trip to the other node on a busy machine.
        HUB_TCP_TIMEOUT_MS: '3000',
        HUB_GRACE_MS: '3000',
        // The grace after a stall of the node.
        HUB_HEARTBEAT_MS: '3000',
        HUB_TIMEOUT_MS: '8000',
      });
      return { tcp, web: Number(new URL(startLine(await started, 'websocket')).port) };
    };
    return Promise.all([start(), start()]);
  };

  const examine = async (tcp: number, web: number, http = web): Promise<readonly Outcome[]> => {
    const io = testIo();
    const [wsUrl, httpUrl] = [`ws://127.0.0.1:${web}/ws`, `http://127.0.0.1:${http}`];
    await run(['--tcp', `127.0.0.1:${tcp}`, '--ws', wsUrl, '--http', httpUrl, '--json'], io);
    const outcomes = io.stdout.lines.map((line) => JSON.parse(line) as Outcome);
    expect(outcomes).toHaveLength(allChecks.length);
    return outcomes.filter(({ result }) => result !== 'pass');
  };

  describe.each(transports)('on %s', needing('redis-server'), (transport) => {
    it.each(stores)('with %s', async (_, startStore) => {
      redis = await startStore();
      const nodes = await startNodes(redis.url, transport);
      const [a, b] = nodes;
      // Most checks wait most of the time, so both runs together take hardly longer than one.
      const outcomes = await Promise.all([
        examine(a.tcp, b.web),
        examine(
          await spread(
            spreadConnections,
            nodes.map(({ tcp }) => tcp),
          ),
          await spread(
            spreadConnections,
            nodes.map(({ web }) => web),
          ),
          await spread(
            spreadRequests,
            nodes.map(({ web }) => web),
          ),
        ),
      ]);
      expect(outcomes).toEqual([[], []]);
    });
  });
});

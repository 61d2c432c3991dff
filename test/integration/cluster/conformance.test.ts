/** The checks of `presence-hub conformance` with TCP on one node of a cluster, and WebSocket and HTTP on another. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { run } from '../../../client/cli/commands/conformance.ts';
import type { Outcome } from '../../../client/cli/conformance/check.ts';
import { testIo } from '../../support/cli-io.ts';
import { endHubProcesses, freePort, startHubProcess, startLine } from '../../support/hub-process.ts';
import { needing } from '../../support/needs.ts';
import { RedisCluster } from '../../support/redis/redis-cluster.ts';
import { RedisServer } from '../../support/redis/redis-server.ts';
import { transports } from '../../support/transports.ts';

vi.setConfig({ testTimeout: 180_000 });

let redis: { readonly url: string; close(): Promise<void> } | undefined;
afterEach(async () => {
  await endHubProcesses();
  await redis?.close();
});

/** What is not passed with clients on two nodes of this engine. */
async function examine(transport: string): Promise<Outcome[]> {
  // Enough for a trip to the other node on a busy machine.
  const times = {
    HUB_TCP_TIMEOUT_MS: '3000',
    HUB_GRACE_MS: '3000',
    HUB_REDIS_URL: redis!.url,
    HUB_TRANSPORT: transport,
  };
  const tcpPort = await freePort();
  const a = startHubProcess({ ...times, HUB_TCP_PORT: String(tcpPort) });
  const b = startHubProcess(times);
  await a.started;
  const io = testIo();
  await run(['--ws', startLine(await b.started, 'websocket'), '--tcp', `127.0.0.1:${tcpPort}`, '--json'], io);
  const outcomes = io.stdout.lines.map((line) => JSON.parse(line) as Outcome);
  expect(outcomes.length).toBeGreaterThan(30);
  return outcomes.filter(({ result }) => result !== 'pass');
}

describe.each(transports)('on %s', needing('redis-server'), (transport) => {
  it('two nodes of a cluster pass every check', async () => {
    redis = await RedisServer.start();
    expect(await examine(transport)).toEqual([]);
  });
});

describe('on a Redis Cluster with three masters', needing('redis-server'), () => {
  it('two nodes pass every check', async () => {
    redis = await RedisCluster.start({ masters: 3 });
    expect(await examine('auto')).toEqual([]);
  });
});

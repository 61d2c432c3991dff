/** Checks the Redis servers of a cluster, without changing anything in them. */
import { openClient, within } from '../../cluster/redis/client.ts';
import { readRedisUrl, REDIS_URL_FORMS, urlOf, type RedisUrl } from '../../cluster/redis/redis-url.ts';
import { faultAt, faultOf, readInfo } from '../../cluster/redis/server-facts.ts';
import { findServers } from '../../cluster/redis/servers.ts';
import type { Config } from '../../config/config.ts';
import { systemClock } from '../../lib/time/system-clock.ts';
import { asFinding, error, fine, warning, type Finding } from './finding.ts';

const ANSWER_WITHIN_MS = 2000;
const CLOCK_TOLERANCE_MS = 2000;

export async function checkCluster({ redisUrl }: Config): Promise<readonly Finding[]> {
  if (redisUrl === null) return [fine('cluster', 'one hub: HUB_REDIS_URL is not set')];
  const url = readRedisUrl(redisUrl);
  if (url === undefined) return [error('redis', 'HUB_REDIS_URL has another form', `write ${REDIS_URL_FORMS}`)];
  try {
    const places = await findServers(url)();
    return await Promise.all(places.map(({ address }) => checkServer(url, address)));
  } catch (problem) {
    return [asFinding('redis', 'error', `HUB_REDIS_URL: ${(problem as Error).message}`)];
  }
}

async function checkServer(url: RedisUrl, address: string): Promise<Finding> {
  const ignore = (): void => undefined;
  try {
    const client = await openClient(urlOf(url, address), { onLost: ignore, onMoved: ignore }, ANSWER_WITHIN_MS);
    try {
      const info = readInfo(String(await within(ANSWER_WITHIN_MS, client.sendCommand(['INFO']))));
      const fault = faultOf(info, url.kind);
      if (fault !== undefined) return asFinding('redis', 'error', `HUB_REDIS_URL: ${address} ${fault}`);
      const time = await within(ANSWER_WITHIN_MS, client.sendCommand(['TIME']));
      return judgeTime(address, info.get('redis_version') ?? '', time);
    } finally {
      client.destroy();
    }
  } catch (problem) {
    return asFinding('redis', 'error', `HUB_REDIS_URL: ${faultAt(address, problem).message}`);
  }
}

function judgeTime(address: string, version: string, time: unknown): Finding {
  const theirsMs = Array.isArray(time) ? Number(time[0]) * 1000 : NaN;
  const offMs = Math.abs(systemClock.now().wallMs - theirsMs);
  if (offMs > CLOCK_TOLERANCE_MS) {
    const says = `the clock of ${address} differs from this one by ${Math.round(offMs / 1000)} s`;
    return warning('redis', says, 'set both clocks, for example with chrony or systemd-timesyncd');
  }
  return fine('redis', `${address} answers, version ${version}`);
}

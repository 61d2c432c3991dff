/** What a Redis server reports about itself, and why the hub can't use it. Pure. */
import type { RedisUrl } from './redis-url.ts';

export interface ServerFacts {
  /** Changes with each start of the server. */
  readonly runId: string;
  /** Changes if another server was promoted, or this one was demoted. */
  readonly replicationId: string;
  readonly isMaster: boolean;
  /** Undefined if the server does not report it. */
  readonly replicas: number | undefined;
}

/** Reads the answer of INFO. */
export function readInfo(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return fields;
}

export function factsOf(info: ReadonlyMap<string, string>, runId: string): ServerFacts {
  const replicas = info.get('connected_slaves');
  return {
    runId,
    replicationId: info.get('master_replid') ?? '',
    isMaster: (info.get('role') ?? 'master') === 'master',
    replicas: replicas === undefined ? undefined : Number(replicas),
  };
}

const LEAST_VERSION = 7;

/** Returns why a server can't be used, and the remedy, as a sentence without its subject; undefined if it can. */
export function faultOf(info: ReadonlyMap<string, string>, kind: RedisUrl['kind']): string | undefined {
  const version = info.get('redis_version');
  if (version === undefined) return 'does not tell its version: name a Redis server, 7 or newer';
  if (Number.parseInt(version, 10) < LEAST_VERSION) return `is Redis ${version}: install Redis 7 or newer, or Valkey`;
  const isInCluster = info.get('redis_mode') === 'cluster';
  if (isInCluster && kind !== 'cluster') return 'is part of a Redis Cluster: write redis+cluster://host:port,host:port';
  if (!isInCluster && kind === 'cluster') return NOT_IN_CLUSTER;
  if (info.get('role') !== 'master') return `is a replica: name its master, ${info.get('master_host') ?? ''}`;
  const policy = info.get('maxmemory_policy') ?? 'noeviction';
  // Policies that choose among keys with an expiry find none, because no key has one.
  if (policy.startsWith('allkeys-')) {
    return `has maxmemory-policy ${policy}, which drops records: set maxmemory-policy noeviction in its configuration`;
  }
  return undefined;
}

const NOT_IN_CLUSTER = 'is not part of a Redis Cluster: write redis://host:port';

/** Its message is a line that begins with the address of the server. */
export class ServerFault extends Error {
  constructor(address: string, fault: string) {
    super(`${address} ${fault}`);
  }
}

export function faultAt(address: string, error: unknown): ServerFault {
  return error instanceof ServerFault ? error : new ServerFault(address, faultOfError(error));
}

/** The same for an error of the connection or of a command. */
function faultOfError(error: unknown): string {
  const { code = '', message } = error as { code?: string; message: string };
  if (message.includes('cluster support disabled')) return NOT_IN_CLUSTER;
  if (/unknown command '?SENTINEL/i.test(message))
    return 'is not a Sentinel: name the Sentinels, or write redis://host:port';
  if (/^(WRONGPASS|NOAUTH|ERR AUTH|NOPERM)/.test(message)) {
    return `refuses the user or the password: correct them, redis://user:password@host (${firstWord(message)})`;
  }
  if (REFUSED.test(message)) return `accepts no changes now: read its log (${message})`;
  if (/^E[A-Z]+/.test(code)) return `can't be reached: start Redis there or correct the address (${code})`;
  if (message === 'no answer' || message.includes('timeout')) {
    return 'does not answer: correct the address, or check whether Redis hangs';
  }
  if (/closed/i.test(message)) return 'closed the connection: check whether Redis runs there';
  return 'does not answer like Redis: correct the address and port';
}

/** Answers of a server that can't write. It counts as away until it can write again. */
export const REFUSED = /^(OOM|READONLY|MISCONF|NOREPLICAS|LOADING|MASTERDOWN|BUSY|CLUSTERDOWN)\b/;

function firstWord(text: string): string {
  return text.split(' ')[0] ?? '';
}

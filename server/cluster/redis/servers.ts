/**
 * Finds the servers that hold the data: the one in HUB_REDIS_URL, the master that Sentinels report, or the masters of a
 * Redis Cluster. Called before each connection, and if a slot has moved. Keeps no connection.
 */
import { openClient, within, type RedisClient } from './client.ts';
import { faultAt, ServerFault } from './server-facts.ts';
import { addressOf, urlOf, type RedisUrl } from './redis-url.ts';

const ASK_MS = 2000;

export interface Master {
  readonly address: string;
  readonly holds: (slot: number) => boolean;
}

/** `hint`: the address to ask first. Rejects with a ServerFault. */
export type FindServers = (hint?: string) => Promise<readonly Master[]>;

export function findServers(url: RedisUrl): FindServers {
  if (url.kind === 'sentinel') return () => findBySentinel(url);
  if (url.kind === 'cluster') {
    let known: readonly string[] = [];
    return async (hint) => {
      const first = hint === undefined ? [] : [hint];
      const masters = await findInCluster(url, [...new Set([...first, ...known, ...url.addresses])]);
      known = masters.map(({ address }) => address);
      return masters;
    };
  }
  return () => Promise.resolve(url.addresses.map((address) => ({ address, holds: () => true })));
}

async function findBySentinel(url: RedisUrl): Promise<readonly Master[]> {
  const { master } = url;
  return firstOf(url.addresses, async (address) => {
    const answer = await askSentinel(url, address, ['SENTINEL', 'get-master-addr-by-name', master]);
    const [host, port] = Array.isArray(answer) ? (answer as unknown[]) : [];
    if (typeof host !== 'string' || typeof port !== 'string') {
      throw new ServerFault(address, `is a Sentinel that knows no master ${master}: correct the name after the slash`);
    }
    return [{ address: addressOf(host, port), holds: () => true }];
  });
}

/** Asks without a password first: many Sentinels have none although the servers have one, and then they refuse any. */
async function askSentinel(url: RedisUrl, address: string, command: readonly string[]): Promise<unknown> {
  const open = { ...url, credentials: '' };
  try {
    return await ask(urlOf(open, address), command);
  } catch (error) {
    if (url.credentials === '' || !(error as Error).message.startsWith('NOAUTH')) throw error;
    return ask(urlOf(url, address), command);
  }
}

async function findInCluster(url: RedisUrl, addresses: readonly string[]): Promise<readonly Master[]> {
  return firstOf(addresses, async (address) => {
    const answer = await ask(urlOf(url, address), ['CLUSTER', 'SLOTS']);
    const ranges = new Map<string, [number, number][]>();
    let covered = 0;
    for (const range of Array.isArray(answer) ? (answer as unknown[]) : []) {
      const [first, last, master] = range as [number, number, unknown[]];
      const [host, port] = master as [string | null, number];
      const isNamed = host !== null && host !== '' && host !== '?';
      const named = isNamed ? addressOf(host, port) : `${address.slice(0, address.lastIndexOf(':'))}:${port}`;
      ranges.set(named, [...(ranges.get(named) ?? []), [first, last]]);
      covered += last - first + 1;
    }
    if (covered < SLOTS) {
      throw new ServerFault(
        address,
        `is in a cluster that covers ${covered} of ${SLOTS} slots: repair it with redis-cli --cluster fix`,
      );
    }
    return [...ranges].map(([named, held]) => ({
      address: named,
      holds: (slot) => held.some(([first, last]) => first <= slot && slot <= last),
    }));
  });
}

const SLOTS = 16_384;

/** Returns the first answer. Without one, rejects with the last fault that a server reported, or else with the first. */
async function firstOf<T>(addresses: readonly string[], run: (address: string) => Promise<T>): Promise<T> {
  const errors: { readonly address: string; readonly error: unknown }[] = [];
  for (const address of addresses) {
    try {
      return await run(address);
    } catch (error) {
      errors.push({ address, error });
    }
  }
  const [first = { address: '', error: new Error('no address') }] = errors;
  const { address, error } = errors.findLast((one) => one.error instanceof ServerFault) ?? first;
  throw faultAt(address, error);
}

/** Sends one command on a connection of its own. */
async function ask(url: string, command: readonly string[]): Promise<unknown> {
  const ignore = (): void => undefined;
  const client: RedisClient = await openClient(url, { onLost: ignore, onMoved: ignore }, ASK_MS);
  try {
    return await within(ASK_MS, client.sendCommand(command));
  } finally {
    client.destroy();
  }
}

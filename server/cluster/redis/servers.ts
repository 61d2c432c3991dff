/**
 * Finds the servers that hold the data: the one that HUB_REDIS_URL names, the master that Sentinels name now, or the
 * masters of a Redis Cluster. Asked before each connection, and when a slot has moved. Keeps no connection.
 */
import { openClient, within, type RedisClient } from './client.ts';
import { faultAt, ServerFault } from './server-facts.ts';
import { addressOf, urlOf, type RedisUrl } from './redis-url.ts';

const ASK_MS = 2000;

/** A master, and the slots that it holds. */
export interface Place {
  readonly address: string;
  readonly holds: (slot: number) => boolean;
}

/** `hint`: the address that is asked first. Rejects with a ServerFault. */
export type FindServers = (hint?: string) => Promise<readonly Place[]>;

export function findServers(url: RedisUrl): FindServers {
  if (url.kind === 'sentinel') return () => findBySentinel(url);
  if (url.kind === 'cluster') {
    let known: readonly string[] = [];
    return async (hint) => {
      const first = hint === undefined ? [] : [hint];
      const places = await findInCluster(url, [...new Set([...first, ...known, ...url.addresses])]);
      known = places.map(({ address }) => address);
      return places;
    };
  }
  return () => Promise.resolve(url.addresses.map((address) => ({ address, holds: () => true })));
}

async function findBySentinel(url: RedisUrl): Promise<readonly Place[]> {
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

/** Many Sentinels have no password although the servers have one. They refuse any, so the first try is without. */
async function askSentinel(url: RedisUrl, address: string, command: readonly string[]): Promise<unknown> {
  const open = { ...url, credentials: '' };
  try {
    return await ask(urlOf(open, address), command);
  } catch (error) {
    if (url.credentials === '' || !(error as Error).message.startsWith('NOAUTH')) throw error;
    return ask(urlOf(url, address), command);
  }
}

async function findInCluster(url: RedisUrl, addresses: readonly string[]): Promise<readonly Place[]> {
  return firstOf(addresses, async (address) => {
    const answer = await ask(urlOf(url, address), ['CLUSTER', 'SLOTS']);
    const ranges = new Map<string, [number, number][]>();
    let covered = 0;
    for (const range of Array.isArray(answer) ? (answer as unknown[]) : []) {
      const [first, last, master] = range as [number, number, unknown[]];
      const [host, port] = master as [string | null, number];
      const isNamed = host !== null && host !== '' && host !== '?';
      const place = isNamed ? addressOf(host, port) : `${address.slice(0, address.lastIndexOf(':'))}:${port}`;
      ranges.set(place, [...(ranges.get(place) ?? []), [first, last]]);
      covered += last - first + 1;
    }
    if (covered < SLOTS) {
      throw new ServerFault(
        address,
        `is in a cluster that covers ${covered} of ${SLOTS} slots: repair it with redis-cli --cluster fix`,
      );
    }
    return [...ranges].map(([place, held]) => ({
      address: place,
      holds: (slot) => held.some(([first, last]) => first <= slot && slot <= last),
    }));
  });
}

const SLOTS = 16_384;

/** The first answer. If there is none, rejects with the last fault that a server told of itself, or else the first. */
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

/**
 * A test hub seen from its TCP side: opens legacy clients and ends them with it, asks for entries and counters (as an
 * admin, if the hub has an admin token). WebSocket leases are an hour long, so that a watcher outlives any time that a
 * test lets pass.
 */
import { expect } from 'vitest';
import type { Config } from '../../server/config/config.ts';
import type { BadFrameReason, RefusalReason } from '../../shared/reasons.ts';
import type { Entry } from '../../shared/messages/entry.ts';
import { startTestHub, type TestHub } from './hub.ts';
import { frame, LegacyClient } from './legacy-client.ts';
import { tokenFor } from './tokens.ts';
import { WsClient } from './ws-client.ts';

const HOUR_MS = 3_600_000;
const POLL = { interval: 20, timeout: 10_000 };

export interface TcpHub extends TestHub {
  open(options?: Parameters<typeof LegacyClient.open>[1]): Promise<LegacyClient>;
  entry(user: string): Promise<Entry>;
  /** Resolves when the user's entry holds these values. */
  shows(user: string, values: Partial<Entry>): Promise<void>;
  /** Resolves when this many TCP connections are open; the end of any other is then known. */
  hasConnections(count: number): Promise<void>;
  /** Resolves when this many valid frames were counted. */
  hasReceived(frames: number): Promise<void>;
  /**
   * Resolves when everything that the client wrote before is applied. A session of a user `marker-…` is left behind.
   */
  hasRead(client: LegacyClient): Promise<void>;
  /** The bad frames so far, of the reasons that occurred. */
  badFrames(): Promise<Partial<Record<BadFrameReason, number>>>;
  /** Who was turned down or away so far, by the reasons that occurred. */
  refusals(): Promise<Partial<Record<RefusalReason, number>>>;
  /** A watcher of these users, its snapshot read. */
  watch(...users: string[]): Promise<WsClient>;
}

export async function startTcpHub(
  settings: Partial<Config> = {},
  clockOf?: Parameters<typeof startTestHub>[1],
): Promise<TcpHub> {
  const hub = await startTestHub({ heartbeatMs: HOUR_MS, timeoutMs: 2 * HOUR_MS, ...settings }, clockOf);
  const clients: LegacyClient[] = [];
  let markers = 0;
  const { adminToken = null, jwtSecret = null } = settings;
  const headers = adminToken === null ? {} : { authorization: `Bearer ${adminToken}` };
  const readMetrics = async (): Promise<string> => (await fetch(`${hub.addresses.http}/metrics`, { headers })).text();
  const countsOf = async (name: string): Promise<Record<string, number>> => {
    const counts = [...(await readMetrics()).matchAll(new RegExp(`^${name}\\{reason="(\\w+)"\\} (\\d+)$`, 'gm'))];
    return Object.fromEntries(
      counts.map(([, reason, count]) => [reason ?? '', Number(count)] as const).filter(([, count]) => count > 0),
    );
  };
  const metric: TcpHub['metric'] = async (series) => {
    const line = (await readMetrics()).split('\n').find((candidate) => candidate.startsWith(`${series} `));
    return Number(line?.split(' ').at(-1) ?? NaN);
  };
  const entry: TcpHub['entry'] = async (user) =>
    (await (await fetch(`${hub.addresses.http}/v1/presence/${user}`, { headers })).json()) as Entry;
  const shows: TcpHub['shows'] = (user, values) => expect.poll(() => entry(user), POLL).toMatchObject(values);
  return {
    ...hub,
    metric,
    entry,
    shows,
    open: async (options) => {
      const client = await LegacyClient.open(hub.tcpPort, options);
      clients.push(client);
      return client;
    },
    hasConnections: (count) =>
      expect.poll(() => metric('presence_hub_connections{adapter="tcp-xml"}'), POLL).toBe(count),
    hasReceived: (frames) =>
      expect.poll(() => metric('presence_hub_heartbeats_total{adapter="tcp-xml"}'), POLL).toBe(frames),
    hasRead: async (client) => {
      const marker = `marker-${++markers}`;
      const token = jwtSecret === null ? undefined : await tokenFor(marker, { secret: jwtSecret, clock: hub.clock });
      client.write(frame(marker, undefined, token));
      await shows(marker, { status: 'online' });
    },
    badFrames: () => countsOf('presence_hub_bad_frames_total'),
    refusals: () => countsOf('presence_hub_refused_total'),
    watch: async (...users) => {
      const token =
        jwtSecret === null
          ? {}
          : { token: await tokenFor('watcher', { secret: jwtSecret, scopes: ['observe'], expiresInS: null }) };
      const watcher = await WsClient.hello(hub.addresses.ws, { observe: true, ...token });
      watcher.send({ type: 'watch', users });
      await watcher.next('snapshot');
      return watcher;
    },
    stop: async () => {
      for (const client of clients) client.reset();
      await hub.stop();
    },
  };
}

/** Every entry that the watcher was sent as a change, in order, as `user status code`. */
export function sentTo(watcher: WsClient): string[] {
  return watcher.all
    .flatMap((message) => (message.type === 'presence' ? message.entries : []))
    .map(({ user, status, code }) => `${user} ${status} ${code}`);
}

/**
 * A test hub seen from its TCP side: opens legacy clients and ends them with it, asks for entries and counters.
 * WebSocket leases are an hour long, so that a watcher outlives any time that a test lets pass.
 */
import { expect } from 'vitest';
import type { Config } from '../../server/config.ts';
import type { BadFrameReason } from '../../shared/codes.ts';
import type { Entry } from '../../shared/entry.ts';
import { startTestHub, type TestHub } from './hub.ts';
import { LegacyClient } from './legacy-client.ts';
import { WsClient } from './ws-client.ts';

const HOUR_MS = 3_600_000;
const POLL = { interval: 20, timeout: 10_000 };

export interface TcpHub extends TestHub {
  open(): Promise<LegacyClient>;
  entry(user: string): Promise<Entry>;
  /** Resolves when the user's entry holds these values. */
  shows(user: string, values: Partial<Entry>): Promise<void>;
  /** Resolves when so many TCP connections are open; the end of any other is then known. */
  hasConnections(count: number): Promise<void>;
  /** Resolves when so many valid frames were counted. */
  hasHeard(frames: number): Promise<void>;
  /** Resolves when everything that the client wrote before is applied. A session of a user `marker-…` is left behind. */
  hasRead(client: LegacyClient): Promise<void>;
  /** The bad frames so far, of the reasons that occurred. */
  badFrames(): Promise<Partial<Record<BadFrameReason, number>>>;
  /** A watcher of these users, its snapshot read. */
  watch(...users: string[]): Promise<WsClient>;
}

export async function startTcpHub(settings: Partial<Config> = {}): Promise<TcpHub> {
  const hub = await startTestHub({ heartbeatMs: HOUR_MS, timeoutMs: 2 * HOUR_MS, ...settings });
  const clients: LegacyClient[] = [];
  let markers = 0;
  const entry: TcpHub['entry'] = async (user) => (await hub.request('GET', `/v1/presence/${user}`)).body as Entry;
  const shows: TcpHub['shows'] = (user, values) => expect.poll(() => entry(user), POLL).toMatchObject(values);
  return {
    ...hub,
    entry,
    shows,
    open: async () => {
      const client = await LegacyClient.open(hub.tcpPort);
      clients.push(client);
      return client;
    },
    hasConnections: (count) =>
      expect.poll(() => hub.metric('presence_hub_connections{adapter="tcp-xml"}'), POLL).toBe(count),
    hasHeard: (frames) =>
      expect.poll(() => hub.metric('presence_hub_heartbeats_total{adapter="tcp-xml"}'), POLL).toBe(frames),
    hasRead: async (client) => {
      const marker = `marker-${++markers}`;
      client.beat(marker);
      await shows(marker, { status: 'online' });
    },
    badFrames: async () => {
      const text = String((await hub.request('GET', '/metrics')).body);
      const counts = [...text.matchAll(/^presence_hub_bad_frames_total\{reason="(\w+)"\} (\d+)$/gm)];
      const occurred = counts
        .map(([, reason, count]) => [reason, Number(count)] as const)
        .filter(([, count]) => count > 0);
      return Object.fromEntries(occurred) as Partial<Record<BadFrameReason, number>>;
    },
    watch: async (...users) => {
      const watcher = await WsClient.hello(hub.addresses.ws, { observe: true });
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

/** Every entry that the watcher was told as a change, in order, as `user status code`. */
export function toldTo(watcher: WsClient): string[] {
  return watcher.all
    .flatMap((message) => (message.type === 'presence' ? message.entries : []))
    .map(({ user, status, code }) => `${user} ${status} ${code}`);
}

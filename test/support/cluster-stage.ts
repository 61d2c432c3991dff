/**
 * A cluster for tests: a Redis server and hubs in processes of their own. Observers keep what each hub shows, and check
 * what must hold at all times: versions of a user only grow on a connection, and equal versions are equal entries on all
 * hubs.
 */
import type { Entry } from '../../shared/messages/entry.ts';
import { startHubProcess, startLine, type HubProcess } from './hub-process.ts';
import { RedisServer } from './redis/redis-server.ts';
import { WsClient } from './ws-client.ts';

export interface ClusterHub {
  readonly process: HubProcess;
  readonly http: string;
  readonly ws: string;
  readonly tcpPort: number;
}

export class ClusterStage {
  readonly redis: RedisServer;
  readonly #settings: Readonly<Record<string, string>>;

  private constructor(redis: RedisServer, settings: Readonly<Record<string, string>>) {
    this.redis = redis;
    this.#settings = settings;
  }

  static async start(settings: Readonly<Record<string, string>> = {}): Promise<ClusterStage> {
    return new ClusterStage(await RedisServer.start(), settings);
  }

  async hub(settings: Readonly<Record<string, string>> = {}): Promise<ClusterHub> {
    const process = startHubProcess({
      HUB_REDIS_URL: this.redis.url,
      HUB_TCP_PORT: '0',
      HUB_LOG_LEVEL: 'warn',
      ...this.#settings,
      ...settings,
    });
    const printed = await process.started;
    const tcp = printed.includes('tcp + xml') ? startLine(printed, 'tcp + xml') : '';
    return {
      process,
      http: startLine(printed, 'page').replace(/\/$/, ''),
      ws: startLine(printed, 'websocket'),
      tcpPort: Number(tcp.split(':').at(-1) ?? 0),
    };
  }

  hubs(count: number, settings: Readonly<Record<string, string>> = {}): Promise<ClusterHub[]> {
    return Promise.all(Array.from({ length: count }, () => this.hub(settings)));
  }

  async stop(): Promise<void> {
    await this.redis.close();
  }
}

const USERS_A_WATCH = 1000;

/** What one watcher on one hub is shown, checked against what all watchers are shown. */
export class Observer {
  readonly client: WsClient;
  readonly view = new Map<string, Entry>();
  /** The status of a user in each entry, in order. */
  readonly history = new Map<string, string[]>();
  readonly faults: string[] = [];
  /** When each user was last reported as offline, on the clock of `performance.now()`. */
  readonly offlineAtMs = new Map<string, number>();
  /** `stale` and `fresh`, in order. */
  readonly doubts: ('stale' | 'fresh')[] = [];
  isStale = false;
  at = 0;
  #wake: (() => void) | undefined;

  private constructor(client: WsClient, seen: Map<string, string>) {
    this.client = client;
    client.onMessage((message) => {
      if (message.type === 'stale' || message.type === 'fresh') {
        this.isStale = message.type === 'stale';
        this.doubts.push(message.type);
      }
      if ('at' in message && typeof message.at === 'number') this.at = message.at;
      if (message.type === 'snapshot' || message.type === 'presence') {
        for (const entry of message.entries) this.#take(entry, seen);
      }
      this.#wake?.();
    });
  }

  /** `seen`: every entry that any watcher was shown, by user and version. One map for all observers of a test. */
  static async open(ws: string, users: readonly string[], seen: Map<string, string>): Promise<Observer> {
    const client = await WsClient.open(ws);
    const observer = new Observer(client, seen);
    client.send({ type: 'hello', observe: true });
    await client.next('welcome');
    for (let from = 0; from < users.length; from += USERS_A_WATCH) {
      client.send({ type: 'watch', users: users.slice(from, from + USERS_A_WATCH) });
      await client.next('snapshot');
    }
    return observer;
  }

  statusOf(user: string): string {
    return this.view.get(user)?.status ?? 'offline';
  }

  /** How often a user who was present was reported as offline. */
  leavesOf(user: string): number {
    const statuses = this.history.get(user) ?? [];
    return statuses.filter((status, i) => status === 'offline' && i > 0 && statuses[i - 1] !== 'offline').length;
  }

  /** Resolves when the condition holds; it is looked at with each message. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  #take(entry: Entry, seen: Map<string, string>): void {
    const { user, v, status } = entry;
    const before = this.view.get(user);
    if (before !== undefined && before.v > v) this.faults.push(`${user}: version ${v} after ${before.v}`);
    const key = `${user} ${v}`;
    const text = JSON.stringify(entry);
    if ((seen.get(key) ?? text) !== text) this.faults.push(`two entries of ${key}: ${seen.get(key) ?? ''} and ${text}`);
    seen.set(key, text);
    this.view.set(user, entry);
    if (status === 'offline') this.offlineAtMs.set(user, performance.now());
    this.history.set(user, [...(this.history.get(user) ?? []), status]);
  }
}

/** One request, and the answer's status and JSON. */
export async function ask(
  hub: ClusterHub,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: unknown }> {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const answer = await fetch(hub.http + path, { ...init, headers: { 'content-type': 'application/json' } });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
}

/** A hub of several workers for tests: its parent, with a Redis server and a service of friend lists of its own. */
import { readFileSync } from 'node:fs';
import { expect, vi } from 'vitest';
import { startHubProcess, startLine, type HubProcess } from './hub-process.ts';
import { ListServiceServer } from './list-service.ts';
import { RedisServer } from './redis/redis-server.ts';
import { WsClient } from './ws-client.ts';

export const WORKERS = 2;
/** So many connections reach all workers, except once in 10^18 runs. */
const MOST_TRIES = 60;

export interface LogLine {
  readonly msg: string;
  readonly level: number;
  readonly worker?: number;
  readonly [fact: string]: unknown;
}

export class WorkersHub {
  readonly process: HubProcess;
  /** What the start printed. */
  readonly printed: string;
  readonly http: string;
  readonly ws: string;
  readonly log: LogLine[] = [];

  constructor(process: HubProcess, printed: string) {
    this.process = process;
    this.printed = printed;
    this.http = startLine(printed, 'page').replace(/\/$/, '');
    this.ws = startLine(printed, 'websocket');
    let rest = '';
    process.child.stderr?.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      this.log.push(...lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as LogLine));
    });
  }

  /** The processes of the workers now. */
  get pids(): number[] {
    return childrenOf(this.process.child.pid!);
  }

  linesOf(msg: string): LogLine[] {
    return this.log.filter((line) => line.msg.startsWith(msg));
  }

  /** Welcomed clients, each on another worker. Further ones that were opened for it are closed. */
  async clientsOnAll(said: (index: number) => object): Promise<WsClient[]> {
    const byNode = new Map<string, WsClient>();
    for (let tries = 0; byNode.size < WORKERS && tries < MOST_TRIES; tries++) {
      const client = await WsClient.open(this.ws);
      client.send({ type: 'hello', ...said(byNode.size) });
      const { node } = await client.next('welcome');
      if (!byNode.has(node)) byNode.set(node, client);
      else {
        client.send({ type: 'bye' });
        await client.closed;
      }
    }
    expect(byNode.size).toBe(WORKERS);
    return [...byNode.values()];
  }

  /** The values of a metric by worker, added up over its other labels. */
  async metricByWorker(name: string, where = ''): Promise<Map<string, number>> {
    const text = await (await fetch(`${this.http}/metrics`)).text();
    const values = new Map<string, number>();
    for (const line of text.split('\n')) {
      const [, labels = '', value = ''] = new RegExp(`^${name}\\{(.*)\\} (\\S+)$`).exec(line) ?? [];
      const [, worker] = /worker="(\d+)"/.exec(labels) ?? [];
      if (worker !== undefined && labels.includes(where)) values.set(worker, (values.get(worker) ?? 0) + Number(value));
    }
    return values;
  }

  /** Resolves when every worker answers. */
  async untilAllServe(): Promise<void> {
    const check = async (): Promise<void> => {
      expect((await this.metricByWorker('process_start_time_seconds')).size).toBe(WORKERS);
    };
    await vi.waitFor(check, { timeout: 40_000, interval: 200 });
  }
}

export class WorkersStage {
  readonly redis: RedisServer;
  readonly lists: ListServiceServer;

  private constructor(redis: RedisServer, lists: ListServiceServer) {
    this.redis = redis;
    this.lists = lists;
  }

  static async start(): Promise<WorkersStage> {
    return new WorkersStage(await RedisServer.start(), await ListServiceServer.open());
  }

  get settings(): Readonly<Record<string, string>> {
    return { HUB_WORKERS: String(WORKERS), HUB_REDIS_URL: this.redis.url, HUB_ROSTER: this.lists.url };
  }

  begin(settings: Readonly<Record<string, string>> = {}): HubProcess {
    return startHubProcess({ ...this.settings, ...settings });
  }

  async hub(settings: Readonly<Record<string, string>> = {}): Promise<WorkersHub> {
    const process = this.begin(settings);
    return new WorkersHub(process, await process.started);
  }

  async stop(): Promise<void> {
    await this.redis.close();
    await this.lists.stop();
  }
}

export function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(/\s+/).filter(Boolean).map(Number);
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

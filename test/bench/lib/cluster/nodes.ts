/**
 * The nodes under test: hubs on one Redis, each behind a proxy of its own that can cut it off, each on ports that stay
 * the same from run to run. Says which nodes a client would try now.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FaultProxy } from '../../../support/redis/fault-proxy.ts';
import type { HubServer, Place } from '../server.ts';
import type { Stage } from '../stage.ts';
import { stablePort } from './stable-port.ts';

export const TIMEOUT_MS = 10_000;
/** A client that reconnects needs less, also on a busy machine. */
const GRACE_MS = 5000;
/** Until the last ghost of a dead node is gone: a grace over 3 s adds to the ten seconds of C10. */
export const GONE_WITHIN_MS = 10_000 + GRACE_MS - 3000;
const HEARTBEAT_MS = 3000;

/** `down`: not running, or shutting down. `stopped`: SIGSTOP. `cut`: its Redis is out of its reach. */
export type NodeState = 'up' | 'down' | 'stopped' | 'cut';

export class Node {
  readonly name: string;
  readonly place: Place;
  readonly proxy: FaultProxy;
  state: NodeState = 'down';
  stateSinceMs = 0;
  hub: HubServer | undefined;
  readonly #stage: Stage;
  readonly #listeners: (() => void)[] = [];
  readonly #errors: string[] = [];
  #endedCpuMs = 0;

  private constructor(stage: Stage, name: string, place: Place, proxy: FaultProxy) {
    this.#stage = stage;
    this.name = name;
    this.place = place;
    this.proxy = proxy;
  }

  static async start(stage: Stage, name: string, redisPort: number): Promise<Node> {
    const folder = mkdtempSync(join(tmpdir(), 'presence-churn-hub-'));
    const place = { folder, port: await stablePort(), tcpPort: await stablePort() };
    const node = new Node(stage, name, place, await FaultProxy.start(redisPort));
    await node.run();
    return node;
  }

  async run(): Promise<void> {
    const settings = {
      HUB_REDIS_URL: this.proxy.url,
      HUB_NODE_URL: `http://127.0.0.1:${this.place.port}`,
      HUB_CODES: 'invisible=40',
      HUB_TCP_ACK: '1',
      HUB_HEARTBEAT_MS: String(HEARTBEAT_MS),
      HUB_TIMEOUT_MS: String(TIMEOUT_MS),
      HUB_GRACE_MS: String(GRACE_MS),
      HUB_MAX_WATCHES: '100000',
    };
    this.hub = await this.#stage.startHub(settings, this.place);
    this.set('up');
  }

  /** Calls back when its state changes. */
  onState(listener: () => void): void {
    this.#listeners.push(listener);
  }

  set(state: NodeState): void {
    this.state = state;
    this.stateSinceMs = performance.now();
    for (const listener of this.#listeners) listener();
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    this.#count();
    this.set('down');
    await this.hub?.crash();
    this.hub = undefined;
  }

  /** SIGTERM. @returns once it has ended. */
  async drain(): Promise<void> {
    this.#count();
    this.set('down');
    await this.hub?.drain();
    this.hub = undefined;
  }

  /** Of all its runs together. */
  get cpuMs(): number {
    return this.#endedCpuMs + (this.hub?.cpuMs() ?? 0);
  }

  get errors(): readonly string[] {
    return [...this.#errors, ...(this.hub?.errors ?? [])];
  }

  async close(): Promise<void> {
    await this.hub?.stop();
    await this.proxy.close();
  }

  #count(): void {
    this.#endedCpuMs += this.hub?.cpuMs() ?? 0;
    this.#errors.push(...(this.hub?.errors ?? []));
  }
}

/**
 * The Redis of a cluster under faults: a process on one port, which is killed, stopped, emptied and started again. It
 * keeps an append-only file, so that a restart finds its data unless the folder is emptied.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@redis/client';
import { startProcess, type ServerProcess } from '../server-process.ts';
import { stablePort } from './stable-port.ts';

export class RedisProcess {
  readonly port: number;
  readonly #folder = mkdtempSync(join(tmpdir(), 'presence-churn-redis-'));
  #server: ServerProcess | undefined;
  #endedCpuMs = 0;

  private constructor(port: number) {
    this.port = port;
  }

  static async start(): Promise<RedisProcess> {
    const redis = new RedisProcess(await stablePort());
    await redis.run();
    return redis;
  }

  async run(): Promise<void> {
    const place = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#folder];
    const { server } = await startProcess({
      name: 'redis-server',
      command: ['redis-server', ...place, '--save', '', '--appendonly', 'yes'],
      env: process.env,
      core: null,
      startedWith: (text) => (text.includes('Ready to accept connections') ? true : undefined),
    });
    this.#server = server;
  }

  get pid(): number {
    return this.#server?.pid ?? 0;
  }

  /** Of all its runs together. */
  get cpuMs(): number {
    return this.#endedCpuMs + (this.#server?.cpuMs() ?? 0);
  }

  get rssBytes(): number {
    return this.#server?.rssBytes() ?? 0;
  }

  freeze(): void {
    this.#server?.freeze();
  }

  thaw(): void {
    this.#server?.thaw();
  }

  async kill(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    this.#endedCpuMs += server.cpuMs();
    server.kill();
    await server.whenEnded;
  }

  /** While it is down. */
  empty(): void {
    for (const name of readdirSync(this.#folder)) rmSync(join(this.#folder, name), { recursive: true, force: true });
  }

  async flush(): Promise<void> {
    const client = createClient({ url: `redis://127.0.0.1:${this.port}`, maintNotifications: 'disabled' });
    client.on('error', () => undefined);
    await client.connect();
    try {
      await client.flushAll();
    } finally {
      client.destroy();
    }
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A Redis server of a test's own: on its own port, with its data in a folder of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@redis/client';
import { freePort } from '../hub-process.ts';
import { programPath } from '../needs.ts';

export class RedisServer {
  readonly port: number;
  readonly #args: readonly string[];
  readonly #folder = mkdtempSync(join(tmpdir(), 'presence-redis-'));
  #process: ChildProcess | undefined;

  private constructor(port: number, args: readonly string[]) {
    this.port = port;
    this.#args = args;
  }

  static async start(...args: string[]): Promise<RedisServer> {
    return RedisServer.startAt(await freePort(), args);
  }

  static async startAt(port: number, args: readonly string[]): Promise<RedisServer> {
    const server = new RedisServer(port, args);
    await server.run();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Starts it, or starts it again after `kill`. */
  async run(): Promise<void> {
    const place = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#folder, '--save', ''];
    const args = [...place, ...this.#args];
    const child = spawn(programPath('redis-server'), args, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#process = child;
    await new Promise<void>((resolve, reject) => {
      let printed = '';
      child.stdout.on('data', (chunk: Buffer) => {
        printed += String(chunk);
        if (printed.includes('Ready to accept connections')) resolve();
      });
      child.once('exit', () => reject(new Error(`redis-server ended:\n${printed}`)));
    });
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#process?.kill(name);
  }

  /** Ends it at once. With `--appendonly yes` it finds its data again. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  /** Sends commands, one after the other. */
  send(...commands: string[][]): Promise<unknown[]> {
    return sendTo(this.url, commands);
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Sends commands on a connection of their own, one after the other. */
export async function sendTo(url: string, commands: readonly string[][]): Promise<unknown[]> {
  const client = createClient({ url, maintNotifications: 'disabled', socket: { reconnectStrategy: false } });
  client.on('error', () => undefined); // what waits is rejected
  await client.connect();
  try {
    const answers: unknown[] = [];
    for (const command of commands) answers.push(await client.sendCommand(command));
    return answers;
  } finally {
    if (client.isOpen) client.destroy();
  }
}

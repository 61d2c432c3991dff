/** A Sentinel of a test's own, which watches over one master. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../hub-process.ts';
import { programPath } from '../needs.ts';
import { sendTo } from './redis-server.ts';

const DOWN_AFTER_MS = 1000;

export class RedisSentinel {
  readonly port: number;
  readonly #folder: string;
  readonly #process: ChildProcess;

  private constructor(port: number, folder: string, process: ChildProcess) {
    this.port = port;
    this.#folder = folder;
    this.#process = process;
  }

  /** `name`: that of the master. */
  static async start(name: string, masterPort: number): Promise<RedisSentinel> {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), 'presence-sentinel-'));
    const config = join(folder, 'sentinel.conf');
    const lines = [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${folder}`,
      `sentinel monitor ${name} 127.0.0.1 ${masterPort} 1`,
      `sentinel down-after-milliseconds ${name} ${DOWN_AFTER_MS}`,
      `sentinel failover-timeout ${name} 10000`,
    ];
    writeFileSync(config, `${lines.join('\n')}\n`);
    const child = spawn(programPath('redis-server'), [config, '--sentinel'], { stdio: ['ignore', 'pipe', 'ignore'] });
    await new Promise<void>((resolve, reject) => {
      let printed = '';
      child.stdout.on('data', (chunk: Buffer) => {
        printed += String(chunk);
        if (printed.includes('+monitor master')) resolve();
      });
      child.once('exit', () => reject(new Error(`the Sentinel ended:\n${printed}`)));
    });
    return new RedisSentinel(port, folder, child);
  }

  send(...commands: string[][]): Promise<unknown[]> {
    return sendTo(`redis://127.0.0.1:${this.port}`, commands);
  }

  async close(): Promise<void> {
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

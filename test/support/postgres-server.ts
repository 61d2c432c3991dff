/** A PostgreSQL server of a test's own: on its own port, with its data in a folder of its own, without passwords. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdtempSync, rmSync, writeFileSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { freePort } from './hub-process.ts';
import { programPath } from './needs.ts';

/** PostgreSQL refuses to run as root, so root runs it as Debian’s user nobody. */
const NOBODY = 65_534;
const owner = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : { uid: undefined };
/** Needs a password, unlike all other roles. */
export const GUARDED_ROLE = 'guarded';

export class PostgresServer {
  readonly port: number;
  readonly #folder: string;
  #process: ChildProcess | undefined;
  #databases = 0;

  private constructor(port: number, folder: string) {
    this.port = port;
    this.#folder = folder;
  }

  static async start(): Promise<PostgresServer> {
    const folder = mkdtempSync(join(tmpdir(), 'presence-postgres-'));
    if (owner.uid !== undefined) chownSync(folder, owner.uid, owner.gid);
    const server = new PostgresServer(await freePort(), folder);
    const args = ['-D', server.#data, '-U', 'postgres', '-A', 'trust', '--no-sync', '-E', 'UTF8', '--locale=C'];
    const made = spawnSync(join(programPath('postgres'), '..', 'initdb'), args, { ...owner, encoding: 'utf8' });
    if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
    const rules = join(server.#data, 'pg_hba.conf');
    writeFileSync(rules, `host all ${GUARDED_ROLE} 127.0.0.1/32 scram-sha-256\n${readFileSync(rules, 'utf8')}`);
    await server.run();
    return server;
  }

  get #data(): string {
    return join(this.#folder, 'data');
  }

  urlOf(database: string, user = 'postgres', port = this.port): string {
    return `postgres://${user}@127.0.0.1:${port}/${database}`;
  }

  /** Creates an empty database. @returns its name. */
  async newDatabase(): Promise<string> {
    const name = `hub_${++this.#databases}`;
    await this.query('postgres', `CREATE DATABASE ${name}`);
    return name;
  }

  async query(database: string, sql: string): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: this.urlOf(database) });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows;
    } finally {
      await client.end();
    }
  }

  /** Starts the server again after `kill`. */
  async run(): Promise<void> {
    const settings = ['listen_addresses=127.0.0.1', 'fsync=off', `unix_socket_directories=${this.#folder}`];
    const args = ['-D', this.#data, '-p', String(this.port), ...settings.flatMap((one) => ['-c', one])];
    const child = spawn(programPath('postgres'), args, { ...owner, stdio: ['ignore', 'ignore', 'pipe'] });
    this.#process = child;
    await new Promise<void>((resolve, reject) => {
      let log = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        log += text;
        if (log.includes('ready to accept connections')) resolve();
      });
      child.once('exit', () => {
        reject(new Error(`PostgreSQL did not start: ${log}`));
      });
    });
  }

  /** Ends the server at once, as a crash does. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child?.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGQUIT');
    await ended;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

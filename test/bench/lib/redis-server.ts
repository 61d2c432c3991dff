/** A Redis server under test: a separate process on a free port, without persistence, and the costs that it reports. */
import { createServer, type AddressInfo } from 'node:net';
import { createClient } from '@redis/client';
import { startProcess, type ServerProcess } from './server-process.ts';

export interface RedisServer {
  readonly server: ServerProcess;
  readonly url: string;
}

export async function startRedis(core: number | null): Promise<RedisServer> {
  const port = await freePort();
  const { server } = await startProcess({
    name: 'redis-server',
    command: ['redis-server', '--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
    env: process.env,
    core,
    startedWith: (text) => (text.includes('Ready to accept connections') ? port : undefined),
  });
  return { server, url: `redis://127.0.0.1:${port}` };
}

export type RedisClient = Awaited<ReturnType<typeof connectRedis>>;

export async function connectRedis(url: string) {
  const client = createClient({ url, maintNotifications: 'disabled' });
  client.on('error', () => undefined);
  return client.connect();
}

/** Microseconds of the server's thread per call of a command, since the last `CONFIG RESETSTAT`. */
export async function usPerCall(client: RedisClient, command: string): Promise<number> {
  const stats = await client.info('commandstats');
  const line = new RegExp(`^cmdstat_${command}:.*usec_per_call=([\\d.]+)`, 'm').exec(stats);
  return Number(line?.[1] ?? NaN);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * The hub as the server under test: a separate process with only the workload's environment variables, on free ports,
 * with its data in a temporary folder. Reads only the start line of the hub's output.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { authSettings } from './credentials.ts';
import { readMetrics, sumOf } from './hub-http.ts';
import { hubMain } from './places.ts';
import { startProcess } from './server-process.ts';
import type { HubServer, Place } from './server.ts';
import { HUB } from './comparison-results.ts';

export interface HubOptions {
  /** The hub's main.js; default: the one of this repository. */
  readonly main?: string | undefined;
  /** `auto`, `uws` or `ws`. */
  readonly transport: string;
  /** The core that it has to itself, or null. */
  readonly core: number | null;
  readonly settings: Readonly<Record<string, string>>;
  /** Limit of Node's old space in megabytes, beyond which the hub ends; default: Node's own. */
  readonly oldSpaceMb?: number | undefined;
  /** The ports and the data of an earlier one. */
  readonly place?: Place | undefined;
}

export async function startHub(options: HubOptions): Promise<HubServer> {
  const { main = hubMain, transport, core, settings, oldSpaceMb, place } = options;
  const folder = place?.folder ?? mkdtempSync(join(tmpdir(), 'presence-hub-load-'));
  const tcpPort = place?.tcpPort ?? (await freePort());
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('HUB_'));
  const env = {
    ...Object.fromEntries(inherited),
    HUB_PORT: String(place?.port ?? 0),
    HUB_TCP_PORT: String(tcpPort),
    HUB_DATA: folder,
    HUB_LOG_LEVEL: 'warn',
    HUB_TRANSPORT: transport,
    ...authSettings(),
    ...settings,
  };
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });
  const started = startProcess({
    name: 'the hub',
    command: [process.execPath, ...(oldSpaceMb === undefined ? [] : [`--max-old-space-size=${oldSpaceMb}`]), main],
    env,
    core,
    startedWith: listeningPort,
  });
  started.catch(removeFolder);
  const { server, start: port } = await started;
  let hasNext = false;
  void server.whenEnded.then(() => {
    if (!hasNext) removeFolder();
  });
  return {
    ...server,
    name: HUB,
    port,
    tcpPort,
    heartbeats: async () => sumOf(await readMetrics(port), 'presence_hub_heartbeats_total'),
    crash: async () => {
      hasNext = true;
      server.kill();
      await server.whenEnded;
      return { folder, port, tcpPort };
    },
    drain: async () => {
      hasNext = true;
      server.drain();
      await server.whenEnded;
      return { folder, port, tcpPort };
    },
  };
}

function listeningPort(stdout: string): number | undefined {
  const page = /^ +page +http:\/\/[^:]+:(\d+)\/$/m.exec(stdout);
  return page === null || !stdout.includes('Ctrl-C stops\n') ? undefined : Number(page[1]);
}

/** Port 0 switches TCP off, so the hub can't choose a TCP port itself. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}

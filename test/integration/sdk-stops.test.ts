/**
 * The SDK in a process that is suspended and resumed, with a real hub, over a connection that may have died meanwhile.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestHub, type TestHub } from '../support/hub.ts';

const root = pathToFileURL(`${process.cwd()}/`);

/** Prints each change of its status, and of whether what it shows is stale. */
const CLIENT = `
  import { WebSocket } from ${JSON.stringify(new URL('node_modules/ws/wrapper.mjs', root).href)};
  import { createPresenceClient } from ${JSON.stringify(new URL('dist/client/sdk/index.js', root).href)};
  const client = createPresenceClient({ url: process.argv[1], user: '42', WebSocket });
  const view = client.watch(['7']);
  view.on('sync', () => console.log('synced'));
  client.on('status', ({ status }) => console.log(status));
  process.on('SIGUSR2', () => client.check());
  client.on('stale', ({ staleSince }) => console.log(staleSince === null ? 'fresh' : 'stale'));
`;

/** A line to the hub that can die as a network does: without a word to either end. */
class Line {
  readonly #server: Server;
  readonly #sockets: Socket[] = [];

  constructor(hubPort: number) {
    this.#server = createServer((near) => {
      const far = connect(hubPort, '127.0.0.1');
      near.pipe(far).pipe(near);
      for (const socket of [near, far]) socket.on('error', () => undefined);
      this.#sockets.push(near, far);
    });
  }

  async open(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  die(): void {
    for (const socket of this.#sockets) socket.unpipe().pause();
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

describe('the SDK in a process that is stopped', () => {
  let hub: TestHub;
  let line: Line;
  let child: ChildProcess;
  let printed: string;

  beforeEach(async () => {
    hub = await startTestHub({ heartbeatMs: 1_000 });
    line = new Line(Number(new URL(hub.addresses.http).port));
    child = spawn(process.execPath, ['--input-type=module', '-e', CLIENT, `http://127.0.0.1:${await line.open()}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    printed = '';
    child.stdout!.setEncoding('utf8').on('data', (text: string) => (printed += text));
    await hub.until(() => printed.includes('synced'));
  });
  afterEach(async () => {
    child.kill('SIGKILL');
    line.close();
    await hub.stop();
  });

  const stopFor = async (ms: number): Promise<void> => {
    child.kill('SIGSTOP');
    await delay(ms);
    child.kill('SIGCONT');
  };

  it('says within 7 s that what it shows is stale when the line has died', async () => {
    printed = '';
    line.die();
    await stopFor(3_500);
    const goesOnAt = performance.now();
    await hub.until(() => printed.includes('stale'));
    expect(performance.now() - goesOnAt).toBeLessThan(7_000);
  });

  it('finds out at once when the app asks', async () => {
    printed = '';
    line.die();
    child.kill('SIGUSR2');
    const askedAt = performance.now();
    await hub.until(() => printed.includes('stale'));
    expect(performance.now() - askedAt).toBeLessThan(6_000);
  });

  it('says nothing when the line is sound', async () => {
    printed = '';
    await stopFor(3_500);
    await delay(6_000); // longer than the probe waits for its answer
    expect(printed).toBe('');
  });
});

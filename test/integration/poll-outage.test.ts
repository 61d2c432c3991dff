/** PROTOCOL.md section 6: the hub's own network fails. Nobody is reported offline for it, and watchers are sent `stale`. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { TestClock } from '../support/clock.ts';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { WsClient } from '../support/ws-client.ts';

/** No TCP connection goes to a multicast address: ENETUNREACH, on every network. */
const NO_ROUTE = 'tcp://224.0.0.1:9';
const HOUR_MS = 3_600_000;

onBothEngines('a hub that cannot poll', (transport) => {
  let folder: string;
  let pollFile: string;
  let alive: string;
  let hub: TestHub;
  const server = createServer((socket) => socket.on('error', () => undefined).resume());

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hub-outage-'));
    pollFile = join(folder, 'targets.json');
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    alive = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
    targets({ polled: alive, other: alive });
    hub = await start();
  });
  afterEach(async () => {
    await hub.stop();
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true });
  });

  const start = (clockOf?: (clock: TestClock) => TestClock) =>
    startTestHub(
      {
        transport,
        pollFile,
        data: join(folder, 'data'),
        heartbeatMs: HOUR_MS,
        timeoutMs: 24 * HOUR_MS,
        warmMs: 5_000,
      },
      clockOf,
    );
  function targets(urls: Record<string, string>): void {
    const list = Object.entries(urls).map(([user, url]) => ({ user, url, everyMs: 500, timeoutMs: 500, failures: 1 }));
    writeFileSync(`${pollFile}.new`, JSON.stringify(list));
    renameSync(`${pollFile}.new`, pollFile);
  }
  const entryOf = async (user: string) =>
    (await hub.request('GET', `/v1/presence/${user}`)).body as { status: string; stale?: boolean; lastSeen: number };
  /** Lets polls come round until it is so. */
  const until = (condition: () => Promise<boolean>) =>
    hub.until(() => {
      hub.clock.pass(50);
      return condition();
    });
  /** Lets far more than a lease of a polled user pass, which is 3 s here. */
  const lapse = async (ms: number): Promise<void> => {
    for (let passedMs = 0; passedMs < ms; passedMs += 500) {
      hub.clock.pass(500);
      await hub.looked();
    }
  };
  const watch = async (...users: string[]): Promise<WsClient> => {
    const watcher = await WsClient.hello(hub.addresses.ws, { observe: true });
    watcher.send({ type: 'watch', users });
    await watcher.next('snapshot');
    return watcher;
  };
  const staleOf = ({ all }: WsClient) => all.map(({ type }) => type).filter((type) => /stale|fresh/.test(type));

  it('shows the polled user to its friends while it can (P6)', async () => {
    await hub.request('PUT', '/v1/users/7/friends/polled');
    const friend = await WsClient.hello(hub.addresses.ws, { user: '7' });
    friend.send({ type: 'watch', friendsOf: '7' });
    await friend.next('snapshot');
    await until(async () => (await entryOf('polled')).status === 'online');
    targets({ other: alive });
    await until(async () => (await entryOf('polled')).status === 'offline');
    await friend.roundTrip();
    const seen = friend.all.flatMap((message) => (message.type === 'presence' ? message.entries : []));
    expect(seen.at(-1)).toMatchObject({ user: 'polled', status: 'offline' });
  });

  it('shows its users as before and as stale, to those who are shown them, until it can (P5)', async () => {
    await until(
      async () => (await entryOf('polled')).status === 'online' && (await entryOf('other')).status === 'online',
    );
    const watcher = await watch('polled');
    const others = await watch('other', 'nobody');
    const wasPollableAt = hub.clock.wallMs;
    targets({ polled: NO_ROUTE, other: alive });
    await until(async () => (await entryOf('polled')).stale === true);
    const { since } = await watcher.next('stale');
    expect(since).toBeGreaterThan(wasPollableAt - 1000);
    expect(since).toBeLessThan(hub.clock.wallMs);
    await lapse(20_000);
    expect(await entryOf('polled')).toMatchObject({ status: 'online', stale: true });
    expect(await entryOf('other')).not.toHaveProperty('stale');
    const late = await WsClient.hello(hub.addresses.ws, { observe: true });
    late.send({ type: 'watch', users: ['polled'] });
    await late.next('snapshot');
    expect(late.all.map(({ type }) => type)).toEqual(['welcome', 'stale', 'snapshot']);

    targets({ polled: NO_ROUTE, other: NO_ROUTE });
    await until(() => Promise.resolve(staleOf(others).length === 1));
    targets({ polled: NO_ROUTE, other: alive });
    await until(() => Promise.resolve(staleOf(others).length === 2));
    expect(staleOf(watcher)).toEqual(['stale']);

    targets({ polled: alive, other: alive });
    await until(() => Promise.resolve(staleOf(watcher).length === 2));
    expect(staleOf(watcher)).toEqual(['stale', 'fresh']);
    expect(staleOf(others)).toEqual(['stale', 'fresh']);
    expect(await entryOf('polled')).not.toHaveProperty('stale');
    expect(watcher.all.filter(({ type }) => type === 'presence')).toEqual([]);
  });

  it('does so after a restart, too, and reports a target as offline that does not answer', async () => {
    await until(
      async () => (await entryOf('polled')).status === 'online' && (await entryOf('other')).status === 'online',
    );
    const { wallMs } = hub.clock;
    targets({ polled: NO_ROUTE, other: NO_ROUTE });
    await hub.stop();
    hub = await start((clock) => {
      clock.stepWall(wallMs + 1000 - clock.wallMs);
      return clock;
    });
    await lapse(20_000);
    expect(await entryOf('polled')).toMatchObject({ status: 'online', stale: true });
    targets({ polled: 'tcp://127.0.0.1:1', other: alive });
    await until(async () => (await entryOf('polled')).status === 'offline');
    await until(async () => (await entryOf('other')).stale === undefined);
    expect(await entryOf('other')).toMatchObject({ status: 'online' });
    expect(await entryOf('polled')).not.toHaveProperty('stale');
  });
});

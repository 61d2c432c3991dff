/** HUB_WORKERS: several nodes behind the same ports, watched by one parent (PROTOCOL.md section 8). */
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Observer } from '../../support/cluster-stage.ts';
import { endHubProcesses, freePort, holdPort, type Exit } from '../../support/hub-process.ts';
import { LegacyClient } from '../../support/legacy-client.ts';
import { needing } from '../../support/needs.ts';
import { isAlive, WORKERS, WorkersStage, type WorkersHub } from '../../support/workers-stage.ts';
import { WsClient } from '../../support/ws-client.ts';
import { transports } from '../../support/transports.ts';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

const SOON = { timeout: 60_000, interval: 50 };

let stage: WorkersStage;
const folder = mkdtempSync(join(tmpdir(), 'hub-workers-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function observe(hub: WorkersHub, ...users: string[]): Promise<Observer> {
  return Observer.open(hub.ws, users, new Map());
}

function expectOneLine({ code, stderr, stdout }: Exit, ...parts: string[]): void {
  expect(stderr).toMatch(/^presence-hub: [^\n]*\n$/);
  for (const part of parts) expect(stderr).toContain(part);
  expect(stdout).toBe('');
  expect(code).toBe(1);
}

describe.each(transports)('workers on %s', { ...needing('redis-server'), ...needing('Linux') }, (engine) => {
  beforeAll(async () => {
    stage = await WorkersStage.start();
  });
  afterEach(endHubProcesses);
  afterAll(() => stage.stop());

  const start = (settings: Readonly<Record<string, string>> = {}): Promise<WorkersHub> =>
    stage.hub({ HUB_TRANSPORT: engine, HUB_LOG_LEVEL: 'info', ...settings });

  it('serve the same ports, and changes on one appear on the other (C22, C27)', async () => {
    const tcpPort = await freePort();
    const hub = await start({ HUB_TCP_PORT: String(tcpPort) });
    expect(hub.printed.match(/Ctrl-C stops/g)).toHaveLength(1);
    expect(hub.printed).toContain(`  workers    ${WORKERS} on these ports`);

    const tcpUsers = Array.from({ length: 8 }, (_, i) => `tcp-${i}`);
    const clients = await hub.clientsOnAll((i) => ({ user: `ws-${i}` }));
    const observers = await hub.clientsOnAll(() => ({ observe: true }));
    for (const observer of observers) {
      observer.send({ type: 'watch', users: ['ws-0', 'ws-1', ...tcpUsers] });
      const { entries } = await observer.next('snapshot');
      expect(entries.filter(({ status }) => status === 'online').map(({ user }) => user)).toEqual(['ws-0', 'ws-1']);
    }
    for (const user of tcpUsers) (await LegacyClient.open(tcpPort)).beat(user);
    await Promise.all(observers.flatMap((one) => tcpUsers.map((user) => seen(one, user))));
    const connections = await hub.metricByWorker('presence_hub_connections', 'tcp-xml');
    expect([...connections.values()].every((count) => count > 0)).toBe(true);
    expect([...connections.values()].reduce((sum, count) => sum + count)).toBe(tcpUsers.length);
    const metrics = await (await fetch(`${hub.http}/metrics`)).text();
    const families = metrics.match(/^# TYPE \S+/gm)!;
    expect(new Set(families).size).toBe(families.length);
    expect(metrics).toMatch(/^presence_hub_bus_seconds_bucket\{le="\+Inf",worker="1"\} \d+$/m);
    expect(await (await fetch(`${hub.http}/readyz`)).json()).toEqual({ status: 'ready', redis: 'up' });
    for (const client of [...clients, ...observers]) client.close();
  });

  it('are replaced if they die, and users who come back are never offline (C23)', async () => {
    const hub = await start();
    const users = Array.from({ length: 12 }, (_, i) => `u${i}`);
    let hasBegun = true;
    const connect = async (user: string): Promise<void> => {
      const client = await WsClient.open(hub.ws);
      client.send({ type: 'hello', user });
      await client.next('welcome');
      void client.closed.then(() => (hasBegun ? again(user) : undefined));
    };
    // A connection to the worker that dies may be cut before it is welcomed.
    const again = (user: string): Promise<void> => connect(user).catch(() => again(user));
    await Promise.all(users.map(connect));
    const observers = await Promise.all(
      (await hub.clientsOnAll(() => ({ observe: true }))).map((one) => watch(one, users)),
    );
    const [victim] = hub.pids;
    process.kill(victim!, 'SIGKILL');
    await vi.waitFor(() => expect(hub.linesOf('the worker serves again')).toHaveLength(1), SOON);
    await hub.untilAllServe();
    const fresh = await observe(hub, ...users);
    await fresh.until(() => !fresh.isStale && users.every((user) => fresh.statusOf(user) === 'online'));
    // Longer than it takes to report those who did not come back.
    await new Promise((resolve) => setTimeout(resolve, 11_000));
    expect(users.map((user) => fresh.statusOf(user))).toEqual(users.map(() => 'online'));
    for (const statuses of observers) expect(new Set(statuses)).toEqual(new Set(['online']));
    expect(hub.linesOf('a worker ended')).toMatchObject([{ level: 40, workerPid: victim, signal: 'SIGKILL' }]);
    expect(hub.pids).toHaveLength(WORKERS);
    hasBegun = false;
  });

  it('that die leave no accepted connection waiting (C23)', async () => {
    const hub = await start();
    let isOver = false;
    let open = 0;
    const isEnded = async (): Promise<void> => {
      const socket = connect(Number(new URL(hub.http).port), '127.0.0.1');
      socket.on('error', () => undefined); // cut, or refused by a worker that is gone
      socket.on('data', () => socket.end());
      socket.write('GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n');
      open++;
      await new Promise((resolve) => socket.once('close', resolve));
      open--;
    };
    const client = async (): Promise<void> => {
      while (!isOver) await isEnded();
    };
    const clients = Array.from({ length: 20 }, client);
    for (let serving = 1; serving <= 4; serving++) {
      process.kill(hub.pids[0]!, 'SIGKILL');
      await vi.waitFor(() => expect(hub.linesOf('the worker serves again')).toHaveLength(serving), SOON);
    }
    isOver = true;
    await vi.waitFor(() => expect(open).toBe(0), SOON);
    await Promise.all(clients);
  });

  it('drain on SIGTERM to the parent, which then exits with 0 (C24)', async () => {
    const hub = await start();
    const clients = await hub.clientsOnAll((i) => ({ user: `u${i}` }));
    const { pids } = hub;
    hub.process.child.kill('SIGTERM');
    await Promise.all(clients.map((client) => client.next('reconnect')));
    for (const client of clients) client.close();
    expect(await hub.process.exited).toMatchObject({ code: 0, signal: null });
    expect(pids.filter(isAlive)).toEqual([]);
    expect(new Set(hub.linesOf('the hub has stopped').map(({ worker }) => worker))).toEqual(new Set([1, 2]));
  });

  it('stop at once on SIGINT, even during the start (C24)', async () => {
    const hub = await start();
    hub.process.child.kill('SIGINT');
    expect((await hub.process.exited).code).toBe(0);
    const early = stage.begin({ HUB_TRANSPORT: engine, HUB_LOG_LEVEL: 'info' });
    await once(early.child.stderr!, 'data'); // a worker serves
    early.child.kill('SIGTERM');
    expect(await early.exited).toMatchObject({ code: 0, stdout: '' });
  });

  it('end if their parent is killed (C25)', async () => {
    const hub = await start();
    const { pids } = hub;
    expect(pids).toHaveLength(WORKERS);
    hub.process.child.kill('SIGKILL');
    await vi.waitFor(() => expect(pids.filter(isAlive)).toEqual([]), SOON);
  });

  it.each(['HUB_PORT', 'HUB_TCP_PORT'])('do not start if another process holds %s (C22, S14)', async (name) => {
    const held = await holdPort();
    try {
      const settings = { HUB_TRANSPORT: engine, [name]: String(held.port) };
      expectOneLine(await stage.begin(settings).exited, `${name} is ${held.port}: another process holds that port`);
    } finally {
      await held.close();
    }
  });

  it('do not share their port with a second hub (C22, S14)', async () => {
    const port = String(await freePort());
    await start({ HUB_PORT: port });
    const settings = { HUB_TRANSPORT: engine, HUB_PORT: port, HUB_REDIS_PREFIX: 'other:' };
    expectOneLine(await stage.begin(settings).exited, `HUB_PORT is ${port}: another process holds that port`);
  });

  it('apply a changed setting on SIGHUP to the parent, and workers that start later use it too (C24, S19)', async () => {
    const path = join(folder, `${engine}.json`);
    writeFileSync(path, JSON.stringify({ maxWatches: 5 }));
    const hub = await start({ HUB_CONFIG: path });
    writeFileSync(path, JSON.stringify({ maxWatches: 1, workers: 3 }));
    hub.process.child.kill('SIGHUP');
    await vi.waitFor(() => expect(hub.linesOf('SIGHUP: settings were reloaded')).toHaveLength(WORKERS), SOON);
    process.kill(hub.pids[0]!, 'SIGKILL');
    await vi.waitFor(() => expect(hub.linesOf('the worker serves again')).toHaveLength(1), SOON);
    // It waits for the dead one, and must not take itself for cut off meanwhile.
    expect(hub.linesOf('this hub alone')).toEqual([]);
    for (const client of await hub.clientsOnAll(() => ({ observe: true }))) {
      client.send({ type: 'watch', users: ['a', 'b'] });
      expect(await client.next('error')).toMatchObject({ code: 'too_many' });
    }
    for (const [index, wrong] of ['{', JSON.stringify({ maxWatches: 9, tcpAllow: 'everyone' })].entries()) {
      writeFileSync(path, wrong);
      hub.process.child.kill('SIGHUP');
      await vi.waitFor(() => expect(hub.linesOf('nothing was reloaded')).toHaveLength(index + 1), SOON);
    }
    process.kill(hub.pids[0]!, 'SIGKILL');
    await vi.waitFor(() => expect(hub.linesOf('the worker serves again')).toHaveLength(2), SOON);
    expect(hub.linesOf('nothing was reloaded')).toHaveLength(2);
  });

  it('have a data folder each (C26)', async () => {
    const data = join(folder, `data-${engine}`);
    const hub = await start({ HUB_DATA: data });
    expect([1, 2].map((number) => existsSync(join(data, `worker-${number}`, 'hub.sqlite')))).toEqual([true, true]);
    hub.process.child.kill('SIGINT');
    await hub.process.exited;
  });
});

// Takes more than 30 s, and is the same on both engines.
describe('workers of any engine', { ...needing('redis-server'), ...needing('Linux') }, () => {
  beforeAll(async () => {
    stage = await WorkersStage.start();
  });
  afterEach(endHubProcesses);
  afterAll(() => stage.stop());

  it('are replaced if they hang, and the others are not (C23)', async () => {
    const hub = await stage.hub({ HUB_LOG_LEVEL: 'info' });
    const [hung, sound] = hub.pids;
    process.kill(hung!, 'SIGSTOP');
    await vi.waitFor(() => expect(hub.linesOf('the worker serves again')).toHaveLength(1), SOON);
    expect(hub.linesOf('a worker does not answer')).toMatchObject([{ level: 40, workerPid: hung }]);
    expect(isAlive(hung!)).toBe(false);
    expect(hub.pids).toContain(sound);
  });
});

describe('workers do not start, with one line,', needing('redis-server'), () => {
  beforeAll(async () => {
    stage = await WorkersStage.start();
  });
  afterEach(endHubProcesses);
  afterAll(() => stage.stop());

  it.each([
    ['without Redis', { HUB_REDIS_URL: '' }, ['HUB_WORKERS is 2', 'HUB_REDIS_URL']],
    ['with friend lists in SQLite', { HUB_ROSTER: '' }, ['HUB_WORKERS is 2', 'HUB_ROSTER']],
    ['if Redis does not answer', { HUB_REDIS_URL: 'redis://127.0.0.1:1' }, ['HUB_REDIS_URL']],
    ['with a wrong setting that only the hub can judge', { HUB_CODES: 'away=two' }, ['HUB_CODES is "away=two"']],
    ['with a data folder below a file', { HUB_DATA: '/dev/null/x' }, ['HUB_DATA=']],
  ])('%s (C22, S15)', async (_, settings, parts) => {
    expectOneLine(await stage.begin(settings).exited, ...parts);
  });
});

async function seen(observer: WsClient, user: string): Promise<void> {
  await vi.waitFor(() => {
    const entries = observer.all.flatMap((message) => (message.type === 'presence' ? message.entries : []));
    expect(entries.find((entry) => entry.user === user)).toMatchObject({ status: 'online' });
  }, SOON);
}

/** The statuses that it is told of these users from now on, as long as it is connected. */
async function watch(observer: WsClient, users: readonly string[]): Promise<readonly string[]> {
  const statuses: string[] = [];
  observer.onMessage((message) => {
    if (message.type === 'snapshot' || message.type === 'presence')
      statuses.push(...message.entries.map(({ status }) => status));
  });
  observer.send({ type: 'watch', users });
  await observer.next('snapshot');
  return statuses;
}

/** `presence-hub backup` and `restore`: under load, restored elsewhere, and never behind what a client has seen. */
import { copyFileSync, existsSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Entry } from '../../shared/messages/entry.ts';
import { runBackup, runRestore } from '../support/backup-commands.ts';
import { startHubProcess, startLine } from '../support/hub-process.ts';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { WsClient } from '../support/ws-client.ts';
import { useProcessFolder } from '../support/process-folder.ts';

vi.setConfig({ testTimeout: 60_000 });

const folder = useProcessFolder('hub-backup-');
const { at } = folder;
const OK = expect.objectContaining({ code: 0, err: '' }) as unknown;

test('a backup under load, restored elsewhere, has all friends, and no version below one that was seen', async () => {
  const page = startLine(await startHubProcess({ HUB_DATA: at('data'), HUB_MESSAGES_PER_S: '100000' }).started, 'page');
  const users = Array.from({ length: 15 }, (_, i) => `u${i}`);
  const request = (method: string, path: string, body?: object) =>
    fetch(page + path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const watcher = await WsClient.hello(`${page.replace('http', 'ws')}ws`, { observe: true });
  const seen = new Map<string, number>();
  watcher.onMessage((message) => {
    if (message.type !== 'presence' && message.type !== 'snapshot') return;
    for (const { user, v } of message.entries) seen.set(user, Math.max(v, seen.get(user) ?? 0));
  });
  watcher.send({ type: 'watch', users });
  await watcher.next('snapshot');

  const load = { isOver: false };
  const changes = users.map(async (user) => {
    for (let n = 0; !load.isOver; n++) {
      const status = n % 3 === 2 ? 'offline' : 'online';
      expect((await request('POST', 'v1/heartbeat', { user, status, text: `${n}`, ttlMs: 60_000 })).status).toBe(200);
    }
  });
  const befriended: string[] = [];
  const edits = (async () => {
    for (let n = 0; !load.isOver; n++) {
      const friend = `f${n}`;
      expect((await request('PUT', `v1/users/u0/friends/${friend}`)).status).toBe(204);
      befriended.push(friend);
    }
  })();
  await expect.poll(() => befriended.length, { interval: 10, timeout: 20_000 }).toBeGreaterThan(30);
  const before = [...befriended];
  const backup = await startHubProcess({ HUB_DATA: at('data') }, ['backup', at('hub.backup')]).exited;
  expect(backup).toMatchObject({ code: 0, stderr: '' });
  expect(backup.stdout).toMatch(/^backed up .* users, \d+ entries of friend lists, [\d.]+ MB\n$/);
  await expect.poll(() => befriended.length, { interval: 10, timeout: 20_000 }).toBeGreaterThan(before.length);
  load.isOver = true;
  await Promise.all([...changes, edits]);

  expect(await runRestore(at('hub.backup'), '--data', at('elsewhere'))).toEqual(OK);
  const second = startLine(await startHubProcess({ HUB_DATA: at('elsewhere') }).started, 'page');
  const ask = async (path: string) =>
    (await (await fetch(second + path)).json()) as { friends: string[]; entries: Entry[] };
  const { friends } = await ask('v1/users/u0/friends');
  expect(friends).toEqual(expect.arrayContaining(before));
  // A mutual friendship is in the backup with both of its entries, or not at all.
  for (const friend of friends) expect((await ask(`v1/users/${friend}/friends`)).friends).toEqual(['u0']);
  const { entries } = await ask(`v1/presence?users=${users.join()}`);
  for (const { user, v } of entries) expect(v).toBeGreaterThanOrEqual(seen.get(user) ?? Infinity);
});

describe('a backup that is restored over later data', () => {
  let hub: TestHub | undefined;
  afterEach(async () => {
    await hub?.stop();
    hub = undefined;
  });

  /** Starts a hub on the folder whose clock is at `wallMs`. */
  const start = async (wallMs?: number): Promise<TestHub> => {
    hub = await startTestHub({ data: at('data') }, (clock) => {
      if (wallMs !== undefined) clock.wallMs = wallMs;
      return clock;
    });
    return hub;
  };
  const heartbeat = async (one: TestHub, text: string) =>
    ((await one.request('POST', '/v1/heartbeat', { user: '42', text })).body as { entry: Entry }).entry;
  const entry = async (one: TestHub) => (await one.request('GET', '/v1/presence/42')).body as Entry;

  test.each(['running', 'stopped'])(
    'of a hub that was %s does not go back, even with a clock that does',
    async (how) => {
      const first = await start();
      const wallMs = first.clock.wallMs;
      await heartbeat(first, 'before');
      if (how === 'stopped') await first.stop();
      else await vi.waitFor(async () => expect((await first.request('GET', '/readyz')).status).toBe(200));
      expect(await runBackup(at('hub.backup'), '--data', at('data'))).toEqual(OK);
      const later = how === 'stopped' ? await start(wallMs + 3_600_000) : first;
      later.clock.pass(3_600_000);
      const seen = await heartbeat(later, 'after');
      await later.stop();
      expect(await runRestore(at('hub.backup'), '--data', at('data'))).toMatchObject({ code: 1 });
      const restored = await runRestore(at('hub.backup'), '--data', at('data'), '--force');
      expect(restored).toEqual(OK);

      const next = await start(wallMs);
      const now = await entry(next);
      expect(now.text).toBe(how === 'stopped' ? 'before' : now.text);
      expect(now.v).toBeGreaterThan(seen.v);
      // A client that comes back with an `at` from after the backup gets everything.
      const client = await WsClient.hello(next.addresses.ws, { observe: true });
      client.send({ type: 'watch', users: ['42'], since: seen.v });
      expect(await client.next('snapshot')).not.toHaveProperty('since');
      expect((await heartbeat(next, 'again')).v).toBeGreaterThan(now.v);
      client.close();
    },
  );
});

test('restore says that the clock of this machine is behind the data', async () => {
  const hub = await startTestHub({ data: at('data') }, (clock) => {
    clock.wallMs = Date.now() + 3_600_000;
    return clock;
  });
  await hub.request('POST', '/v1/heartbeat', { user: '42' });
  expect(await runBackup(at('hub.backup'), '--data', at('data'))).toEqual(OK);
  await hub.stop();
  const { out } = await runRestore(at('hub.backup'), '--data', at('elsewhere'));
  expect(out).toMatch(/\nwarning: this machine’s clock is 3[56]\d\d s behind the data: set the clock first\n$/);
});

test('a backup is private, and is not left behind half made', async () => {
  const hub = await startTestHub({ data: at('data') });
  try {
    await runBackup(at('hub.backup'), '--data', at('data'));
    expect(statSync(at('hub.backup')).mode & 0o777).toBe(0o600);
    const failed = await runBackup(at('nowhere/hub.backup'), '--data', at('data'));
    expect(failed.code).toBe(1);
    expect(failed.err).toMatch(/nowhere\/hub\.backup can't be written \(ENOENT/);
    expect(readdirSync(folder.path).sort()).toEqual(['data', 'hub.backup']);
  } finally {
    await hub.stop();
  }
});

describe('what is refused changes nothing:', () => {
  const contentsOf = (name: string) =>
    readdirSync(at(name)).map((file) => [file, readFileSync(join(at(name), file), 'hex')]);
  let hub: TestHub;
  beforeEach(async () => {
    hub = await startTestHub({ data: at('data') });
    await runBackup(at('hub.backup'), '--data', at('data'));
  });
  afterEach(() => hub.stop());

  test('a backup over a file, unless --force is given', async () => {
    writeFileSync(at('file'), 'precious');
    const refused = await runBackup(at('file'), '--data', at('data'));
    expect(refused).toEqual({ code: 1, out: '', err: expect.stringContaining('exists: name another file') as string });
    expect(readFileSync(at('file'), 'utf8')).toBe('precious');
    expect(await runBackup(at('file'), '--data', at('data'), '--force')).toEqual(OK);
  });

  test('a backup of a folder without data', async () => {
    expect((await runBackup(at('other'), '--data', folder.path)).err).toContain('holds no hub.sqlite');
    expect(existsSync(at('other'))).toBe(false);
  });

  test('a restore into a folder that a hub uses, also with --force', async () => {
    const refused = await runRestore(at('hub.backup'), '--data', at('data'), '--force');
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.err).toContain('is in use by another hub');
    expect((await hub.request('GET', '/readyz')).status).toBe(200);
  });

  test('a restore of a file that is no sound backup', async () => {
    await runRestore(at('hub.backup'), '--data', at('elsewhere'));
    const before = contentsOf('elsewhere');
    const damaged = readFileSync(at('hub.backup'));
    writeFileSync(at('damaged'), damaged.fill(7, 5000, 9000));
    writeFileSync(at('text'), 'no database at all, but long enough to be read as one, or so it might seem');
    for (const name of ['damaged', 'text', 'missing']) {
      const refused = await runRestore(at(name), '--data', at('elsewhere'), '--force');
      expect(refused).toMatchObject({ code: 1, out: '' });
      expect(refused.err).toContain(name);
    }
    expect(contentsOf('elsewhere')).toEqual(before);
  });

  test('both without a FILE, and of :memory:', async () => {
    expect((await runBackup('--data', at('data'))).code).toBe(2);
    expect((await runRestore(at('hub.backup'), '--data', ':memory:')).err).toContain('HUB_DATA is :memory:');
  });
});

test('a damaged database is replaced with --force', async () => {
  const hub = await startTestHub({ data: at('data') });
  await hub.request('PUT', '/v1/users/42/friends/7');
  await runBackup(at('hub.backup'), '--data', at('data'));
  await hub.stop();
  writeFileSync(join(at('data'), 'hub.sqlite'), 'broken'.repeat(1000));
  copyFileSync(at('hub.backup'), join(at('data'), 'hub.sqlite-wal'));
  expect(await runRestore(at('hub.backup'), '--data', at('data'), '--force')).toEqual(OK);
  const again = await startTestHub({ data: at('data') });
  expect((await again.request('GET', '/v1/users/42/friends')).body).toEqual({ user: '42', friends: ['7'] });
  await again.stop();
});

test('a backup never takes the place of the file that the hub has open, by any name', async () => {
  await startHubProcess({ HUB_DATA: at('data') }).started;
  symlinkSync(at('data'), at('link'));
  for (const name of ['data/hub.sqlite', 'link/hub.sqlite']) {
    expect(await runBackup(at(name), '--data', at('data'), '--force')).toMatchObject({
      code: 1,
      err: expect.stringContaining('is the hub’s own file') as string,
    });
  }
});

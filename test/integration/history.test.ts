/** The history of users through real sockets: what it contains, who may read it, and what it must not reveal. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { historyAnswer, uptimeAnswer } from '../../shared/messages/http-bodies.ts';
import type { Config } from '../../server/config/config.ts';
import { openSqlite } from '../../server/storage/sqlite/sqlite.ts';
import { ask } from '../support/ask.ts';
import { defaultConfig, onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';

const ADMIN = 'an-admin-token-for-tests';
const HOUR = 3_600_000;
const JWT = { auth: 'jwt', jwtSecret: TEST_SECRET, adminToken: ADMIN } as const;

/** The transitions that are stored. */
function countRows(folder: string): number {
  const db = openSqlite(join(folder, 'hub.sqlite'));
  const rows = db.prepare<{ count: number }>('SELECT count(*) AS count FROM history').get()?.count ?? 0;
  db.close();
  return rows;
}

onBothEngines('history', (transport) => {
  let hub: TestHub;
  let folder: string;
  const start = async (settings: Partial<Config> = {}) => {
    hub = await startTestHub({ transport, historyDays: 7, ...JWT, ...settings });
  };
  const get = (path: string, token = ADMIN) => ask(hub.addresses.http, 'GET', path, { token });
  const history = async (user: string, query = '', token = ADMIN): Promise<z.infer<typeof historyAnswer>> => {
    const { status, body } = await get(`/v1/users/${user}/history${query}`, token);
    expect(status).toBe(200);
    return historyAnswer.parse(body);
  };
  const transitionsOf = async (user: string, token = ADMIN) =>
    (await history(user, '', token)).transitions.map(({ at, from, to, cause }) => [at, from, to, cause]);
  const uptime = async (user: string, query = '', token = ADMIN) => {
    const { status, body } = await get(`/v1/users/${user}/uptime${query}`, token);
    expect(status).toBe(200);
    const { user: _user, ...sums } = uptimeAnswer.parse(body);
    return sums;
  };
  const beat = async (user: string, status: string, device = 'http') => {
    const body = { user, status, device, ttlMs: 86_400_000 };
    expect((await ask(hub.addresses.http, 'POST', '/v1/heartbeat', { token: ADMIN, body })).status).toBe(200);
    return hub.clock.wallMs;
  };
  const block = async (user: string, other: string, method = 'PUT') => {
    const { status } = await ask(hub.addresses.http, method, `/v1/users/${user}/blocks/${other}`, { token: ADMIN });
    expect(status).toBe(204);
    return hub.clock.wallMs;
  };
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'presence-hub-history-'));
  });
  afterEach(async () => {
    await hub.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('charges a reader for the transitions that are read, not for those that are answered', async () => {
    await start({ messagesPerS: 1 });
    for (let n = 0; n < 700; n++) {
      await beat('42', n % 2 === 0 ? 'online' : 'away');
      hub.clock.pass(100);
    }
    const token = await tokenFor('42');
    const statusOf = async (path: string) => (await get(`/v1/users/42/${path}`, token)).status;
    expect(await statusOf('history?limit=1')).toBe(200);
    expect(await statusOf('history?limit=1')).toBe(200);
    for (const path of ['uptime', 'history', 'export']) {
      hub.clock.pass(60_000);
      const statuses = [await statusOf(path), await statusOf(path), await statusOf(path), await statusOf(path)];
      expect([path, statuses[0], statuses.at(-1)]).toEqual([path, 200, 429]);
    }
  });

  it('has every change of the shown status with its cause, oldest first (H31)', async () => {
    await start();
    const at1 = await beat('42', 'online');
    hub.clock.pass(1000);
    const at2 = await beat('42', 'away');
    hub.clock.pass(1000);
    await beat('42', 'away', 'other');
    hub.clock.pass(1000);
    const at3 = await beat('42', 'invisible');
    hub.clock.pass(1000);
    const at4 = await beat('42', 'busy');
    hub.clock.pass(1000);
    await beat('42', 'offline', 'other');
    const at5 = await beat('42', 'offline');
    expect(await transitionsOf('42')).toEqual([
      [at1, 'offline', 'online', 'began'],
      [at2, 'online', 'away', 'set'],
      [at3, 'away', 'offline', 'bye'],
      [at4, 'offline', 'busy', 'began'],
      [at5, 'busy', 'offline', 'bye'],
    ]);
    expect(await history('never-seen')).toEqual({ user: 'never-seen', transitions: [], next: null });
  });

  it('merges changes within 50 ms, and drops those that change back', async () => {
    await start();
    const at = await beat('42', 'online');
    hub.clock.pass(10);
    await beat('42', 'away');
    hub.clock.pass(10);
    await beat('42', 'busy');
    hub.clock.pass(60);
    await beat('42', 'away');
    await beat('42', 'busy');
    hub.clock.pass(100);
    expect(await transitionsOf('42')).toEqual([[at + 20, 'offline', 'busy', 'began']]);
  });

  it('is paged by time', async () => {
    await start();
    const ats = [];
    for (let i = 0; i < 5; i++) {
      ats.push(await beat('42', i % 2 === 0 ? 'online' : 'away'));
      hub.clock.pass(1000);
    }
    const first = await history('42', '?limit=2');
    expect(first.transitions.map(({ at }) => at)).toEqual(ats.slice(0, 2));
    expect(first.next).toBe(ats[2]);
    const second = await history('42', `?limit=3&from=${first.next}`);
    expect(second.transitions.map(({ at }) => at)).toEqual(ats.slice(2));
    expect(second.next).toBeNull();
    const middle = await history('42', `?from=${ats[1]}&to=${ats[3]}`);
    expect(middle.transitions.map(({ at }) => at)).toEqual(ats.slice(1, 4));
  });

  it.each([
    ['from=-1', 'from'],
    ['from=x', 'from'],
    ['from=1.5', 'from'],
    ['to=', 'to'],
    ['from=5&to=4', 'from'],
    ['from=99999999999999', 'from'],
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['from=1&from=2', 'from'],
  ])('is 400 for %s', async (query, field) => {
    await start();
    for (const what of ['history', 'uptime']) {
      expect(await get(`/v1/users/42/${what}?${query}`)).toMatchObject({
        status: 400,
        body: { detail: expect.stringMatching(`^${field}: `) as unknown },
      });
    }
  });

  it('adds up to the span: statuses, before it began, and the future', async () => {
    await start();
    const began = hub.clock.wallMs;
    hub.clock.pass(HOUR);
    await beat('42', 'online');
    hub.clock.pass(2 * HOUR);
    await beat('42', 'busy');
    hub.clock.pass(3 * HOUR);
    await beat('42', 'offline');
    hub.clock.pass(4 * HOUR);
    const all = { onlineMs: 2 * HOUR, awayMs: 0, busyMs: 3 * HOUR, offlineMs: 5 * HOUR, unknownMs: 0 };
    expect(await uptime('42')).toEqual(all);
    const wide = `?from=${began - HOUR}&to=${hub.clock.wallMs + HOUR / 2}`;
    expect(await uptime('42', wide)).toEqual({ ...all, unknownMs: 1.5 * HOUR });
    expect(await uptime('42', `?from=${began + 2 * HOUR}&to=${began + 4 * HOUR}`)).toEqual({
      ...{ onlineMs: HOUR, awayMs: 0, busyMs: HOUR, offlineMs: 0, unknownMs: 0 },
    });
    expect(await uptime('7')).toEqual({ onlineMs: 0, awayMs: 0, busyMs: 0, offlineMs: 10 * HOUR, unknownMs: 0 });
    expect(await uptime('42', `?from=${began}&to=${began}`)).toEqual({
      onlineMs: 0,
      awayMs: 0,
      busyMs: 0,
      offlineMs: 0,
      unknownMs: 0,
    });
  });

  it('merges transitions beyond the limit of a day, and keeps uptime exact (H32)', async () => {
    await start({ historyPerDay: 3, data: folder });
    const began = hub.clock.wallMs;
    for (let i = 0; i < 10; i++) {
      await beat('42', i % 2 === 0 ? 'online' : 'away');
      hub.clock.pass(1000 + i);
    }
    const { transitions } = await history('42');
    expect(transitions.map(({ merged = false }) => merged).slice(0, 3)).toEqual([false, false, false]);
    const query = `?from=${began}`;
    const before = await uptime('42', query);
    // Only what is stored is merged, so that it is written first.
    await hub.until(async () => (await history('42')).transitions.some(({ merged }) => merged === true));
    await hub.until(async () => (await history('42')).transitions.length === 4);
    expect((await history('42')).transitions[3]).toMatchObject({ from: 'online', to: 'away', merged: true });
    expect(await uptime('42', query)).toEqual(before);
    expect(before).toMatchObject({ onlineMs: 5020, awayMs: 5025, offlineMs: 0, unknownMs: 0 });
  });

  it('shows a blocked viewer the same, no matter what the user does after the block and how it is merged (H34)', async () => {
    await start({ historyPerDay: 1, data: folder });
    const observer = await tokenFor('7', { scopes: ['observe'] });
    const stored = (count: number) => hub.until(() => Promise.resolve(countRows(folder) === count));
    for (const status of ['online', 'away', 'busy']) {
      await beat('42', status);
      hub.clock.pass(1000);
    }
    await stored(2);
    const blockedAt = await block('42', '7');
    const seen = await history('42', '', observer);
    expect(seen.transitions.at(-1)).toMatchObject({ at: blockedAt, from: 'busy', to: 'offline', cause: 'bye' });
    for (const status of ['away', 'busy', 'online']) {
      hub.clock.pass(1000);
      await beat('42', status);
    }
    hub.clock.pass(1000);
    await stored(3);
    expect(await history('42', '', observer)).toEqual(seen);
    expect((await history('42')).transitions.at(-1)).toMatchObject({ to: 'online', merged: true });
  });

  describe('across restarts', () => {
    /** Starts the next run of the same data so long after the first moment of all. */
    const startAt = async (ms: number) => {
      const settings = { transport, historyDays: 7, data: folder, ...JWT };
      hub = await startTestHub(settings, (clock) => {
        clock.pass(ms);
        return clock;
      });
    };

    it('does not know the time in which no hub ran, nor the time until it was certain again (H33)', async () => {
      await start({ data: folder });
      const began = hub.clock.wallMs;
      await beat('42', 'online');
      await beat('7', 'online');
      hub.clock.pass(HOUR);
      await beat('7', 'offline');
      hub.clock.pass(HOUR);
      const rows = [await transitionsOf('42'), await transitionsOf('7')];
      // The next run waits for this one, and is not sure of anybody until then.
      const body = { user: '9', ttlMs: 10_000 };
      await ask(hub.addresses.http, 'POST', '/v1/heartbeat', { token: ADMIN, body });
      await hub.stop();
      await startAt(4 * HOUR);
      hub.clock.pass(30_000);
      await hub.until(async () => !('stale' in ((await get('/v1/presence/42')).body as object)));
      hub.clock.pass(HOUR);
      expect([await transitionsOf('42'), await transitionsOf('7')]).toEqual(rows);
      const present = await uptime('42', `?from=${began}`);
      expect(present).toEqual({ onlineMs: 3 * HOUR, awayMs: 0, busyMs: 0, offlineMs: 0, unknownMs: 2 * HOUR + 30_000 });
      const gone = await uptime('7', `?from=${began}`);
      expect(gone).toEqual({ ...present, onlineMs: HOUR, offlineMs: 2 * HOUR });
    });

    it('knows the time after a restart at once if the user was offline', async () => {
      await start({ data: folder });
      const began = hub.clock.wallMs;
      await beat('42', 'online');
      hub.clock.pass(HOUR);
      await beat('42', 'offline');
      await hub.stop();
      await startAt(2 * HOUR);
      hub.clock.pass(HOUR);
      const sums = await uptime('42', `?from=${began}`);
      expect(sums).toEqual({ onlineMs: HOUR, awayMs: 0, busyMs: 0, offlineMs: HOUR, unknownMs: HOUR });
    });

    it('deletes transitions that are older than HUB_HISTORY_DAYS', async () => {
      await start({ data: folder });
      await beat('42', 'online');
      hub.clock.pass(HOUR);
      await beat('42', 'away');
      await hub.stop();
      await startAt(7 * 24 * HOUR + HOUR / 2);
      await hub.until(() => countRows(folder) === 1);
      expect((await transitionsOf('42')).map(([, from, to]) => [from, to])).toEqual([['online', 'away']]);
      expect(await uptime('42')).toMatchObject({ onlineMs: HOUR / 2, awayMs: 0 });
    });
  });

  describe('does not reveal', () => {
    it('that a user is invisible: it looks as if the user had left and come back', async () => {
      await start();
      for (const user of ['1', '2']) await beat(user, 'online');
      hub.clock.pass(HOUR);
      await beat('1', 'invisible');
      await beat('2', 'offline');
      hub.clock.pass(HOUR);
      await beat('1', 'busy');
      await beat('2', 'busy');
      hub.clock.pass(HOUR);
      for (const token of [ADMIN, await tokenFor(null, { scopes: ['observe'], expiresInS: null })]) {
        expect(await transitionsOf('1', token)).toEqual(await transitionsOf('2', token));
        expect(await uptime('1', '', token)).toEqual(await uptime('2', '', token));
      }
      expect(await transitionsOf('1', await tokenFor('1', { expiresInS: null }))).toEqual(
        await transitionsOf('2', await tokenFor('2', { expiresInS: null })),
      );
    });

    it('that a user blocks the caller: the history ends as if the user had left (H34)', async () => {
      await start();
      const caller = await tokenFor('caller', { scopes: ['observe'], expiresInS: null });
      for (const user of ['1', '2', '3']) await beat(user, 'away');
      hub.clock.pass(HOUR);
      const at = await block('1', 'caller');
      await beat('2', 'offline');
      hub.clock.pass(HOUR);
      await beat('1', 'busy');
      hub.clock.pass(HOUR);
      await beat('1', 'offline');
      hub.clock.pass(HOUR);
      expect(await transitionsOf('1', caller)).toEqual(await transitionsOf('2', caller));
      expect((await transitionsOf('1', caller)).at(-1)).toEqual([at, 'away', 'offline', 'bye']);
      for (const query of ['', `?from=${at - 1000}`, `?from=${at + 1000}`, `?from=${at}&to=${at + HOUR}`]) {
        expect(await uptime('1', query, caller)).toEqual(await uptime('2', query, caller));
        expect(await history('1', query, caller)).toEqual({ ...(await history('2', query, caller)), user: '1' });
      }
      expect(await transitionsOf('1')).toHaveLength(3);
      // A block by a user who is offline, or was never seen, shows nothing.
      await block('2', 'caller');
      await block('never', 'caller');
      await beat('2', 'online');
      await beat('never', 'online');
      hub.clock.pass(HOUR);
      expect((await transitionsOf('2', caller)).at(-1)).toEqual([at, 'away', 'offline', 'bye']);
      expect(await transitionsOf('never', caller)).toEqual([]);
      expect(await uptime('never', '', caller)).toMatchObject({ offlineMs: 5 * HOUR });
      await block('1', 'caller', 'DELETE');
      expect(await transitionsOf('1', caller)).toHaveLength(3);
    });
  });

  describe('may be read', () => {
    const statuses = async (token?: string) =>
      Promise.all(
        ['history', 'uptime'].map(
          async (what) =>
            (await ask(hub.addresses.http, 'GET', `/v1/users/42/${what}`, token === undefined ? {} : { token })).status,
        ),
      );

    it('by the user, observers, readers and admins, and not by friends', async () => {
      await start();
      await ask(hub.addresses.http, 'PUT', '/v1/users/42/friends/7', { token: ADMIN });
      for (const token of [await tokenFor('42'), ADMIN]) expect(await statuses(token)).toEqual([200, 200]);
      for (const scope of ['observe', 'read'] as const) {
        expect(await statuses(await tokenFor(null, { scopes: [scope] }))).toEqual([200, 200]);
      }
      for (const token of [await tokenFor('7'), await tokenFor(null, { scopes: ['metrics', 'roster'] })]) {
        expect(await statuses(token)).toEqual([403, 403]);
      }
      expect(await statuses()).toEqual([401, 401]);
    });

    it('by the user and admins alone if lastSeen is hidden', async () => {
      await start({ lastSeen: 'hide' });
      for (const token of [await tokenFor('42'), ADMIN]) expect(await statuses(token)).toEqual([200, 200]);
      for (const scope of ['observe', 'read'] as const) {
        expect(await statuses(await tokenFor(null, { scopes: [scope] }))).toEqual([403, 403]);
      }
    });

    it('in open mode by everyone, but only with the admin token if there is one', async () => {
      await start({ auth: 'open', jwtSecret: null, adminToken: null });
      expect(await statuses()).toEqual([200, 200]);
      await hub.stop();
      await start({ auth: 'open', jwtSecret: null });
      expect(await statuses()).toEqual([401, 401]);
      expect(await statuses(ADMIN)).toEqual([200, 200]);
    });

    it('not at all if it is off, and only callers with the right learn that', async () => {
      await start({ historyDays: defaultConfig.historyDays });
      expect(await statuses(ADMIN)).toEqual([404, 404]);
      expect(await statuses(await tokenFor('7'))).toEqual([403, 403]);
    });
  });
});

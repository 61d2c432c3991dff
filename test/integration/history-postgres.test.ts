/** The history in PostgreSQL: each transition once, however many hubs write it, in the order of versions. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { VersionedTransition } from '../../server/history/shared-port.ts';
import { Connections } from '../../server/storage/postgres/connection.ts';
import { migrateAnd } from '../../server/storage/postgres/migrations.ts';
import { PostgresHistory } from '../../server/storage/postgres/postgres-history.ts';
import { PostgresUsers } from '../../server/storage/postgres/postgres-users.ts';
import { migrations } from '../../server/storage/postgres/schema.ts';
import { needing } from '../support/needs.ts';
import { PostgresServer } from '../support/postgres-server.ts';

const DAY_MS = 86_400_000;
const MIDNIGHT = 1_767_225_600_000;

describe('the history in PostgreSQL', needing('postgres'), () => {
  let server: PostgresServer;
  let url: string;
  let connections: Connections;
  let store: PostgresHistory;

  beforeAll(async () => {
    server = await PostgresServer.start();
    url = server.urlOf(await server.newDatabase());
    await Promise.all([1, 2, 3].map(() => migrateAnd(url, migrations, () => Promise.resolve())));
    connections = new Connections(url);
  });
  afterAll(async () => {
    await connections.close();
    await server.stop();
  });
  beforeEach(async () => {
    store = new PostgresHistory(connections, 4);
    await store.erase('42', Number.MAX_SAFE_INTEGER);
  });

  const one = (v: number, from: VersionedTransition['from'], to: VersionedTransition['to'], more: object = {}) => {
    const at = MIDNIGHT + v;
    return { user: '42', at, firstV: v, v, from, to, cause: 'set', ...more } as VersionedTransition;
  };
  const stored = async () => (await store.read('42', 0, 1000)).map(({ at, from, to }) => [at - MIDNIGHT, from, to]);

  it('keeps a transition once if several hubs write it, in any order (C30)', async () => {
    await store.record([one(30, 'away', 'offline')]);
    await Promise.all([
      store.record([one(10, 'offline', 'online'), one(20, 'online', 'away', { firstV: 15 })]),
      store.record([one(10, null, 'online'), one(20, null, 'away'), one(30, null, 'offline')]),
    ]);
    expect(await stored()).toEqual([
      [10, 'offline', 'online'],
      [20, 'online', 'away'],
      [30, 'away', 'offline'],
    ]);
  });

  it('keeps a transition once if another hub first stores the state that it led to, with a later version (C30)', async () => {
    await store.record([one(10, 'offline', 'away')]);
    // The text has changed since, so the version that the other hub knows is a larger one.
    const at = MIDNIGHT + 20;
    await store.record([one(25, null, 'busy', { at }), one(40, 'busy', 'offline')]);
    await store.record([one(20, 'away', 'busy', { cause: 'began' }), one(25, null, 'busy', { at })]);
    expect(await stored()).toEqual([
      [10, 'offline', 'away'],
      [20, 'away', 'busy'],
      [40, 'busy', 'offline'],
    ]);
    expect((await store.read('42', at, 1))[0]?.cause).toBe('began');
  });

  it('takes `from` from the transition before if a hub does not know it (C30)', async () => {
    await store.record([one(10, null, 'online'), one(20, null, 'busy'), one(30, null, 'busy')]);
    expect(await stored()).toEqual([
      [10, 'offline', 'online'],
      [20, 'online', 'busy'],
    ]);
    expect((await store.read('42', 0, 1000)).map(({ cause }) => cause)).toEqual(['began', 'set']);
  });

  it('orders transitions by their versions if clocks differ (C30)', async () => {
    await store.record([one(50, 'offline', 'online')]);
    await store.record([one(60, 'online', 'away', { at: MIDNIGHT + 40 })]);
    expect((await stored()).map(([, , to]) => to)).toEqual(['online', 'away']);
  });

  it('merges transitions beyond the limit of a day, as in SQLite (C30, H32)', async () => {
    const statuses = ['online', 'busy'] as const;
    const all = Array.from({ length: 9 }, (_, i) =>
      one(1000 * (i + 1), i === 0 ? 'offline' : statuses[(i + 1) % 2]!, statuses[i % 2]!),
    );
    await store.record(all.slice(0, 6));
    await store.record(all);
    const rows = await store.read('42', 0, 100);
    expect(rows.slice(0, 4).map(({ merged }) => merged)).toEqual([null, null, null, null]);
    expect(rows.slice(4)).toEqual([
      {
        at: MIDNIGHT + 9000,
        from: 'busy',
        to: 'online',
        cause: 'set',
        merged: { firstAt: MIDNIGHT + 5000, offline: 0, online: 2000, away: 0, busy: 2000 },
      },
    ]);
    await store.record([one(DAY_MS, 'online', 'away')]);
    expect((await store.read('42', 0, 100)).at(-1)?.merged).toBe(null);
  });

  it('merges nothing across a block, because the blocked reader would notice (C30, H34)', async () => {
    const users = new PostgresUsers(connections);
    const hidden = new Map([['9', { since: MIDNIGHT + 5500, lastSeen: MIDNIGHT + 5500, v: 5500 }]]);
    await users.keep([{ user: '42', since: MIDNIGHT, lastSeen: MIDNIGHT, v: 5500, n: 5500, hidden }]);
    const all = Array.from({ length: 8 }, (_, i) =>
      one(1000 * (i + 1), i % 2 === 0 ? 'offline' : 'online', i % 2 === 0 ? 'online' : 'offline'),
    );
    await store.record(all);
    const ends = (await store.read('42', 0, 100)).slice(4).map(({ at }) => at - MIDNIGHT);
    expect(ends).toEqual([5000, 8000]);
  });

  it('returns when each hub knew everything, and which time a dead hub did not store (C30, H33)', async () => {
    await store.setKnown('a', { from: 100, to: 200 });
    await store.setKnown('a', { from: 100, to: 300 });
    await store.setKnown('b', { from: 250, to: 400 });
    await store.setWritten('a', 280, ['a', 'b']);
    await store.setWritten('b', 390, ['b']);
    const { known, lost } = await store.knownTimes(0, 1000);
    expect(known.sort((x, y) => x.from - y.from)).toEqual([
      { from: 100, to: 300 },
      { from: 250, to: 400 },
    ]);
    expect(lost).toEqual([{ from: 280, to: 390 }]);
    await store.setWritten('a', 500, ['a', 'b']); // it was alive
    expect((await store.knownTimes(0, 1000)).lost).toEqual([]);
  });

  it('purges old transitions in small steps (C30, H31)', async () => {
    const many = Array.from({ length: 1500 }, (_, i) =>
      one(i + 1, i % 2 === 0 ? 'offline' : 'online', i % 2 === 0 ? 'online' : 'offline'),
    );
    const roomy = new PostgresHistory(connections, 100_000);
    await roomy.record(many);
    expect(await roomy.purge('', MIDNIGHT + 1401)).toBeDefined();
    expect((await roomy.read('42', 0, 2000)).length).toBe(500);
    expect(await roomy.purge('', MIDNIGHT + 1401)).toBeUndefined();
    expect((await roomy.read('42', 0, 2000)).length).toBe(100);
  });
});

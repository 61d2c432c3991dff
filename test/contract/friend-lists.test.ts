/** What friend lists promise wherever they are stored: in SQLite, in PostgreSQL, and at a service of the operator. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { ListServiceServer } from '../support/list-service.ts';
import { needing } from '../support/needs.ts';
import { PostgresServer } from '../support/postgres-server.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';
import { WsClient } from '../support/ws-client.ts';

/** A place of friend lists. */
interface Place {
  /** HUB_ROSTER. */
  readonly roster: string;
  /** Makes these the friends of a user. Resolves when the hub has notified its watchers. */
  replace(hub: TestHub, user: string, friends: readonly string[]): Promise<unknown>;
}

const ADMIN_TOKEN = 'the-token-of-an-admin';

function friendListContract(open: () => Promise<Place>): void {
  let place: Place;
  let hub: TestHub;
  beforeEach(async () => {
    place = await open();
    const auth = { auth: 'jwt', jwtSecret: TEST_SECRET, adminToken: ADMIN_TOKEN } as const;
    hub = await startTestHub({ roster: place.roster, ...auth });
    hub.clock.pass(1000);
  });
  afterEach(() => hub.stop());

  const replace = (user: string, ...friends: string[]) => place.replace(hub, user, friends);
  const get = async (path: string, token = ADMIN_TOKEN) => {
    const answer = await fetch(hub.addresses.http + path, { headers: { authorization: `Bearer ${token}` } });
    return { status: answer.status, body: (await answer.json()) as unknown };
  };
  const connect = async (user: string) =>
    WsClient.hello(hub.addresses.ws, { user, token: await tokenFor(user, { clock: hub.clock }) });
  const watchFriends = async (user: string, since?: number) => {
    const client = await connect(user);
    client.send({ type: 'watch', friendsOf: user, ...(since !== undefined && { since }) });
    return { client, snapshot: await client.next('snapshot') };
  };
  const usersIn = ({ entries }: { entries: readonly { user: string }[] }) => entries.map(({ user }) => user);

  it('a list is empty for a user that was never seen, and otherwise sorted by code unit (H1)', async () => {
    expect((await get('/v1/users/42/friends')).body).toEqual({ user: '42', friends: [] });
    const sorted = ['-', '.x', '10', '9', ':', '@home', 'B', '_', 'a', 'a.b', 'b'.repeat(128)];
    await replace('42', ...[...sorted].reverse());
    expect((await get('/v1/users/42/friends')).body).toEqual({ user: '42', friends: sorted });
    const { snapshot } = await watchFriends('42');
    expect(usersIn(snapshot).sort()).toEqual(sorted);
  });

  it('a long list is loaded and sent as a whole', async () => {
    const friends = Array.from({ length: 3000 }, (_, n) => `f${String(n).padStart(4, '0')}`);
    await replace('42', ...friends);
    expect((await get('/v1/users/42/friends')).body).toEqual({ user: '42', friends });
    const { snapshot } = await watchFriends('42');
    expect(usersIn(snapshot).sort()).toEqual(friends);
  });

  it('watchers are notified of added and removed friends, then only of changes of friends', async () => {
    await replace('42', '7', '8');
    const { client } = await watchFriends('42');
    await replace('42', '8', '9');
    const reported = [await client.next('friend'), await client.next('friend')];
    expect(reported).toMatchObject([
      { op: 'remove', user: '7' },
      { op: 'add', entry: { user: '9' } },
    ]);
    const [seven, nine] = [await connect('7'), await connect('9')];
    expect(await client.entryOf('9')).toMatchObject({ status: 'online' });
    expect(client.all.some((message) => message.type === 'presence' && usersIn(message).includes('7'))).toBe(false);
    for (const one of [seven, nine]) one.send({ type: 'bye' });
  });

  it('a user may watch and read its friends, and nobody else; a lost friendship ends the watch', async () => {
    await replace('42', '7');
    const client = await connect('42');
    client.send({ type: 'watch', users: ['7', '8'], id: 1 });
    expect(await client.next('error')).toMatchObject({ re: 1, code: 'forbidden' });
    client.send({ type: 'watch', users: ['7'], id: 2 });
    expect(await client.next('snapshot')).toMatchObject({ re: 2 });
    const token = await tokenFor('42', { clock: hub.clock });
    expect((await get('/v1/presence?users=7,42', token)).status).toBe(200);
    expect((await get('/v1/presence?users=7,8', token)).status).toBe(403);
    expect((await get('/v1/users/42/friends/presence', token)).body).toMatchObject({ entries: [{ user: '7' }] });
    await replace('42');
    expect(await client.next('unwatched')).toMatchObject({ users: ['7'] });
    client.send({ type: 'watch', users: ['7'] });
    expect(await client.next('error')).toMatchObject({ code: 'forbidden' });
    expect((await get('/v1/presence/7', token)).status).toBe(403);
  });

  it('a resume brings who was added and who was removed meanwhile, and is otherwise empty', async () => {
    await replace('42', '7', '8');
    hub.clock.pass(1000);
    const first = await watchFriends('42');
    hub.clock.pass(1000);
    await replace('42', '8', '9');
    hub.clock.pass(1000);
    const { at } = first.snapshot;
    const second = await watchFriends('42', at);
    expect(second.snapshot).toMatchObject({ since: at, removed: ['7'], entries: [{ user: '9' }] });
    const third = await watchFriends('42', second.snapshot.at);
    expect(third.snapshot).toMatchObject({ since: second.snapshot.at, removed: [], entries: [] });
  });
}

const edit = async (hub: TestHub, user: string, friends: readonly string[]): Promise<void> => {
  const answer = await fetch(`${hub.addresses.http}/v1/users/${user}/friends?oneway=true`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    body: JSON.stringify({ friends }),
  });
  expect(answer.status).toBe(204);
};

describe('friend lists in SQLite', () => {
  friendListContract(() => Promise.resolve({ roster: 'sqlite', replace: edit }));
});

describe('friend lists in PostgreSQL', needing('postgres'), () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await PostgresServer.start();
  });
  afterAll(() => server.stop());
  friendListContract(async () => ({ roster: server.urlOf(await server.newDatabase()), replace: edit }));
});

describe('friend lists at a service', () => {
  let service: ListServiceServer;
  afterEach(() => service.stop());
  friendListContract(async () => {
    service = await ListServiceServer.open();
    return {
      roster: service.url,
      replace: async (hub, user, friends) => {
        service.lists.set(user, friends);
        const answer = await fetch(`${hub.addresses.http}/v1/users/${user}/friends/refresh`, {
          method: 'POST',
          headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
        });
        expect(answer.status).toBe(204);
      },
    };
  });
});

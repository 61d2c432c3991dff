/** Checks of section 5: HTTP, and what watchers receive because of it. */
import type { Check } from './check.ts';
import type { HttpAnswer, Kit } from './kit.ts';
import { must, mustEqual, shown } from './violation.ts';
import { ANSWER_WITHIN_MS, entriesIn, type RawEntry } from './ws-peer.ts';

async function asks(kit: Kit, status: number, ...[method, path, body]: Parameters<Kit['http']>): Promise<HttpAnswer> {
  const answer = await kit.http(method, path, body);
  mustEqual(`the status of ${method} ${path}`, answer.status, status);
  return answer;
}

/** Expects a problem whose detail names the field. */
async function refused(kit: Kit, status: number, field: string, ...request: Parameters<Kit['http']>): Promise<void> {
  const { type, body } = await asks(kit, status, ...request);
  must(
    type.startsWith('application/problem+json'),
    `an error is ${JSON.stringify(type)}, not application/problem+json`,
  );
  const { detail } = body;
  must(typeof detail === 'string' && detail.includes(field), `the detail does not name ${field}: ${shown(detail)}`);
}

const entryIn = ({ body: { entry } }: HttpAnswer): RawEntry => entriesIn({ entries: [entry] })[0] ?? {};

export const httpChecks: readonly Check[] = [
  {
    rules: ['H6', 'L7'],
    title: 'a heartbeat over HTTP makes a user present, keeps what it does not name, and ends with offline',
    needs: 'http',
    run: async (kit) => {
      const user = kit.user();
      const watcher = await kit.watch(user);
      const beat = async (fields: object) =>
        entryIn(await asks(kit, 200, 'POST', '/v1/heartbeat', { user, device: 'cron', ttlMs: 60_000, ...fields }));
      mustEqual('status', (await beat({ status: 'busy', text: 'at work' })).status, 'busy');
      await watcher.nextEntry(user, ANSWER_WITHIN_MS, ({ status }) => status === 'busy');
      const again = await beat({});
      mustEqual('status and text', [again.status, again.text], ['busy', 'at work']);
      mustEqual('devices', again.devices, ['cron']);
      mustEqual('status', (await beat({ status: 'offline' })).status, 'offline');
      await watcher.nextEntry(user, ANSWER_WITHIN_MS, ({ status }) => status === 'offline');
    },
  },
  {
    rules: ['H6'],
    title: 'a heartbeat over HTTP lives for its ttlMs',
    needs: 'http',
    run: async (kit) => {
      const user = kit.user();
      const watcher = await kit.watch(user);
      await asks(kit, 200, 'POST', '/v1/heartbeat', { user, ttlMs: 500 });
      await watcher.nextEntry(user, ANSWER_WITHIN_MS, ({ status }) => status === 'online');
      await watcher.nextEntry(user, ANSWER_WITHIN_MS, ({ status }) => status === 'offline');
    },
  },
  {
    rules: ['H1', 'I16'],
    title: 'entries are read one by one or as a list, in the order asked, each once',
    needs: 'http',
    run: async (kit) => {
      const [here, never] = [kit.user(), kit.user()];
      await kit.hello({ user: here });
      const one = (await asks(kit, 200, 'GET', `/v1/presence/${here}`)).body;
      mustEqual('status', one['status'], 'online');
      const none = (await asks(kit, 200, 'GET', `/v1/presence/${never}`)).body;
      mustEqual('status and version of a user never seen', [none['status'], none['v']], ['offline', 0]);
      const listed = await asks(kit, 200, 'GET', `/v1/presence?users=${never},${here},${never}`);
      mustEqual(
        'the users',
        entriesIn(listed.body).map(({ user }) => user),
        [never, here],
      );
      const posted = await asks(kit, 200, 'POST', '/v1/presence', { users: [here, never] });
      mustEqual(
        'the users',
        entriesIn(posted.body).map(({ user }) => user),
        [here, never],
      );
    },
  },
  {
    rules: ['H1'],
    title: 'errors are problems that name the field; paths and methods that are not there are 404 and 405',
    needs: 'http',
    run: async (kit) => {
      const user = kit.user();
      await refused(kit, 400, 'user', 'GET', '/v1/presence/a%20b');
      await refused(kit, 400, 'status', 'POST', '/v1/heartbeat', { user, status: 'asleep' });
      await refused(kit, 400, 'ttlMs', 'POST', '/v1/heartbeat', { user, ttlMs: 0 });
      await refused(kit, 400, '', 'POST', '/v1/heartbeat', '{');
      await refused(kit, 400, 'friend', 'PUT', `/v1/users/${user}/friends/${user}`);
      await refused(kit, 404, '', 'GET', '/v1/no-such-path');
      await refused(kit, 405, '', 'DELETE', '/v1/heartbeat');
      await refused(kit, 413, '', 'POST', '/v1/presence', `"${'x'.repeat(300_000)}"`);
    },
  },
  {
    rules: ['H7', 'W30', 'W11'],
    title: 'friends are mutual, sorted and followed by watches of the list; an end is one of both directions',
    needs: 'http',
    run: async (kit) => {
      const [user, first, second] = [kit.user(), kit.user(), kit.user()];
      const friendsOf = async (of: string) => (await asks(kit, 200, 'GET', `/v1/users/${of}/friends`)).body;
      const watcher = await kit.hello({ observe: true });
      watcher.send({ type: 'watch', friendsOf: user });
      mustEqual('the entries of an empty list', (await watcher.next('snapshot'))['entries'], []);
      await asks(kit, 204, 'PUT', `/v1/users/${user}/friends/${second}`);
      const added = await watcher.next('friend');
      mustEqual('op and user', [added['op'], entriesIn({ entries: [added['entry']] })[0]?.user], ['add', second]);
      await asks(kit, 204, 'PUT', `/v1/users/${user}/friends/${first}`);
      await asks(kit, 204, 'PUT', `/v1/users/${user}/friends/${first}`);
      mustEqual('the friends', await friendsOf(user), { user, friends: [first, second].sort() });
      mustEqual('the friends of the other', await friendsOf(first), { user: first, friends: [user] });
      await kit.hello({ user: first });
      await watcher.nextEntry(first, ANSWER_WITHIN_MS, ({ status }) => status === 'online');
      await asks(kit, 204, 'DELETE', `/v1/users/${user}/friends/${first}`);
      mustEqual('user', (await watcher.next('friend', ({ op }) => op === 'remove'))['user'], first);
      mustEqual('the friends of the other', await friendsOf(first), { user: first, friends: [] });
      const presence = await asks(kit, 200, 'GET', `/v1/users/${user}/friends/presence`);
      mustEqual(
        'the entries',
        entriesIn(presence.body).map((entry) => entry.user),
        [second],
      );
    },
  },
  {
    rules: ['H7'],
    title: 'with oneway only the user follows, and PUT replaces a whole list',
    needs: 'http',
    run: async (kit) => {
      const [user, first, second] = [kit.user(), kit.user(), kit.user()];
      const friendsOf = async (of: string) => (await asks(kit, 200, 'GET', `/v1/users/${of}/friends`)).body;
      await asks(kit, 204, 'PUT', `/v1/users/${user}/friends/${first}?oneway=true`);
      mustEqual('the friends of the other', await friendsOf(first), { user: first, friends: [] });
      await asks(kit, 204, 'PUT', `/v1/users/${user}/friends`, { friends: [second] });
      mustEqual('the friends', await friendsOf(user), { user, friends: [second] });
      mustEqual('the friends of the new one', await friendsOf(second), { user: second, friends: [user] });
    },
  },
  {
    rules: ['H9'],
    title: 'a blocked viewer sees the user leave, and learns of nothing until the block is lifted',
    needs: 'http',
    run: async (kit) => {
      const [user, viewer] = [kit.user(), kit.user()];
      const peer = await kit.hello({ user });
      const blocked = await kit.hello({ user: viewer });
      blocked.send({ type: 'watch', users: [user] });
      await blocked.next('snapshot');
      await asks(kit, 204, 'PUT', `/v1/users/${user}/blocks/${viewer}`);
      const left = await blocked.nextEntry(user, ANSWER_WITHIN_MS, ({ status }) => status === 'offline');
      peer.send({ type: 'heartbeat', status: 'busy', id: 1 });
      await peer.next('ok');
      await asks(kit, 204, 'DELETE', `/v1/users/${user}/blocks/${viewer}`);
      const seen = await blocked.nextEntry(user, ANSWER_WITHIN_MS, ({ status }) => status === 'busy');
      must(Number(seen.v) > Number(left.v), 'the version does not grow when a block is lifted');
      mustEqual(
        'the statuses reported',
        blocked.reported(user).map(({ status }) => status),
        ['offline', 'busy'],
      );
    },
  },
  {
    rules: ['H5', 'H1'],
    title: '/healthz and /readyz answer 200, and /ws without an upgrade 426',
    needs: 'http',
    run: async (kit) => {
      await asks(kit, 200, 'GET', '/healthz');
      await asks(kit, 200, 'HEAD', '/healthz');
      await asks(kit, 200, 'GET', '/readyz');
      await asks(kit, 426, 'GET', '/ws');
    },
  },
];

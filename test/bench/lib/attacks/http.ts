/**
 * Attacks with HTTP: pipelined requests, bodies in tiny chunks, bodies and heads without end, large lists, and arrays
 * of wrong elements.
 */
import { putFriends } from '../hub-http.ts';
import { tokenOf } from '../credentials.ts';
import { bytesOf, CHUNK_BYTES, chunkOf, chunksOf, inTurn, type Attack, type AttackTarget } from './attack.ts';
import { storeUsers } from './prepared.ts';

const target: AttackTarget = 'http';
/** As the hub has it. */
const MAX_BODY_BYTES = 262_144;
const TINY_CHUNKS = 200_000;
const LIST = 1000;
const LARGE_LIST = 10_000;
/** The sessions of one user that a hub allows, and a lease that ends at once. */
const DEVICES = 50;
const SHORT_LEASE_MS = 300;

const head = (method: string, path: string, fields = ''): string =>
  `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${fields}\r\n`;
/** The token of that user if the hub asks for tokens. Requests without a user have none. */
const bearer = (user: string | undefined): string => {
  const token = user === undefined ? undefined : tokenOf(user);
  return token === undefined ? '' : `Authorization: Bearer ${token}\r\n`;
};
const get = (path: string, user?: string): Buffer => Buffer.from(head('GET', path, bearer(user)));
const json = (method: string, path: string, body: unknown, user?: string): Buffer => {
  const text = JSON.stringify(body);
  const fields = `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n`;
  return Buffer.from(head(method, path, fields + bearer(user)) + text);
};
const named = (name: string, count: number): string[] => Array.from({ length: count }, (_, no) => `${name}${no}`);

const routes = [
  ...['/healthz', '/readyz', '/metrics', '/openapi.json', '/', '/admin', '/v1/presence/attacker1'],
  ...['/v1/presence?users=u1,u2', '/v1/users/attacker1/friends', '/v1/users/attacker1/friends/presence'],
  ...['/v1/users/attacker1/explain', '/v1/users/attacker1/blocks'],
];
/** Refused in all ways: no such route, a bad id, a method that is not for the route, a host that is not the hub's. */
const refused = [
  ...['/nothing', '/v1/presence/%00', '/v1/users/%zz/friends', '/ws', '/..'].map((path) => get(path)),
  Buffer.from(head('DELETE', '/healthz')),
  Buffer.from(head('OPTIONS', '/v1/heartbeat', 'Origin: http://elsewhere\r\n')),
  Buffer.from('GET /v1/presence/attacker1 HTTP/1.1\r\nHost: elsewhere\r\n\r\n'),
  json('POST', '/v1/heartbeat', { user: 7 }),
];
const chunkedHead = Buffer.from(
  head('POST', '/v1/heartbeat', 'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n'),
);
const tinyChunk = Buffer.from('1\r\nx\r\n');
const tinyChunks = chunkOf(() => tinyChunk);
const heldChunks = Buffer.concat([chunkedHead, chunkOf(() => tinyChunk, TINY_CHUNKS * tinyChunk.length)]);
const unfinishedBody = Buffer.concat([
  Buffer.from(head('POST', '/v1/heartbeat', `Content-Length: ${MAX_BODY_BYTES}\r\n`)),
  Buffer.alloc(MAX_BODY_BYTES - 44, 'x'),
]);
const endlessHead = Buffer.from(`GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n`);
const headerLine = Buffer.from(`X-Attack: ${'a'.repeat(60)}\r\n`);
const badArrays = [
  json('POST', '/v1/presence', { users: Array.from({ length: 130_000 }, () => 0) }),
  json('POST', '/v1/presence', { users: Array.from({ length: 10_000 }, () => '') }),
  json('PUT', '/v1/users/attacker1/friends', { friends: Array.from({ length: 10_000 }, () => ({})) }),
];
const friendsPresence = get('/v1/users/attacked-list/friends/presence', 'attacked-list');
const changeList = (friends: readonly string[]): Buffer =>
  json('PUT', '/v1/users/attacked-changes/friends?oneway=true', { friends }, 'attacked-changes');
const largeLists = [changeList(named('f', LARGE_LIST)), changeList([])];
/** Two users whose sessions all end together: what looks like an adapter that fell silent. */
const expiring = Buffer.concat(
  ['expiring1', 'expiring2'].flatMap((user) =>
    named('device', DEVICES).map((device) =>
      json('POST', '/v1/heartbeat', { user, device, ttlMs: SHORT_LEASE_MS }, user),
    ),
  ),
);

const longRequests = [
  friendsPresence,
  ...['/v1/users/attacked-list/export', '/v1/users/attacked-list/friends'].map((path) => get(path, 'attacked-list')),
];
const prepareList: Attack['prepare'] = async ({ port, tcpPort }) => {
  const friends = named('attacked-friend-', LIST);
  await storeUsers(tcpPort, friends);
  await putFriends(port, 'attacked-list', friends);
};

export const httpAttacks: readonly Attack[] = [
  {
    name: 'http-healthz',
    target,
    about: 'pipelined GET /healthz, the answers read',
    start: (crowd, { width }) => crowd.flood(width, inTurn([chunkOf(() => get('/healthz'))])),
  },
  {
    name: 'http-routes',
    target,
    about: 'pipelined GETs of all routes',
    start: (crowd, { width, random }) => {
      crowd.flood(width, inTurn(chunksOf(random, () => get(random.pick(routes)))));
    },
  },
  {
    name: 'http-refused',
    target,
    about: 'pipelined requests that are refused',
    start: (crowd, { width, random }) => crowd.flood(width, inTurn(chunksOf(random, () => random.pick(refused)))),
  },
  {
    name: 'http-unread',
    target,
    about: 'pipelined GETs of large answers that are not read',
    start: (crowd, { width, random }) => {
      const pieces = chunksOf(random, () => get(random.pick(['/openapi.json', '/metrics', '/healthz'])));
      crowd.flood(width, inTurn(pieces), { isReading: false });
    },
  },
  {
    name: 'http-long-unread',
    target,
    about: `exports and lists of ${LIST} friends, asked for at once, that are not read`,
    prepare: prepareList,
    start: (crowd, { width }) => crowd.flood(width, inTurn(longRequests), { isReading: false }),
  },
  {
    name: 'http-friends',
    target,
    about: `pipelined GETs of the presence of ${LIST} friends`,
    prepare: prepareList,
    start: (crowd, { width }) => {
      crowd.pace(width, () => friendsPresence, { bursts: [500], perS: 190 });
    },
  },
  {
    name: 'http-tiny-chunks',
    target,
    about: 'a body without end in chunks of one byte',
    start: (crowd, { width }) => crowd.flood(width, () => tinyChunks, { say: () => chunkedHead }),
  },
  {
    name: 'http-held-chunks',
    target,
    about: `bodies of ${TINY_CHUNKS} chunks of one byte that do not end`,
    start: (crowd, { held }) => crowd.hold(Math.min(100, held / 10), () => heldChunks),
  },
  {
    name: 'http-held-bodies',
    target,
    about: 'bodies of 256 KiB whose last bytes do not come',
    start: (crowd, { held }) => crowd.hold(Math.min(400, held / 10), () => unfinishedBody),
  },
  {
    name: 'http-slow-bodies',
    target,
    about: 'bodies at a byte a second',
    start: (crowd, { held }) => crowd.drip(held / 20, json('POST', '/v1/heartbeat', { user: 'attacker1' })),
  },
  {
    name: 'http-headers',
    target,
    about: 'headers without end',
    start: (crowd, { width }) => {
      crowd.flood(width, inTurn([chunkOf(() => headerLine)]), { say: () => endlessHead });
    },
  },
  {
    name: 'http-bad-arrays',
    target,
    about: 'arrays of 130,000 wrong elements',
    start: (crowd, { width }) => crowd.pace(width, inTurn(badArrays), { bursts: [3], perS: 20 }),
  },
  {
    name: 'http-lists',
    target,
    about: `a list of ${LARGE_LIST} friends, set and emptied, within the rate`,
    start: (crowd, { width }) => {
      crowd.pace(Math.min(4, width), inTurn(largeLists), { bursts: [2], perS: 20 });
    },
  },
  {
    name: 'http-expiring',
    target,
    about: `2 users with ${DEVICES} sessions each that expire together`,
    start: (crowd) => crowd.pace(1, () => expiring, { bursts: [1], perS: 1 }),
  },
  {
    name: 'http-new-users',
    target,
    about: 'pipelined heartbeats of new users with leases of a day',
    start: (crowd, { width, random }) => {
      let no = 0;
      const name = `http-new-${random.below(1e9)}`;
      const one = (): Buffer => json('POST', '/v1/heartbeat', { user: `${name}-${no++}`, ttlMs: 86_400_000 });
      crowd.flood(width, () => chunkOf(one, CHUNK_BYTES / 4));
    },
  },
  {
    name: 'http-garbage',
    target,
    about: 'random bytes',
    start: (crowd, { width, random }) => {
      const pieces = Array.from({ length: 4 }, () => bytesOf(random, CHUNK_BYTES));
      crowd.flood(width, inTurn(pieces));
    },
  },
];

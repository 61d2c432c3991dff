/**
 * Attacks with WebSocket messages: wrong ones, cheap ones in great number, and those that cost the hub much for their
 * size. What is within HUB_MESSAGES_PER_S is sent at that rate, because a hub may not refuse it.
 */
import type { Random } from '../random.ts';
import { putFriends } from '../hub-http.ts';
import {
  chunkOf,
  chunksOf,
  greeted,
  hello,
  inTurn,
  observing,
  upgraded,
  type Attack,
  type AttackTarget,
} from './attack.ts';
import { clientFrame, closeFrame, opcodes, textFrame } from '../ws-frames.ts';
import { storeUsers } from './prepared.ts';

const FIN = 0x80;
const target: AttackTarget = 'ws';
/** Within the default HUB_MESSAGES_PER_S, and within its burst together with a hello. */
const PER_S = 190;
const BURSTS = [1250, 650];
const LIST = 1000;
const LARGE_LIST = 10_000;
const DEVICES = 45;

const text = (json: string): Buffer => clientFrame(FIN | opcodes.text, Buffer.from(json));
const flips = Buffer.concat(
  Array.from({ length: 100 }, (_, no) =>
    textFrame({ type: 'heartbeat', status: no % 2 === 0 ? 'away' : 'online', text: `flood ${no}`, id: no }),
  ),
);
const named = (name: string, count: number): string[] => Array.from({ length: count }, (_, no) => `${name}${no}`);
const watches = chunkOf(() => textFrame({ type: 'watch', users: named('u', 500) }));
const badMessages = ['{', '{"type":', 'null', '[]', '0', '"', '{"type":"hello","user":7}', '{"type":{}}', '\u0000'];
const unknownTypes = ['x', '', 'Hello', '__proto__', 'heartbeat ', 'snapshot'].map((type) => textFrame({ type }));
const unwatchList = textFrame({ type: 'unwatch', friendsOf: 'attacked-list' });
const unwatchLarge = textFrame({ type: 'unwatch', friendsOf: 'attacked-large-list' });
const watchIds = textFrame({ type: 'watch', users: named('u', 500) });
const unwatchIds = textFrame({ type: 'unwatch', users: named('u', 500) });

const flood = (name: string, about: string, message: (random: Random) => Buffer): Attack => ({
  name,
  target,
  about,
  start: (crowd, { width, port, random }) =>
    crowd.flood(width, inTurn(chunksOf(random, message)), random.isOneIn(2) ? greeted(port) : upgraded(port)),
});

/** The largest entry: sessions whose labels are long as JSON, because each character is six. */
const longDevice = (no: number): string => `${String(no).padStart(2, '0')}${'界'.repeat(62)}`;

export const wsMessageAttacks: readonly Attack[] = [
  flood('ws-empty', 'empty messages', () => text('')),
  flood('ws-bad-json', 'messages that are no JSON, or not what they must be', (random) =>
    text(random.pick(badMessages)),
  ),
  flood('ws-unknown', 'messages of unknown types', (random) => random.pick(unknownTypes)),
  flood('ws-binary', 'binary messages', (random) => {
    return clientFrame(FIN | opcodes.binary, Buffer.alloc(random.below(200)));
  }),
  {
    name: 'ws-flood',
    target,
    about: 'changes, and watches of many ids; some do not read the answers',
    start: (crowd, { width, port }) => {
      crowd.flood(Math.ceil(width / 2), () => flips, greeted(port));
      crowd.flood(Math.ceil(width / 4), () => watches, greeted(port));
      crowd.flood(Math.ceil(width / 4), () => watches, { ...greeted(port), isReading: false });
    },
  },
  {
    name: 'ws-list-churn',
    target,
    about: `unwatch and watch of a list of ${LIST}, within the rate`,
    prepare: async ({ port, tcpPort }) => {
      const friends = named('attacked-friend-', LIST);
      await storeUsers(tcpPort, friends);
      await putFriends(port, 'attacked-list', friends);
    },
    start: (crowd, { width, port }) => {
      // What is newer than now is nothing: the answer is small, the work is not.
      const watch = textFrame({ type: 'watch', friendsOf: 'attacked-list', since: Date.now() });
      crowd.pace(width, inTurn([watch, unwatchList]), { bursts: BURSTS, perS: PER_S, ...observing(port) });
    },
  },
  {
    name: 'ws-id-churn',
    target,
    about: 'unwatch and watch of 500 ids, within the rate',
    start: (crowd, { width, port }) =>
      crowd.pace(width, inTurn([watchIds, unwatchIds]), { bursts: BURSTS, perS: PER_S, ...observing(port) }),
  },
  {
    name: 'ws-many-lists',
    target,
    about: `1,800 watched lists, then unwatch and watch of one with ${LARGE_LIST}`,
    prepare: ({ port }) => putFriends(port, 'attacked-large-list', named('f', LARGE_LIST)),
    start: (crowd, { width, port, random }) => {
      const lists = Array.from({ length: 1800 }, (_, no) =>
        textFrame({ type: 'watch', friendsOf: `nobody-${random.below(1e6)}-${no}` }),
      );
      const watch = textFrame({ type: 'watch', friendsOf: 'attacked-large-list', since: Date.now() });
      const piece = (no: number): Buffer => lists[no] ?? (no % 2 === 0 ? watch : unwatchLarge);
      crowd.pace(width, piece, { bursts: [lists.length + 20], perS: PER_S, ...observing(port) });
    },
  },
  {
    name: 'ws-unread-watches',
    target,
    about: 'watches of 62,000 ids whose answers are not read',
    start: (crowd, { width, port }) => {
      const piece = (no: number): Buffer => textFrame({ type: 'watch', users: named(`unread${no}-`, 1000) });
      crowd.pace(width, inTurn(Array.from({ length: 62 }, (_, no) => piece(no))), {
        bursts: [62],
        perS: 0,
        isReading: false,
        ...observing(port),
      });
    },
  },
  {
    name: 'ws-hello-churn',
    target,
    about: 'hello, then the end, in all ways',
    start: (crowd, { width, port, random }) => {
      const ends = [textFrame({ type: 'bye' }), closeFrame(1000), closeFrame(4999), Buffer.alloc(0)];
      const say = (no: number): Buffer => Buffer.concat([hello(`churn${no % 500}`), random.pick(ends)]);
      crowd.visit(width, upgraded(port, say));
    },
  },
  {
    name: 'ws-flapping',
    target,
    about: `a user with ${DEVICES} long device labels flaps within the rate; others watch it`,
    start: (crowd, { width, port }) => {
      const say = (no: number): Buffer => hello('flapper', { device: longDevice(no), text: '\u0001'.repeat(140) });
      const still = Math.min(DEVICES, width);
      const flips = ['busy', 'online'].map((status) => textFrame({ type: 'heartbeat', status }));
      crowd.pace(still, () => textFrame({ type: 'heartbeat' }), { bursts: [], perS: 0.1, ...upgraded(port, say) });
      const flapper = upgraded(port, () => say(DEVICES));
      crowd.pace(1, inTurn(flips), { bursts: [], perS: PER_S, ...flapper });
      const watch = textFrame({ type: 'watch', users: ['flapper'] });
      crowd.pace(3 * width, () => watch, { bursts: [1], perS: 0, ...observing(port) });
    },
  },
];

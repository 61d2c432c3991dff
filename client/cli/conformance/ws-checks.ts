/** Checks of section 4: the messages of one WebSocket connection. */
import type { Check } from './check.ts';
import type { Kit } from './kit.ts';
import { must, mustEqual, Violation } from './violation.ts';
import type { Message, WsPeer } from './ws-peer.ts';

const BAD_MESSAGES_THAT_CLOSE = 10;
const MAX_MESSAGE_BYTES = 16_384;
const MAX_TEXT_UNITS = 140;

/** Sends a message and expects an error with this code, on a connection that stays open. */
async function refused(peer: WsPeer, message: object | string, code: string): Promise<Message> {
  peer.send(message);
  const error = await peer.next('error');
  if (error['code'] !== code) {
    throw new Violation(
      `${JSON.stringify(message)} is answered with "${String(error['code'])}", and must be "${code}"`,
    );
  }
  must(typeof error['message'] === 'string', 'an error has no message');
  must(peer.isOpen, `the connection was closed for ${code}`);
  return error;
}

const greet = (kit: Kit): Promise<WsPeer> => kit.hello({ user: kit.user() });

export const wsChecks: readonly Check[] = [
  {
    rules: ['W4', 'W24', 'L2'],
    title: 'hello is answered with a welcome that has the session, the times and the protocol',
    run: async (kit) => {
      const user = kit.user();
      const peer = await kit.openWs();
      peer.send({ type: 'hello', user });
      const welcome = await peer.next('welcome');
      const { session, heartbeatMs, timeoutMs, node, protocol } = welcome;
      mustEqual('user', welcome['user'], user);
      mustEqual('protocol', protocol, 1);
      must(typeof session === 'string' && session !== '', 'session is no text');
      must(typeof node === 'string' && node !== '', 'node is no text');
      must(
        Number.isInteger(heartbeatMs) && Number.isInteger(timeoutMs),
        'heartbeatMs and timeoutMs are no whole numbers',
      );
      must(Number(timeoutMs) >= 2 * Number(heartbeatMs), 'timeoutMs is less than two heartbeats');
    },
  },
  {
    rules: ['W4'],
    title: 'a message before hello, a bad hello and a second hello are refused, and the connection stays',
    run: async (kit) => {
      const peer = await kit.openWs();
      await refused(peer, { type: 'heartbeat' }, 'hello_first');
      await refused(peer, { type: 'hello', user: 'a b' }, 'bad_message');
      peer.send({ type: 'hello', user: kit.user() });
      await peer.next('welcome');
      await refused(peer, { type: 'hello', user: kit.user() }, 'bad_message');
    },
  },
  {
    rules: ['W1'],
    title: 'text that is no JSON object, and a binary message, are bad_message',
    run: async (kit) => {
      const peer = await greet(kit);
      for (const text of ['{', '[]', '"hello"', '']) await refused(peer, text, 'bad_message');
      peer.sendBinary(new TextEncoder().encode('{"type":"heartbeat"}'));
      mustEqual('code', (await peer.next('error'))['code'], 'bad_message');
    },
  },
  {
    rules: ['W46'],
    title: '10 bad messages in a row close with 4400, and a good one between them restarts the count',
    run: async (kit) => {
      const peer = await greet(kit);
      for (let n = 1; n < BAD_MESSAGES_THAT_CLOSE; n++) peer.send('{');
      peer.send({ type: 'heartbeat', id: 'good' });
      await peer.next('ok', ({ re }) => re === 'good');
      for (let n = 1; n < BAD_MESSAGES_THAT_CLOSE; n++) await refused(peer, '{', 'bad_message');
      peer.send('{');
      mustEqual('the close code', await peer.closed(), 4400);
    },
  },
  {
    rules: ['W46'],
    title: 'a message over 16 KiB closes with 1009',
    run: async (kit) => {
      const peer = await greet(kit);
      peer.send({ type: 'heartbeat', padding: 'x'.repeat(MAX_MESSAGE_BYTES) });
      mustEqual('the close code', await peer.closed(), 1009);
    },
  },
  {
    rules: ['W2', 'W32'],
    title: 'the id of a message, text or number, comes back as re in its answer or error',
    run: async (kit) => {
      const peer = await greet(kit);
      for (const id of ['a', 7]) {
        peer.send({ type: 'heartbeat', id });
        mustEqual('re of ok', (await peer.next('ok'))['re'], id);
        peer.send({ type: 'watch', users: [kit.user()], id });
        mustEqual('re of snapshot', (await peer.next('snapshot'))['re'], id);
        mustEqual('re of error', (await refused(peer, { type: 'watch', users: [], id }, 'bad_message'))['re'], id);
      }
    },
  },
  {
    rules: ['W3', 'W45'],
    title: 'unknown fields are ignored, and an unknown type is an error that does not close',
    run: async (kit) => {
      const peer = await greet(kit);
      await refused(peer, { type: 'no-such-type' }, 'unknown_type');
      peer.send({ type: 'heartbeat', id: 1, 'no-such-field': { a: 1 } });
      await peer.next('ok');
    },
  },
  {
    rules: ['W9'],
    title: 'an observer has no presence, and may not claim one',
    run: async (kit) => {
      const user = kit.user();
      const watcher = await kit.hello({ user, observe: true });
      mustEqual('its status', (await kit.entryOf(user)).status, 'offline');
      await refused(watcher, { type: 'heartbeat', status: 'online' }, 'bad_message');
      watcher.send({ type: 'heartbeat', id: 1 });
      await watcher.next('ok');
      const other = await kit.openWs();
      await refused(other, { type: 'hello', observe: true, status: 'online' }, 'bad_message');
    },
  },
  {
    rules: ['W12'],
    title: 'an empty list, and users together with friendsOf, are bad_message; duplicates count once',
    run: async (kit) => {
      const peer = await greet(kit);
      const user = kit.user();
      await refused(peer, { type: 'watch', users: [] }, 'bad_message');
      await refused(peer, { type: 'watch', users: [user], friendsOf: user }, 'bad_message');
      await refused(peer, { type: 'watch' }, 'bad_message');
      peer.send({ type: 'watch', users: [user, user] });
      const { entries } = await peer.next('snapshot');
      mustEqual('the number of entries', Array.isArray(entries) && entries.length, 1);
    },
  },
  {
    rules: ['I1', 'I2', 'I3', 'I4'],
    title: 'ids, devices, texts and statuses beyond their limits are bad_message',
    run: async (kit) => {
      const peer = await kit.openWs();
      const user = kit.user();
      for (const bad of [
        { user: '..' },
        { user: 'x'.repeat(129) },
        { user: 'ü' },
        { user, device: 'x'.repeat(65) },
        { user, device: '' },
        { user, text: 'x'.repeat(MAX_TEXT_UNITS + 1) },
        { user, text: '\ud800' },
        { user, status: 'offline' },
      ]) {
        await refused(peer, { type: 'hello', ...bad }, 'bad_message');
      }
    },
  },
  {
    rules: ['W14', 'L5'],
    title: 'bye is a clean end: the user is offline at once, and the hub closes with 1000',
    run: async (kit) => {
      const user = kit.user();
      const peer = await kit.hello({ user });
      peer.send({ type: 'bye' });
      mustEqual('the close code', await peer.closed(), 1000);
      mustEqual('status', (await kit.entryOf(user)).status, 'offline');
    },
  },
  {
    rules: ['W33', 'I14'],
    title: 'self reports the user’s own true status, even if invisible, and its changes',
    run: async (kit) => {
      const peer = await kit.hello({ user: kit.user(), status: 'invisible', device: 'phone', self: true });
      const first = await peer.next('self');
      mustEqual('status', first['status'], 'invisible');
      mustEqual('devices', first['devices'], ['phone']);
      peer.send({ type: 'heartbeat', status: 'busy', text: 'in a meeting' });
      const second = await peer.next('self', ({ status }) => status === 'busy');
      mustEqual('text', second['text'], 'in a meeting');
    },
  },
];

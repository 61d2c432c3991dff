/** The SDK and a hub that sends what no hub sends: nothing is thrown into the app, and the connection is made again. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { WebSocket as Ws, WebSocketServer, type WebSocket } from 'ws';
import { createPresenceClient, type PresenceClient } from '../../client/sdk/index.ts';
import type { WebSocketConstructor } from '../../client/sdk/types.ts';

vi.setConfig({ testTimeout: 30_000 });

const entry = { user: '7', status: 'online', code: 1, since: 1, lastSeen: 1, devices: ['web'], text: 'hi', v: 1 };
const welcome = { type: 'welcome', session: 's', heartbeatMs: 10_000, timeoutMs: 25_000, node: 'n', protocol: 1 };
const snapshot = { type: 'snapshot', friendsOf: '42', at: 5, entries: [entry] };
const nest = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;

/** Messages after a welcome and a good snapshot, by what is wrong with them. */
const malformed: Readonly<Record<string, unknown>> = {
  'no JSON': '{',
  'an empty text': '',
  bytes: Buffer.from([0xff, 0, 1]),
  null: null,
  'a number': 7,
  'a list': [],
  'no type': {},
  'a type that is a number': { type: 5 },
  'deep nesting': nest(1_000_000),
  'a snapshot without entries': { ...snapshot, entries: undefined },
  'a snapshot with a text for entries': { ...snapshot, entries: 'seven' },
  'an entry that is null': { ...snapshot, entries: [null] },
  'an entry without a user': { ...snapshot, entries: [{ ...entry, user: undefined }] },
  'an entry with an object for a text': { ...snapshot, entries: [{ ...entry, text: {} }] },
  'an entry with a text for devices': { ...snapshot, entries: [{ ...entry, devices: 'web' }] },
  'an entry with a negative version': { ...snapshot, entries: [{ ...entry, v: -1 }] },
  'an entry with a date for lastSeen': { ...snapshot, entries: [{ ...entry, lastSeen: '2026-01-01' }] },
  'a snapshot whose time is too large': { ...snapshot, at: 1e300 },
  'a snapshot with a number for removed': { ...snapshot, since: 1, removed: 7 },
  'users that are no list': { type: 'snapshot', users: {}, at: 5, entries: [] },
  'presence without entries': { type: 'presence' },
  'a friend without an entry': { type: 'friend', friendsOf: '42', op: 'add' },
  'a self without devices': { type: 'self', status: 'online' },
  'a stale without a time': { type: 'stale' },
  'a reconnect without a time': { type: 'reconnect' },
  'a reconnect beyond all timers': { type: 'reconnect', afterMs: 2 ** 31 },
  'a second welcome with a heartbeat of 0 ms': { ...welcome, heartbeatMs: 0 },
  'a second welcome with a heartbeat of a text': { ...welcome, heartbeatMs: 'often' },
  'a tail without changes': { type: 'tail', skipped: 0 },
  'a tail of nothing': { type: 'tail', changes: [{ at: 1, entry }], skipped: 0 },
  'an error without a code': { type: 'error' },
};

let server: WebSocketServer;
let client: PresenceClient;
const uncaught: unknown[] = [];
const note = (error: unknown): void => void uncaught.push(error);

beforeEach(async () => {
  server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  uncaught.length = 0;
  process.on('uncaughtException', note);
  client = createPresenceClient({
    url: `http://127.0.0.1:${port}`,
    user: '42',
    WebSocket: Ws as unknown as WebSocketConstructor,
  });
});
afterEach(async () => {
  client.close();
  process.off('uncaughtException', note);
  for (const one of server.clients) one.terminate();
  server.close();
  await once(server, 'close');
});

/** Sends each connection a welcome, and calls `next` when it has asked for its friends. */
function serve(next: (socket: WebSocket, nth: number, re: unknown) => void): void {
  let count = 0;
  server.on('connection', (socket) => {
    const nth = count++;
    socket.on('error', () => undefined);
    socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as { type: string; id: unknown };
      if (message.type === 'hello') socket.send(JSON.stringify(welcome));
      if (message.type === 'watch') next(socket, nth, message.id);
    });
  });
}

const textOf = (sent: unknown): string | Buffer =>
  typeof sent === 'string' || Buffer.isBuffer(sent) ? sent : JSON.stringify(sent);

test.each(Object.entries(malformed))(
  '%s ends the connection, once and with a reason, and a new one is made',
  async (_, sent) => {
    const ends: unknown[] = [];
    client.on('status', ({ status, reason }) => {
      if (status === 'reconnecting' && reason !== undefined) ends.push(reason);
    });
    let asked = 0;
    serve((socket, nth, re) => {
      asked = nth + 1;
      socket.send(JSON.stringify({ ...snapshot, re }));
      if (nth === 0) socket.send(textOf(sent));
    });
    const view = client.watchFriends();
    await vi.waitFor(() => expect([ends.length, asked, client.status]).toEqual([1, 2, 'connected']), 10_000);
    expect(ends).toEqual([{ code: 1007, text: expect.stringContaining('Error') as string }]);
    expect([...view.entries.values()]).toEqual([entry]);
    expect(uncaught).toEqual([]);
  },
);

test('messages of an unknown type, and known ones in any order, are no fault', async () => {
  const statuses: string[] = [];
  client.on('status', ({ status }) => statuses.push(status));
  serve((socket, _, re) => {
    const odd = [
      { type: 'weather', re, at: 3, users: ['7'], user: '7' },
      { type: 'presence', entries: [{ ...entry, v: 0 }] },
      { type: 'unwatched', users: ['nobody'] },
      { type: 'friend', friendsOf: '42', op: 'remove', user: 'nobody' },
      { type: 'ok', re: 'never' },
      { type: 'fresh', at: 4 },
      { type: 'error', re: 99, code: 'new_code', message: 'x' },
      { ...snapshot, users: undefined, re: 77 },
      { ...snapshot, re, more: { and: [more()] } },
    ];
    for (const one of odd) socket.send(JSON.stringify(one));
  });
  const view = client.watchFriends();
  await vi.waitFor(() => expect([...view.entries.keys()]).toEqual(['7']), 10_000);
  expect(statuses).toEqual(['connecting', 'connected']);
  expect(uncaught).toEqual([]);
});

/** Something large in a field that nobody knows. */
function more(): unknown {
  return { text: 'x'.repeat(5_000_000) };
}

/** The load generator's own Socket.IO packets against the real library's server, and its WebSocket client against both. */
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server } from 'socket.io';
import { WebSocketServer } from 'ws';
import { afterEach, expect, test } from 'vitest';
import { typeOf, wires } from '../../bench/lib/wires.ts';
import { WsClient } from '../../bench/lib/ws-client.ts';

const closings: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closings.splice(0).reverse()) await close();
});

async function portOf(server: HttpServer): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closings.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

test('Socket.IO takes the packets as events, pings are answered, and its events are read as messages', async () => {
  const server = createServer();
  const io = new Server(server, { transports: ['websocket'], pingInterval: 50, pingTimeout: 1000 });
  closings.push(() => io.close());
  const received: unknown[] = [];
  const wire = wires.socketio;
  io.on('connection', (socket) => {
    socket.onAny((...event: unknown[]) => received.push(event));
    socket.on('hello', () => socket.emit('welcome', { user: 'a' }));
  });
  const port = await portOf(server);
  const text = await new Promise<string>((resolve) => {
    const client = new WsClient({
      port,
      wire: 'socketio',
      firstFrames: [wire.frame('hello', { user: 'a' })],
      onText: resolve,
    });
    closings.push(() => client.end('reset'));
    // Sent before it is open: kept until then.
    client.send(wire.frame('heartbeat'));
  });
  expect(text).toBe('["welcome",{"user":"a"}]');
  expect(typeOf(text)).toBe('welcome');
  // A second answered ping: the packet of the first was taken.
  const [socket] = await io.fetchSockets();
  const { conn } = io.sockets.sockets.get(socket!.id)!;
  await new Promise<void>((resolve) => {
    let pongs = 0;
    conn.on('packet', ({ type }: { type: string }) => {
      if (type === 'pong' && ++pongs === 2) resolve();
    });
  });
  expect(received).toEqual([
    ['hello', { user: 'a' }],
    ['heartbeat', {}],
  ]);
});

test('over JSON the first frames go out with the upgrade, and messages come as they are', async () => {
  const server = createServer();
  const sockets = new WebSocketServer({ server, path: wires.json.path });
  closings.push(() => sockets.close());
  sockets.on('connection', (socket) => socket.on('message', (bytes: Buffer) => socket.send(bytes.toString())));
  const port = await portOf(server);
  const text = await new Promise<string>((resolve) => {
    const client = new WsClient({ port, firstFrames: [wires.json.frame('hello', { user: 'a' })], onText: resolve });
    closings.push(() => client.end('reset'));
  });
  expect(text).toBe('{"type":"hello","user":"a"}');
  expect(typeOf(text)).toBe('hello');
});

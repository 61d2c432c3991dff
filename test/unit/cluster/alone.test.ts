/** How a node that is cut off asks its peers. Their addresses come from the store, so anybody may answer. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { expect, it, vi } from 'vitest';
import { Alone } from '../../../server/cluster/bridge/alone.ts';

const CHUNK = Buffer.alloc(65_536, ' ');

it('reads no more of an answer than a peer may send', async () => {
  let sent = 0;
  const server = createServer((_request, response) => {
    const send = (): void => {
      do sent += CHUNK.length;
      while (response.write(CHUNK));
    };
    response.on('drain', send);
    send();
  });
  server.listen(0);
  await once(server, 'listening');
  const ended = new Promise<void>((resolve) => {
    server.once('connection', (socket) => socket.once('close', () => resolve()));
  });
  let nowMs = 0;
  const alone = new Alone({
    members: { urls: () => [`http://127.0.0.1:${(server.address() as AddressInfo).port}`] },
    inc: () => 'hub-1',
    siblingReaches: () => Promise.resolve(false),
    isUp: () => false,
    nowMs: () => nowMs,
    log: pino({ enabled: false }),
    onAlone: () => undefined,
  });
  nowMs = 10_000;
  alone.tick();
  await ended;
  server.close();
  expect(sent).toBeLessThan(8_000_000);
  expect(alone.isAlone).toBe(false);
});

it('is alone if another worker behind its ports reaches the store (C16, C27)', async () => {
  const told: boolean[] = [];
  let nowMs = 0;
  let reaches = false;
  const alone = new Alone({
    members: { urls: () => [] },
    inc: () => 'hub-1',
    siblingReaches: () => Promise.resolve(reaches),
    isUp: () => false,
    nowMs: () => nowMs,
    log: pino({ enabled: false }),
    onAlone: (isAlone) => told.push(isAlone),
  });
  nowMs = 10_000;
  alone.tick();
  reaches = true;
  nowMs += 1000;
  alone.tick();
  await vi.waitFor(() => expect(told).toEqual([true]));
});

it('asks an address once if several workers share it', async () => {
  let asked = 0;
  const server = createServer((_request, response) => {
    asked++;
    response.end('{"status":"ready","redis":"up"}');
  });
  server.listen(0);
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let nowMs = 0;
  const alone = new Alone({
    members: { urls: () => [url, url, url] },
    inc: () => 'hub-1',
    siblingReaches: () => Promise.resolve(false),
    isUp: () => false,
    nowMs: () => nowMs,
    log: pino({ enabled: false }),
    onAlone: () => undefined,
  });
  nowMs = 10_000;
  alone.tick();
  await vi.waitFor(() => expect(alone.isAlone).toBe(true));
  expect(asked).toBe(1);
  server.closeAllConnections();
  server.close();
});

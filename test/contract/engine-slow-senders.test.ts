/**
 * Clients that are slow on purpose, over each engine that loads here, without TLS and with it: each is cut within seconds.
 * In real time, since uWebSockets.js has its 10 s built in; all at once, so that it takes them once.
 */
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { HttpReply } from '../../server/sockets/port.ts';
import { certificateFile } from '../support/certificate-file.ts';
import { enginesHere, openFiles, Raw, Rig } from './engine-rig.ts';

const SOONEST_MS = 7_500;
/** uWebSockets.js counts in steps of 4 s from 8 to 12, Node looks once a second; the rest is for a busy machine. */
const LATEST_MS = 16_000;
const POST = 'POST / HTTP/1.1\r\nhost: hub\r\ncontent-length: 1000\r\n\r\n';
const CHUNKED = 'POST / HTTP/1.1\r\nhost: hub\r\ntransfer-encoding: chunked\r\n\r\n';

/** What each says at first, and then once a second. */
const senders: [name: string, first: string, then: string][] = [
  ['says nothing', '', ''],
  ['sends a header a second', 'GET / HTTP/1.1\r\nhost: hub\r\n', 'x: y\r\n'],
  ['sends an empty line a second', '\r\n', '\r\n'],
  ['sends a head and no body', POST, ''],
  ['sends a byte of its body a second', POST, 'a'],
  ['sends a chunk a second', CHUNKED, '1\r\na\r\n'],
];

/** Whether an idle connection still answers when the slow ones have been cut. */
async function staysIdle(raw: Raw): Promise<boolean> {
  const request = 'GET / HTTP/1.1\r\nhost: hub\r\n\r\n';
  raw.write(request);
  await raw.until((text) => text.includes('GET /'));
  await new Promise((resolve) => setTimeout(resolve, LATEST_MS));
  raw.write(request);
  return raw
    .until((text) => text.split('GET /').length > 2)
    .then(
      () => true,
      () => false,
    );
}

const tls = await openFiles(certificateFile('first.crt'), certificateFile('first.key'));
const kinds = enginesHere().flatMap((engine) => [
  { name: engine.name, engine },
  { name: `${engine.name} over TLS`, engine: { ...engine, tls } },
]);

/** How long until it is cut. */
async function lasts(raw: Raw, first: string, then: string): Promise<number> {
  const startedAt = performance.now();
  raw.write(first);
  const dripping = setInterval(() => raw.write(then), 1_000);
  await raw.closed;
  clearInterval(dripping);
  return performance.now() - startedAt;
}

/** Whether one that reads nothing at first gets less than all of its answer when it reads at last. */
async function isCutUnread(raw: Raw, bodyBytes: number): Promise<boolean> {
  raw.wire.pause();
  raw.write('GET /big HTTP/1.1\r\nhost: hub\r\n\r\n');
  await new Promise((resolve) => setTimeout(resolve, LATEST_MS - 2_000));
  raw.wire.resume();
  return (await raw.closed).length < bodyBytes;
}

describe.concurrent.each(kinds)('$name', ({ engine }) => {
  it.concurrent(
    'cuts every slow client after some 10 s, and serves the others',
    async () => {
      const rig = await Rig.start(engine);
      const big = { status: 200, headers: {}, body: Buffer.alloc(20_000_000) };
      let answer: (reply: HttpReply) => void = () => undefined;
      const late = new Promise<HttpReply>((resolve) => (answer = resolve));
      const small = rig.http;
      rig.http = (request) => (request.path === '/big' ? big : request.path === '/late' ? late : small(request));
      const { client, hub } = await rig.connect();
      const waiting = rig.raw();
      waiting.write('GET /late HTTP/1.1\r\nhost: hub\r\n\r\n');

      const all = senders.map(async ([name, first, then]) => [name, await lasts(rig.raw(), first, then)] as const);
      if (rig.isTls) {
        const record = '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03';
        const tcp = (): Raw => new Raw(connect(rig.port, '127.0.0.1'));
        all.push(lasts(tcp(), '', '').then((ms) => ['starts no handshake', ms]));
        all.push(lasts(tcp(), record, 'a').then((ms) => ['sends a byte of its handshake a second', ms]));
      }
      const idle = staysIdle(rig.raw());
      const cutUnread = isCutUnread(rig.raw(), big.body.length);
      for (const [name, ms] of await Promise.all(all)) {
        expect(ms, name).toBeGreaterThan(SOONEST_MS);
        expect(ms, name).toBeLessThan(LATEST_MS);
      }
      expect(await cutUnread).toBe(true);
      // uWebSockets.js has 10 s for idle connections built in, too. So it keeps none of a proxy: engine-http-contract.
      expect(await idle).toBe(engine.name === 'ws');

      // What the hub makes a client wait for, and a WebSocket that says nothing, are the hub's to judge.
      answer({ status: 200, headers: {}, body: 'at last' });
      await waiting.until((text) => text.endsWith('at last'));
      client.ws.send('still there');
      expect(await hub.events.next()).toBe('message still there');
      await rig.stop();
    },
    25_000,
  );
});

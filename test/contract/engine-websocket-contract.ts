/**
 * What every engine must do with WebSockets that are well: letting them in, messages, pings. Part of engine-contract.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { HttpReply } from '../../server/sockets/port.ts';
import { BINARY, CONTINUATION, frame, handshake, PING, problem, Rig, TEXT, type Tested } from './engine-rig.ts';

export function webSocketContract(engine: Tested): void {
  let rig: Rig;
  beforeEach(async () => {
    rig = await Rig.start(engine);
  });
  afterEach(() => rig.stop());

  describe('letting a WebSocket in', () => {
    it('asks about any path, with its query, headers and address', async () => {
      await rig.connect('/some/%C3%A9?token=a%20b&x');
      const request = await rig.admitted.next();
      expect(request).toMatchObject({
        method: 'GET',
        path: '/some/%C3%A9',
        query: 'token=a%20b&x',
        remoteAddress: '127.0.0.1',
        body: '',
      });
      expect(request.headers.get('upgrade')).toBe('websocket');
      expect(request.headers.has('origin')).toBe(false);
    });

    it('answers a refused one with the reply, and ends the connection', async () => {
      rig.admit = () => problem(403);
      const raw = rig.raw();
      raw.write(handshake());
      const text = await raw.closed;
      expect(text).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
      expect(text).toMatch(/content-length: \d+\r\n/i);
      expect(text).toMatch(/\{"status":403,"title":"turned down"\}$/);
      expect(rig.opened.rest()).toEqual([]);
    });

    it.each([
      ['no key', handshake({ 'sec-websocket-key': undefined })],
      ['a key that is too short', handshake({ 'sec-websocket-key': 'abc' })],
      ['a key of the right length that is no base64', handshake({ 'sec-websocket-key': '!'.repeat(24) })],
      ['another method', handshake({}, 'POST')],
    ])('turns a handshake with %s down with 400', async (_, text) => {
      const raw = rig.raw();
      raw.write(text);
      expect(await raw.closed).toMatch(/^HTTP\/1\.1 400 [^]*"turned down"\}$/);
      expect(rig.admitted.rest()).toEqual([]);
    });

    it('turns a handshake of another version down with 426', async () => {
      const raw = rig.raw();
      raw.write(handshake({ 'sec-websocket-version': '12' }));
      expect(await raw.closed).toMatch(/^HTTP\/1\.1 426 [^]*"turned down"\}$/);
      expect(rig.admitted.rest()).toEqual([]);
    });

    it.each([
      ['no upgrade header', { upgrade: undefined, connection: undefined }],
      ['an upgrade to something else', { upgrade: 'h2c' }],
      ['no connection header', { connection: undefined }],
    ])('serves a request with a key but %s as HTTP', async (_, change) => {
      const raw = rig.raw();
      raw.write(handshake(change));
      expect(await raw.until((text) => text.endsWith('GET /ws'))).toMatch(/^HTTP\/1\.1 200 /);
      expect(rig.admitted.rest()).toEqual([]);
    });

    it.each([
      ['a body', 'POST /asked HTTP/1.1\r\nhost: hub\r\ncontent-length: 4\r\n', '\r\nbody'],
      [
        'a body in chunks',
        'POST /asked HTTP/1.1\r\nhost: hub\r\ntransfer-encoding: chunked\r\n',
        '\r\n4\r\nbody\r\n0\r\n\r\n',
      ],
    ])('serves a request with %s that offers h2c, with its body and nothing of the offer', async (_, head, body) => {
      const offer =
        'connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n';
      const raw = rig.raw();
      raw.write(head + offer + body.slice(0, 4));
      raw.write(body.slice(4));
      expect(await raw.until((text) => text.endsWith('POST /asked'))).toMatch(/^HTTP\/1\.1 200 /);
      expect((await rig.requests.next()).body).toBe('body');
    });

    it('writes no answer to a request before it among its frames', async () => {
      let answerIt: (reply: HttpReply) => void = () => undefined;
      rig.http = () => new Promise((resolve) => (answerIt = resolve));
      rig.onOpened = (socket) => socket.send('hello');
      const raw = rig.raw();
      raw.write('GET /slow HTTP/1.1\r\nhost: hub\r\n\r\n' + handshake());
      await rig.requests.next();
      answerIt({ status: 200, headers: {}, body: 'slow' });
      // An engine that can't wait cuts the connection instead.
      const text = await Promise.race([raw.until((all) => all.includes('hello')), raw.closed]);
      if (text.includes('101 ')) {
        expect(text).toMatch(/^HTTP\/1\.1 200 [^]*slowHTTP\/1\.1 101 /);
        expect(text.slice(text.lastIndexOf('\r\n\r\n') + 4)).toBe('\x81\x05hello');
      } else expect(text).not.toContain('hello');
    });

    it('takes the first subprotocol offered (R2)', async () => {
      const ws = new WebSocket(rig.url('/'), ['one', 'two'], { rejectUnauthorized: false });
      await new Promise((resolve) => ws.once('open', resolve));
      expect(ws.protocol).toBe('one');
      ws.terminate();
    });

    it('agrees to no compression (R3)', async () => {
      const { client } = await rig.connect();
      expect(client.ws.extensions).toBe('');
    });

    it('sends and closes from within opened', async () => {
      rig.onOpened = (socket) => {
        socket.send('welcome');
        socket.close(1013, 'full');
      };
      const { client, hub } = await rig.connect();
      expect(await client.messages.next()).toBe('welcome');
      expect(await client.closed).toEqual({ code: 1013, reason: 'full' });
      expect(await hub.events.next()).toBe('closed');
    });

    it('cuts from within opened', async () => {
      rig.onOpened = (socket) => {
        socket.terminate();
      };
      const raw = rig.raw();
      raw.write(handshake());
      await raw.closed;
      const hub = await rig.opened.next();
      expect(await hub.events.next()).toBe('closed');
    });
  });

  describe('messages', () => {
    it('carries text both ways, whatever its characters', async () => {
      const { client, hub } = await rig.connect();
      const text = '\uFEFFnaïve 𝄞 日本 \u0000';
      client.ws.send(text);
      expect(await hub.events.next()).toBe(`message ${text}`);
      expect(hub.socket.send(text)).toBe('sent');
      expect(await client.messages.next()).toBe('\uFEFFnaïve 𝄞 日本 \u0000');
      client.ws.send('');
      expect(await hub.events.next()).toBe('message ');
    });

    it('sends the bytes of a text to many as the text that they are, in its place', async () => {
      const peers = [await rig.connect(), await rig.connect()];
      const bytes = new TextEncoder().encode('--naïve 𝄞--').subarray(2, -2);
      for (const { hub } of peers) {
        hub.socket.send('before');
        expect(hub.socket.send(bytes)).toBe('sent');
        hub.socket.send('after');
      }
      for (const { client } of peers) {
        const reported = [await client.messages.next(), await client.messages.next(), await client.messages.next()];
        expect(reported).toEqual(['before', 'naïve 𝄞', 'after']);
      }
    });

    it('keeps the order of many messages in one packet', async () => {
      const { raw, hub } = await rig.rawWebSocket();
      raw.write(Buffer.concat(Array.from({ length: 50 }, (_, i) => frame(TEXT, String(i)))));
      for (let i = 0; i < 50; i++) expect(await hub.events.next()).toBe(`message ${String(i)}`);
    });

    it('reports a binary message without its bytes', async () => {
      const { client, hub } = await rig.connect();
      client.ws.send(Buffer.from([1, 2]));
      expect(await hub.events.next()).toBe('binary');
    });

    it('passes 16 KiB, counts bytes and not characters, and throws a byte more away', async () => {
      const { client, hub } = await rig.connect();
      client.ws.send('é'.repeat(8192));
      expect(await hub.events.next()).toBe(`message ${'é'.repeat(8192)}`);
      client.ws.send(`${'é'.repeat(8192)}a`);
      expect(await hub.events.next()).toBe('oversize');
      client.ws.send(Buffer.alloc(16_385));
      expect(await hub.events.next()).toBe('oversize');
      client.ws.send('a'.repeat(2 * 1024 * 1024));
      expect(await hub.events.next()).toBe('oversize');
      client.ws.send('still here');
      expect(await hub.events.next()).toBe('message still here');
    });

    it('joins the fragments of a message, even if a ping or half a character lies between (R4)', async () => {
      const { raw, hub } = await rig.rawWebSocket();
      const [first, second] = [Buffer.from('€').subarray(0, 1), Buffer.from('€').subarray(1)];
      raw.write(frame(TEXT, first, false));
      raw.write(frame(9, 'ping'));
      raw.write(frame(CONTINUATION, second));
      expect(await hub.events.next()).toBe('message €');
    });

    it('measures the whole of a fragmented message', async () => {
      const { raw, hub } = await rig.rawWebSocket();
      raw.write(frame(TEXT, 'a'.repeat(8192), false));
      raw.write(frame(CONTINUATION, 'a'.repeat(8192)));
      expect(await hub.events.next()).toBe(`message ${'a'.repeat(16_384)}`);
      raw.write(frame(BINARY, 'a'.repeat(8192), false));
      raw.write(frame(CONTINUATION, 'a'.repeat(8193)));
      expect(await hub.events.next()).toBe('oversize');
    });

    it.each([
      ['over 2 MiB', frame(TEXT, Buffer.alloc(2 * 1024 * 1024 + 1, 97))],
      ['that is no UTF-8', frame(TEXT, Buffer.from([0xff, 0xfe]))],
      ['without a mask', Buffer.from([0x81, 1, 97])],
      ['with a reserved bit', Buffer.from([0xf1, 0x81, 0, 0, 0, 0, 97])],
      ['that continues nothing', frame(CONTINUATION, 'a')],
    ])('ends the one connection that sends a message %s', async (_, bytes) => {
      const neighbour = await rig.connect();
      const { raw, hub } = await rig.rawWebSocket();
      raw.write(bytes);
      raw.wire.end();
      await raw.closed;
      expect(await hub.events.next()).toBe('closed');
      neighbour.client.ws.send('me too?');
      expect(await neighbour.hub.events.next()).toBe('message me too?');
    });
  });

  it('reports a pong, and answers a ping by itself', async () => {
    const { client, hub } = await rig.connect();
    hub.socket.ping();
    expect(await hub.events.next()).toBe('pong');
    client.ws.ping('x');
    expect(await client.messages.next()).toBe('pong x');
  });

  it('reports each ping, so that it is counted', async () => {
    const { raw, hub } = await rig.rawWebSocket();
    raw.write(Buffer.concat([...Array<Uint8Array>(1_000).fill(frame(PING, '')), frame(TEXT, 'after')]));
    expect(await hub.events.next()).toBe('message after');
    expect(rig.frames).toBe(1_000);
  });

  it.each(['close', 'terminate'] as const)('reports nothing more after %s from within a ping', async (how) => {
    rig.onFrame = (socket) => {
      if (how === 'close') socket.close(4429, 'too many');
      else socket.terminate();
    };
    const { raw, hub } = await rig.rawWebSocket();
    raw.write(Buffer.concat(Array<Uint8Array>(10_000).fill(frame(PING, ''))));
    if (how === 'close') {
      await raw.until((text) => text.includes('too many'));
      raw.wire.end();
    }
    expect(await hub.events.next()).toBe('closed');
    expect(rig.frames).toBe(1);
    await raw.closed;
  });

  describe('pause and resume', () => {
    const numbers = Array.from({ length: 3_000 }, (_, i) => String(i));

    it('lose nothing and change no order, whenever they are called', async () => {
      rig.onMessage = (socket, text) => {
        if (Number(text) % 7 !== 0) return;
        socket.pause();
        if (Number(text) % 2 === 0) socket.resume();
        else setImmediate(() => socket.resume());
      };
      const { raw, hub } = await rig.rawWebSocket();
      raw.write(Buffer.concat(numbers.map((text) => frame(TEXT, text))));
      for (const text of numbers) expect(await hub.events.next()).toBe(`message ${text}`);
      hub.socket.pause();
      hub.socket.resume();
      raw.write(frame(TEXT, 'after'));
      expect(await hub.events.next()).toBe('message after');
    });

    it('do nothing to one that has closed', async () => {
      const { raw, hub } = await rig.rawWebSocket();
      hub.socket.pause();
      hub.socket.terminate();
      hub.socket.resume();
      hub.socket.pause();
      expect(await hub.events.next()).toBe('closed');
      await raw.closed;
    });

    if (engine.name === 'ws') {
      it('hold everything back in between, to the frame, on an engine that can', async () => {
        rig.onMessage = (socket) => socket.pause();
        rig.onFrame = (socket) => socket.pause();
        const { raw, hub } = await rig.rawWebSocket();
        raw.write(
          Buffer.concat([frame(TEXT, 'one'), frame(TEXT, 'tw', false), frame(PING, ''), frame(CONTINUATION, 'o')]),
        );
        expect(await hub.events.next()).toBe('message one');
        for (const frames of [1, 2]) {
          hub.socket.resume();
          while (rig.frames < frames) await new Promise((resolve) => setImmediate(resolve));
          expect(hub.events.rest()).toEqual([]);
        }
        hub.socket.resume();
        expect(await hub.events.next()).toBe('message two');
      });
    }
  });
}

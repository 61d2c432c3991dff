/**
 * What every engine must do when a WebSocket ends, its peer reads slowly, or the hub has a bug. Part of
 * engine-contract.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { frame, PING, Rig, TEXT, type Tested } from './engine-rig.ts';

export function endContract(engine: Tested): void {
  let rig: Rig;
  beforeEach(async () => {
    rig = await Rig.start(engine);
  });
  afterEach(() => rig.stop());

  describe('the end of a socket', () => {
    it('says goodbye with code and reason, and drops what is sent after', async () => {
      const { client, hub } = await rig.connect();
      hub.socket.send('last words');
      hub.socket.close(4403, 'ended by an admin');
      expect(hub.socket.send('too late')).toBe('dropped');
      expect(await client.messages.next()).toBe('last words');
      expect(await client.closed).toEqual({ code: 4403, reason: 'ended by an admin' });
      expect(await hub.events.next()).toBe('closed');
      expect(client.messages.rest()).toEqual([]);
    });

    it('cuts a reason that is too long between two characters', async () => {
      const { client, hub } = await rig.connect();
      hub.socket.close(1008, 'é'.repeat(100));
      expect(await client.closed).toEqual({ code: 1008, reason: 'é'.repeat(61) });
    });

    it('takes every call on a closed socket and does nothing', async () => {
      const { client, hub } = await rig.connect();
      client.ws.close(1000);
      expect(await hub.events.next()).toBe('closed');
      expect(hub.socket.send('x')).toBe('dropped');
      hub.socket.ping();
      hub.socket.close(1000, '');
      hub.socket.terminate();
      expect(hub.socket.remoteAddress).toBe('127.0.0.1');
      await client.closed;
      await rig.connect();
      expect(hub.events.rest()).toEqual([]);
    });

    it('reports nothing but closed after its own close, however much is still coming', async () => {
      rig.onMessage = (socket, text) => {
        if (text === 'bye') socket.close(1000, '');
      };
      const { raw, hub } = await rig.rawWebSocket();
      raw.write(Buffer.concat(['bye', 'one', 'two'].map((text) => frame(TEXT, text))));
      raw.write(frame(10, ''));
      // Over TLS uWebSockets.js throws away what it reads together with the end.
      if (!rig.isTls) raw.wire.end();
      expect(await hub.events.next()).toBe('message bye');
      if (rig.isTls) raw.wire.end();
      expect(await hub.events.next()).toBe('closed');
      await raw.closed;
      expect(hub.events.rest()).toEqual([]);
    });

    it.each(['close', 'terminate'] as const)('does not report closed from within %s', async (how) => {
      const { client, hub } = await rig.connect();
      if (how === 'close') hub.socket.close(1000, '');
      else hub.socket.terminate();
      expect(hub.events.rest()).toEqual([]);
      expect(await hub.events.next()).toBe('closed');
      await client.closed;
    });

    it('cuts without a word', async () => {
      const { client, hub } = await rig.connect();
      hub.socket.terminate();
      expect(hub.socket.send('x')).toBe('dropped');
      expect((await client.closed).code).toBe(1006);
      expect(await hub.events.next()).toBe('closed');
    });

    it.each(['closes', 'vanishes'])('reports closed once when the client %s', async (how) => {
      const { client, hub } = await rig.connect();
      if (how === 'closes') client.ws.close(1001);
      else client.ws.terminate();
      expect(await hub.events.next()).toBe('closed');
      await rig.connect();
      expect(hub.events.rest()).toEqual([]);
    });

    it('reports closed after terminate if the peer never answers the close frame', async () => {
      const { raw, hub } = await rig.rawWebSocket({ allowHalfOpen: true });
      hub.socket.close(4408, 'silent');
      await raw.until((text) => text.endsWith('silent'));
      hub.socket.terminate();
      expect(await hub.events.next()).toBe('closed');
      expect(hub.events.rest()).toEqual([]);
    });

    it('cuts a peer that never answers the close frame within 10 s, without being asked', async () => {
      const { raw, hub } = await rig.rawWebSocket({ allowHalfOpen: true });
      hub.socket.close(4408, 'silent');
      // A reset shows only to one who writes.
      const writing = setInterval(() => {
        raw.write(frame(9, ''));
      }, 100);
      await raw.closed;
      clearInterval(writing);
      expect(await hub.events.next()).toBe('closed');
    }, 10_000);
  });

  if (engine.name === 'ws') {
    it('cuts a peer at once that sends on and on after the close frame', async () => {
      const { raw, hub } = await rig.rawWebSocket({ allowHalfOpen: true });
      hub.socket.close(4429, 'too many');
      const pongs = Buffer.concat(Array<Uint8Array>(10_000).fill(frame(10, '')));
      const sending = setInterval(() => raw.write(pongs), 1);
      const begunAt = performance.now();
      expect(await hub.events.next()).toBe('closed');
      clearInterval(sending);
      expect(performance.now() - begunAt).toBeLessThan(3_000);
    });
  }

  describe('a slow reader', () => {
    it('makes send answer queued, then drained comes, and nothing is lost or out of order', async () => {
      const { client, hub } = await rig.connect();
      client.ws.pause();
      const text = 'x'.repeat(64 * 1024);
      let count = 0;
      while (hub.socket.send(`${String(count++)} ${text}`) === 'sent') expect(count).toBeLessThan(1000);
      for (let more = 0; more < 10; more++) {
        expect(hub.socket.send(`${String(count++)} ${text}`)).toBe('queued');
      }
      client.ws.resume();
      for (let i = 0; i < count; i++) expect(await client.messages.next()).toBe(`${String(i)} ${text}`);
      expect(await hub.events.next()).toBe('drained');
      expect(hub.socket.send('after')).toBe('sent');
      expect(await client.messages.next()).toBe('after');
      expect(hub.events.rest()).toEqual([]);
    });

    it('drops beyond 16 MiB, and has lost nothing else once it reads again', async () => {
      const { client, hub } = await rig.connect();
      client.ws.pause();
      const text = 'x'.repeat(1024 * 1024);
      let count = 0;
      while (hub.socket.send(`${String(count)} ${text}`) !== 'dropped') expect(++count).toBeLessThan(64);
      expect(count).toBeGreaterThan(15);
      client.ws.resume();
      for (let i = 0; i < count; i++) expect((await client.messages.next()).startsWith(`${String(i)} `)).toBe(true);
      expect(await hub.events.next()).toBe('drained');
      hub.socket.send('after');
      expect(await client.messages.next()).toBe('after');
    });

    it.each([0, 14])('is cut when it pings on and reads no answer, with %i MiB waiting (W44)', async (mebibytes) => {
      const { raw, hub } = await rig.rawWebSocket();
      raw.wire.pause();
      for (let i = 0; i < mebibytes; i++) hub.socket.send('x'.repeat(1024 * 1024));
      const pings = Buffer.concat(Array<Uint8Array>(1_000).fill(frame(PING, 'x'.repeat(125))));
      let sentBytes = 0;
      const pinging = setInterval(() => {
        if (raw.wire.writableLength > 0) return;
        raw.write(pings);
        sentBytes += pings.length;
      }, 1);
      let event = '';
      while (event !== 'closed') event = await hub.events.next();
      clearInterval(pinging);
      // What the kernel holds for both ends, and a read of the engine's.
      expect(sentBytes).toBeLessThan(20_000_000);
    });

    it('with much waiting is not cut for a ping now and then', async () => {
      const { raw, hub } = await rig.rawWebSocket();
      raw.wire.pause();
      while (hub.socket.send('x'.repeat(1024 * 1024)) !== 'dropped');
      raw.write(Buffer.concat([...Array<Uint8Array>(100).fill(frame(PING, 'x'.repeat(125))), frame(TEXT, 'here')]));
      expect(await hub.events.next()).toBe('message here');
      expect(hub.events.rest()).toEqual([]);
    });

    it('is cut like any other, and leaves nothing behind', async () => {
      const { client, hub } = await rig.connect();
      client.ws.pause();
      const bytes = Buffer.alloc(1024 * 1024, 'x');
      while (hub.socket.send(bytes) === 'sent');
      expect(hub.socket.send(bytes)).toBe('queued');
      hub.socket.terminate();
      expect(await hub.events.next()).toBe('closed');
      client.ws.resume();
      await client.closed;
      expect(hub.events.rest()).toEqual([]);
    });
  });

  it.each(['message', 'opened', 'closed'])('lets what a %s handler throws surface as uncaught', async (where) => {
    const usual = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const caught = new Promise((resolve) => process.once('uncaughtException', resolve));
    const bug = new Error('a bug');
    const fail = () => {
      throw bug;
    };
    try {
      if (where === 'opened') rig.onOpened = fail;
      if (where === 'message') rig.onMessage = fail;
      const { raw, hub } = await rig.rawWebSocket();
      if (where === 'message') raw.write(frame(TEXT, 'x'));
      if (where === 'closed') {
        hub.events.record = fail;
        raw.terminate();
      }
      expect(await caught).toBe(bug);
    } finally {
      for (const listener of usual) process.on('uncaughtException', listener);
    }
  });
}

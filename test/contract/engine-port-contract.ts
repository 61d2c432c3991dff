/**
 * What every engine must do with the port itself: take it alone, say why it can't, give it back.
 * `others` are the engines that may hold it before. Part of engine-contract.
 */
import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Admission } from '../../server/admission.ts';
import type { Engine } from '../../server/sockets/port.ts';
import { needing } from '../support/needs.ts';
import { frame, Rig, TEXT } from './engine-rig.ts';

export function portContract(engine: Engine, others: readonly Engine[]): void {
  const rigs: Rig[] = [];
  const start = async (by: Engine, host?: string, port?: number) => {
    const rig = await Rig.start(by, host, port);
    rigs.push(rig);
    return rig;
  };
  afterEach(async () => {
    for (const rig of rigs.splice(0)) await rig.stop();
  });

  describe('taking the port', () => {
    it('reports the port that it took for 0', async () => {
      const one = await start(engine);
      const two = await start(engine);
      expect(one.port).toBeGreaterThan(0);
      expect(two.port).not.toBe(one.port);
      await two.connect();
    });

    it.each(others.map((holder) => [holder.name, holder] as const))(
      'takes none that %s holds, on this address or on all, and the holder goes on',
      async (_, holder) => {
        const held = await start(holder);
        const { client, hub } = await held.connect();
        for (const host of ['127.0.0.1', '0.0.0.0']) {
          await expect(engine.listen(host, held.port, neverAsked)).rejects.toMatchObject({ code: 'EADDRINUSE' });
        }
        client.ws.send('there?');
        expect(await hub.events.next()).toBe('message there?');
        for (let i = 0; i < 10; i++) await held.connect();
      },
    );

    it('takes none that another program holds', async () => {
      const server = createServer();
      const port = await listening(server);
      await expect(engine.listen('127.0.0.1', port, neverAsked)).rejects.toMatchObject({ code: 'EADDRINUSE' });
      await new Promise((resolve) => server.close(resolve));
    });

    it('throws what the system says of an address that is not of this machine', async () => {
      await expect(engine.listen('203.0.113.7', 0, neverAsked)).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
    });

    it('throws what the system says of a host that has no address', async () => {
      await expect(engine.listen('no..host', 0, neverAsked)).rejects.toMatchObject({ code: 'ENOTFOUND' });
    });

    it('listens on a name', async () => {
      const rig = await start(engine, 'localhost');
      const { client } = await rig.connect('/', 'localhost');
      expect(client.ws.readyState).toBe(client.ws.OPEN);
    });

    it('shows an IPv4 peer of a dual-stack port as IPv4, an IPv6 peer in short form', needing('IPv6'), async () => {
      const rig = await start(engine, '::');
      const four = await rig.connect();
      expect(four.hub.socket.remoteAddress).toBe('127.0.0.1');
      expect((await rig.admitted.next()).remoteAddress).toBe('127.0.0.1');
      const six = await rig.connect('/', '[::1]');
      expect(six.hub.socket.remoteAddress).toBe('::1');
      expect((await rig.admitted.next()).remoteAddress).toBe('::1');
    });
  });

  describe('giving the port back', () => {
    it('cuts sockets and requests, reports closed, and can be taken again at once', async () => {
      const rig = await Rig.start(engine);
      rig.http = () => new Promise(() => undefined);
      const { client, hub } = await rig.connect();
      const leaving = await rig.rawWebSocket({ allowHalfOpen: true });
      leaving.hub.socket.close(1000, '');
      const waiting = rig.raw();
      waiting.write('GET /waits HTTP/1.1\r\nhost: hub\r\n\r\n');
      await rig.requests.next();
      await rig.listening.close();
      expect(hub.events.rest()).toEqual(['closed']);
      expect(leaving.hub.events.rest()).toEqual(['closed']);
      expect((await client.closed).code).toBe(1006);
      expect(await waiting.closed).toBe('');
      for (const next of others) {
        const again = await start(next, '127.0.0.1', rig.port);
        const fresh = await again.rawWebSocket();
        fresh.raw.write(frame(TEXT, 'hello again'));
        expect(await fresh.hub.events.next()).toBe('message hello again');
        await again.stop();
        rigs.pop();
      }
      leaving.raw.terminate();
    });

    it('closes if nobody has connected', async () => {
      const rig = await Rig.start(engine);
      await rig.listening.close();
      const again = await start(engine, '127.0.0.1', rig.port);
      expect(again.port).toBe(rig.port);
    });
  });
}

const neverAsked = {
  connections: new Admission({ maxConnections: 1, maxPerAddress: 1 }),
  isProxy: unexpected,
  onLimitExceeded: unexpected,
  clientAddress: unexpected,
  http: unexpected,
  refuse: unexpected,
  admit: unexpected,
  opened: unexpected,
};

function unexpected(): never {
  throw new Error('an engine that could not listen was asked something');
}

function listening(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}

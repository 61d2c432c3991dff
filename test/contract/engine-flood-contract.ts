/**
 * What every engine must do with a sender that costs more than it should: no turn of the loop belongs to one connection, no
 * input holds more than twice its own size, and every connection is counted from its acceptance on. Part of engine-contract.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { Rig, type Tested } from './engine-rig.ts';

const GET = 'GET / HTTP/1.1\r\nhost: hub\r\n\r\n';
/** More than the kernel keeps for a connection. */
const LARGE = Buffer.alloc(8 * 1024 * 1024, 'x');
const CHUNKED = 'POST / HTTP/1.1\r\nhost: hub\r\ntransfer-encoding: chunked\r\n\r\n';

export function floodContract(engine: Tested): void {
  describe('a sender that costs more than it should', () => {
    let rig: Rig;
    afterEach(() => rig.stop());

    async function ask(request = GET): Promise<string> {
      const raw = rig.raw();
      raw.write(request);
      return raw.until((text) => text.includes('\r\n\r\n'));
    }

    describe('a connection that pipelines without end', () => {
      it('gets no more of a turn than a few requests, and another connection is answered meanwhile', async () => {
        rig = await Rig.start(engine);
        let ofTurn = 0;
        let most = 0;
        rig.http = () => {
          if (ofTurn++ === 0) setImmediate(() => (ofTurn = 0));
          most = Math.max(most, ofTurn);
          burn(1);
          return { status: 200, headers: {}, body: 'ok' };
        };
        const flood = rig.raw();
        let isOver = false as boolean;
        void flood.closed.then(() => (isOver = true));
        const send = (): void => {
          if (isOver) return;
          flood.wire.write(GET.repeat(500), () => setImmediate(send));
        };
        send();
        expect(await ask()).toContain('200 OK');
        expect(await ask()).toContain('200 OK');
        expect(most).toBeLessThan(100);
        isOver = true;
      });
    });

    describe('clients that do not read their answers', () => {
      it('keep 64 MiB of them in memory together, and then those that wait longest are cut', async () => {
        rig = await Rig.start(engine);
        rig.http = ({ path }) => ({ status: 200, headers: {}, body: path === '/' ? LARGE : 'small' });
        const silent = Array.from({ length: 16 }, () => rig.raw());
        for (const raw of silent) {
          raw.write(GET);
          await raw.until((text) => text.includes('200 OK'));
          raw.wire.pause();
        }
        await eventually(() => Promise.resolve(rig.admission.count <= 8));
        const reader = rig.raw();
        reader.write(GET);
        const text = await reader.until((read) => read.length > LARGE.length);
        expect(text).toHaveLength(text.indexOf('\r\n\r\n') + 4 + LARGE.length);
        expect(await ask('GET /small HTTP/1.1\r\nhost: hub\r\n\r\n')).toContain('200 OK');
      });
    });

    describe('a body in tiny chunks', () => {
      it('is delivered if it is small', async () => {
        rig = await Rig.start(engine);
        const raw = rig.raw();
        raw.write(CHUNKED + '1\r\nx\r\n'.repeat(200) + '0\r\n\r\n');
        expect((await rig.requests.next()).body).toBe('x'.repeat(200));
      });

      it('ends its connection if it goes on, in one packet or in many, and is no request', async () => {
        rig = await Rig.start(engine);
        const inOne = rig.raw();
        inOne.write(CHUNKED + '1\r\nx\r\n'.repeat(5_000) + '0\r\n\r\n' + GET);
        await inOne.closed;
        const inMany = rig.raw();
        let isOver = false as boolean;
        void inMany.closed.then(() => (isOver = true));
        inMany.write(CHUNKED.slice(0, 40));
        await turn();
        inMany.write(CHUNKED.slice(40));
        while (!isOver) {
          inMany.write('1\r\nx\r\n'.repeat(50));
          await turn();
        }
        expect(await ask()).toContain('200 OK');
        expect(rig.requests.rest()).toHaveLength(1);
      });

      it('ends a hundred such connections at once, and other requests are answered', async () => {
        rig = await Rig.start(engine);
        const floods = Array.from({ length: 100 }, () => rig.raw());
        for (const flood of floods) flood.write(CHUNKED + '1\r\nx\r\n'.repeat(2_000));
        await Promise.all(floods.map((flood) => flood.closed));
        expect(await ask()).toContain('200 OK');
      });
    });

    describe('what is read and thrown away', () => {
      const declaring = (bytes: number): string => `POST / HTTP/1.1\r\nhost: hub\r\ncontent-length: ${bytes}\r\n\r\n`;
      /** Sends piece after piece until the hub ends the connection, or reads nothing for a while. @returns bytes sent. */
      const sendOn = async (raw: ReturnType<Rig['raw']>, piece: string, mostPieces: number): Promise<number> => {
        let isOver = false as boolean;
        void raw.closed.then(() => (isOver = true));
        let sent = 0;
        for (; !isOver && sent < mostPieces; sent++) {
          const written = new Promise<boolean>((resolve) => raw.wire.write(piece, () => resolve(true)));
          const ended = raw.closed.then(() => false);
          const stalled = new Promise<boolean>((resolve) => setTimeout(resolve, 500, false));
          if (!(await Promise.race([written, ended, stalled]))) break;
          await turn();
        }
        return sent * piece.length;
      };
      const MIB = 1024 * 1024;

      it.each([
        ['a body in chunks', CHUNKED, `10000\r\n${'x'.repeat(0x10000)}\r\n`],
        ['a body that says its length', declaring(1e12), 'x'.repeat(0x10000)],
        ['behind a head that is refused', 'GET / HTTP/1.1\r\n\r\n', 'x'.repeat(0x10000)],
        ['behind a head that is no head', 'GET / HTTP/1.1\r\nhost: hub\r\na b: c\r\n\r\n', 'x'.repeat(0x10000)],
      ])('is not read on and on: %s', async (_, head, piece) => {
        rig = await Rig.start(engine);
        const raw = rig.raw({ allowHalfOpen: true });
        raw.write(head);
        // What the kernels of both ends take in is not read by the hub.
        expect(await sendOn(raw, piece, 1_000)).toBeLessThan(32 * MIB);
        expect(await ask()).toContain('200 OK');
        expect(rig.requests.rest()).toHaveLength(1);
      });

      it('is no body that could not be read to its end: its request is answered at once', async () => {
        rig = await Rig.start(engine);
        const raw = rig.raw();
        raw.write(declaring(1e12));
        expect(await raw.until((text) => text.includes('turned down'))).toMatch(/^HTTP\/1\.1 413 /);
      });

      it('may come in few pieces only', async () => {
        rig = await Rig.start(engine);
        const raw = rig.raw();
        raw.write(declaring(400_000));
        await turn();
        expect(await sendOn(raw, 'x', 5_000)).toBeLessThan(1_000);
        await raw.closed;
        expect(rig.requests.rest()).toEqual([]);
      });

      it('ends with the body if that is near, and the connection goes on', async () => {
        rig = await Rig.start(engine);
        const raw = rig.raw();
        raw.write(declaring(MIB));
        await new Promise((resolve) => raw.wire.write('x'.repeat(MIB), resolve));
        expect(await raw.until((text) => text.includes('turned down'))).toMatch(/^HTTP\/1\.1 413 /);
        raw.write(GET);
        expect(await raw.until((text) => text.includes('200 OK'))).toContain('200 OK');
      });
    });

    describe('a connection', () => {
      const limits = { maxConnections: 100, maxPerAddress: 3 };

      it('is counted from its acceptance on: beyond the limit of an address, one request for each is refused', async () => {
        rig = await Rig.start(engine, '127.0.0.1', 0, limits);
        const raws = Array.from({ length: 5 }, () => rig.raw());
        for (const raw of raws) raw.write('POST / HTTP/1.1\r\nhost: hub\r\ncontent-length: 10\r\n\r\nabc');
        const refused = await Promise.all(raws.map((raw) => Promise.race([raw.closed, heldOpen(rig)])));
        expect(refused.filter((text) => text.includes('503 Service Unavailable'))).toHaveLength(2);
        for (const raw of raws) raw.terminate();
        await eventually(async () => (await ask()).includes('200 OK'));
      });

      it('is refused beyond the limit of all, and its request is the last', async () => {
        rig = await Rig.start(engine, '127.0.0.1', 0, { maxConnections: 3, maxPerAddress: 100 });
        const sockets = [await rig.connect(), await rig.connect(), await rig.connect()];
        for (let i = 0; i < 3; i++) expect(await ask()).toContain('503 Service Unavailable');
        sockets[0]?.client.terminate();
        await eventually(async () => (await ask()).includes('200 OK'));
      });

      it('takes none of the others with it when it is refused beyond the limit of all', async () => {
        rig = await Rig.start(engine, '127.0.0.1', 0, { maxConnections: 3, maxPerAddress: 100 });
        const raws = Array.from({ length: 5 }, () => rig.raw());
        for (const raw of raws) raw.write('POST / HTTP/1.1\r\nhost: hub\r\ncontent-length: 10\r\n\r\nabc');
        const answers = await Promise.all(raws.map((raw) => Promise.race([raw.closed, heldOpen(rig)])));
        expect(answers.filter((text) => text.includes('503 Service Unavailable'))).toHaveLength(2);
        for (const raw of raws) raw.terminate();
        await eventually(async () => (await ask()).includes('200 OK'));
      });

      it('that is beyond the limit of its address opens a WebSocket only to receive the refusal', async () => {
        rig = await Rig.start(engine, '127.0.0.1', 0, limits);
        const first = await rig.connect();
        await rig.connect();
        await rig.connect();
        expect(first.hub.socket.exceededLimit).toBeUndefined();
        const { hub } = await rig.connect();
        expect(hub.socket.exceededLimit).toBe('per_address');
        first.client.terminate();
        expect(await first.hub.events.next()).toBe('closed');
        hub.socket.terminate();
        await eventually(async () => (await rig.connect()).hub.socket.exceededLimit === undefined);
      });

      it('from a trusted proxy belongs to the client that its first header names', async () => {
        rig = await Rig.start(engine, '127.0.0.1', 0, { ...limits, maxPerAddress: 1 });
        rig.proxies = ['127.0.0.1'];
        rig.clientAddress = (peer, forwardedFor) => forwardedFor ?? peer;
        const one = await rig.connect('/ws', '127.0.0.1', { 'x-forwarded-for': '192.0.2.1' });
        const other = await rig.connect('/ws', '127.0.0.1', { 'x-forwarded-for': '192.0.2.2' });
        const again = await rig.connect('/ws', '127.0.0.1', { 'x-forwarded-for': '192.0.2.1' });
        expect([one, other, again].map(({ hub }) => hub.socket.exceededLimit)).toEqual([
          undefined,
          undefined,
          'per_address',
        ]);
      });

      it('that is cut before it has read its answer counts no less than before', async () => {
        rig = await Rig.start(engine, '127.0.0.1', 0, limits);
        rig.http = () => ({ status: 200, headers: {}, body: LARGE });
        await rig.connect();
        await rig.connect();
        for (let i = 0; i < 3; i++) {
          const raw = rig.raw();
          raw.write(GET);
          await raw.until((text) => text.includes('200 OK'));
          raw.reset();
          await eventually(() => Promise.resolve(rig.admission.count === 2));
        }
        expect((await rig.connect()).hub.socket.exceededLimit).toBeUndefined();
        expect((await rig.connect()).hub.socket.exceededLimit).toBe('per_address');
      });

      it('that was served and has closed counts no more, however many come and go', async () => {
        rig = await Rig.start(engine, '127.0.0.1', 0, limits);
        for (let i = 0; i < 20; i++) {
          const raw = rig.raw();
          raw.write(GET);
          expect(await raw.until((text) => text.includes('\r\n\r\n'))).toContain('200 OK');
          raw.terminate();
          await raw.closed;
          await turn();
        }
        await eventually(() => Promise.resolve(rig.admission.refusalFor('127.0.0.1') === undefined));
      });
    });
  });
}

/** Resolves when every request beyond the limit has been refused, for those that are not. */
async function heldOpen(rig: Rig): Promise<string> {
  await eventually(() => Promise.resolve(rig.turnedDown === 2));
  await new Promise((resolve) => setTimeout(resolve, 100));
  return 'held';
}

async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await turn();
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 1);
  });
}

/** Keeps the loop busy. */
function burn(ms: number): void {
  const endsAt = performance.now() + ms;
  while (performance.now() < endsAt);
}

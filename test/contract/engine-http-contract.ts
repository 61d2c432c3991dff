/**
 * What every engine must do with HTTP on the hub's port. Part of engine-contract.
 */
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as TlsAgent, request as httpsRequest } from 'node:https';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HttpReply } from '../../server/sockets/port.ts';
import { Rig, type Tested } from './engine-rig.ts';

const MAX_BODY_BYTES = 256 * 1024;
const MAX_HEAD_BYTES = 16 * 1024;

/** How a PROXY header of version 2 begins. */
const PROXY_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const UPGRADE = [
  'connection: upgrade',
  'upgrade: websocket',
  'sec-websocket-version: 13',
  'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
];

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

export function httpContract(engine: Tested): void {
  let rig: Rig;
  let agent: Agent;
  beforeEach(async () => {
    rig = await Rig.start(engine);
    const options = { keepAlive: true, maxSockets: 1 };
    agent = rig.isTls ? new TlsAgent({ ...options, rejectUnauthorized: false }) : new Agent(options);
  });
  afterEach(async () => {
    agent.destroy();
    await rig.stop();
  });

  function ask(method: string, path: string, body?: string | Uint8Array, headers = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const send = rig.isTls ? httpsRequest : httpRequest;
      const request = send({ host: '127.0.0.1', port: rig.port, method, path, agent, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('end', () => {
          resolve({ status: response.statusCode, headers: response.headers, text });
        });
      });
      request.on('error', reject);
      request.end(body);
    });
  }

  /** A GET whose request line and headers have exactly this many bytes. */
  function headOf(bytes: number): string {
    const rest = 'GET /big HTTP/1.1\r\nhost: hub\r\nx: \r\n\r\n';
    return rest.replace('x: ', `x: ${'a'.repeat(bytes - rest.length)}`);
  }

  describe('an idle connection', () => {
    /** How long the answer says that the connection stays. */
    const keptS = ({ headers }: Answer): number =>
      Number(/timeout=(\d+)/.exec(String(headers['keep-alive']))?.[1] ?? 0);

    it.each(['x-forwarded-for', 'x-forwarded-proto', 'x-real-ip', 'forwarded', 'via'])(
      'of a proxy that sends %s outlives the 60 s for which proxies use one again, or is none',
      async (header) => {
        const answer = await ask('POST', '/x', 'hi', { [header]: '192.0.2.7' });
        if (engine.name === 'ws') expect(keptS(answer)).toBeGreaterThan(75);
        else expect(answer.headers.connection).toBe('close');
        expect((await ask('POST', '/x', 'hi', { [header]: '192.0.2.7' })).status).toBe(200);
      },
    );

    it('of a trusted proxy that sends no such header is the same', async () => {
      rig.proxies = ['127.0.0.1'];
      const answer = await ask('POST', '/x', 'hi');
      if (engine.name === 'ws') expect(keptS(answer)).toBeGreaterThan(75);
      else expect(answer.headers.connection).toBe('close');
    });

    it('of a client itself is kept for no longer than the answer says', async () => {
      const answer = await ask('POST', '/x', 'hi');
      if (engine.name === 'ws') expect(keptS(answer)).toBeGreaterThan(75);
      // It cuts after 8 s at the earliest, and a request may be under way for a while.
      else expect(keptS(answer)).toBe(6);
      expect(answer.headers.connection).not.toBe('close');
    });
  });

  describe('a request', () => {
    // uWebSockets.js takes no such target, and answers 505 itself.
    if (engine.name !== 'uws') {
      it.each(['http://hub', 'https://hub:8443', 'HTTP://user@hub'])(
        'may name its target in full: %s',
        async (origin) => {
          const raw = rig.raw();
          raw.write(`GET ${origin}/v1/x?y=1 HTTP/1.1\r\nhost: other\r\n\r\n`);
          expect(await raw.until((text) => text.endsWith('GET /v1/x'))).toMatch(/^HTTP\/1\.1 200 /);
          const request = await rig.requests.next();
          // The target's authority counts, as RFC 9112 has it.
          expect([request.path, request.query, request.headers.get('host')]).toEqual([
            '/v1/x',
            'y=1',
            origin.replace(/^.*[/@]/, ''),
          ]);
        },
      );
    }

    it('with pipelined ones behind it is answered in its order', async () => {
      const raw = rig.raw();
      const paths = Array.from({ length: 50 }, (_, i) => `/${String(i).padStart(200, '0')}`);
      raw.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nhost: hub\r\n\r\n`).join(''));
      const text = await raw.until((all) => all.endsWith(`GET ${paths.at(-1) ?? ''}`));
      expect(text.match(/GET \/\d+/g)).toEqual(paths.map((path) => `GET ${path}`));
    });

    it('arrives with method, raw path, query, headers and address', async () => {
      await ask('DELETE', '/v1/users/a%40b/x?oneway=true&y=?', undefined, {
        Authorization: 'Bearer T',
        'X-Odd': 'A b',
      });
      const request = await rig.requests.next();
      expect(request).toMatchObject({
        method: 'DELETE',
        path: '/v1/users/a%40b/x',
        query: 'oneway=true&y=?',
        remoteAddress: '127.0.0.1',
        body: '',
      });
      expect(request.headers.get('authorization')).toBe('Bearer T');
      expect(request.headers.get('x-odd')).toBe('A b');
      expect(request.headers.get('cookie')).toBeUndefined();
    });

    it('has an empty query if there is none', async () => {
      await ask('GET', '/plain');
      await ask('GET', '/mark?');
      expect((await rig.requests.next()).query).toBe('');
      expect(await rig.requests.next()).toMatchObject({ path: '/mark', query: '' });
    });

    it('joins a header that comes more than once', async () => {
      const raw = rig.raw();
      raw.write('GET / HTTP/1.1\r\nHost: hub\r\nX-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2\r\n\r\n');
      expect((await rig.requests.next()).headers.get('x-forwarded-for')).toBe('1.1.1.1, 2.2.2.2');
    });

    it('comes from the address that the service derives from the peer and its proxies', async () => {
      rig.clientAddress = (peer, forwardedFor) => `<${peer}|${forwardedFor ?? ''}>`;
      await ask('GET', '/', undefined, { 'x-forwarded-for': '203.0.113.7, 10.0.0.1' });
      expect((await rig.requests.next()).remoteAddress).toBe('<127.0.0.1|203.0.113.7, 10.0.0.1>');
      await ask('GET', '/');
      expect((await rig.requests.next()).remoteAddress).toBe('<127.0.0.1|>');
      const { hub } = await rig.connect('/ws', '127.0.0.1', { 'x-forwarded-for': '203.0.113.8' });
      expect((await rig.admitted.next()).remoteAddress).toBe('<127.0.0.1|203.0.113.8>');
      expect(hub.socket.remoteAddress).toBe('<127.0.0.1|203.0.113.8>');
    });

    it('has its body as UTF-8 text, in as many packets as it comes', async () => {
      await ask('POST', '/v1/heartbeat', '{"text":"日本"}');
      expect((await rig.requests.next()).body).toBe('{"text":"日本"}');
      const raw = rig.raw();
      const bytes = Buffer.from('日本');
      raw.write(`POST / HTTP/1.1\r\nhost: hub\r\ncontent-length: ${String(bytes.length)}\r\n\r\n`);
      raw.write(bytes.subarray(0, 2));
      await new Promise((resolve) => setImmediate(resolve));
      raw.write(bytes.subarray(2));
      expect((await rig.requests.next()).body).toBe('日本');
    });

    it('has its body if it comes in chunks', async () => {
      const raw = rig.raw();
      raw.write('POST / HTTP/1.1\r\nhost: hub\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n');
      raw.write('2\r\nde\r\n0\r\n\r\n');
      expect((await rig.requests.next()).body).toBe('abcde');
    });
  });

  describe('a reply', () => {
    it('carries status, headers, content-length and text', async () => {
      rig.http = () => ({ status: 409, headers: { 'content-type': 'text/x', 'retry-after': '3' }, body: 'zu viel: ü' });
      const answer = await ask('GET', '/');
      expect(answer).toMatchObject({ status: 409, text: 'zu viel: ü' });
      expect(answer.headers).toMatchObject({ 'content-type': 'text/x', 'retry-after': '3', 'content-length': '11' });
    });

    it('carries bytes, however many', async () => {
      const bytes = Buffer.alloc(3_000_000, 'abcdefg').subarray(1);
      rig.http = () => ({ status: 200, headers: {}, body: bytes });
      expect((await ask('GET', '/')).text).toBe(bytes.toString());
    });

    it('may come later', async () => {
      rig.http = async () => {
        await new Promise((resolve) => setImmediate(resolve));
        return { status: 200, headers: {}, body: 'late' };
      };
      expect((await ask('GET', '/')).text).toBe('late');
      expect((await ask('POST', '/', 'x')).text).toBe('late');
    });

    it('has no body for HEAD, but the length of one', async () => {
      const raw = rig.raw();
      raw.write('HEAD /a HTTP/1.1\r\nhost: hub\r\n\r\nGET /b HTTP/1.1\r\nhost: hub\r\n\r\n');
      const text = await raw.until((so) => so.endsWith('GET /b'));
      expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*content-length: 7\r\n[^]*\r\n\r\nHTTP\/1\.1 200 OK/i);
      expect(text).not.toContain('HEAD /a');
    });

    it('has neither body nor length for 204', async () => {
      rig.http = () => ({ status: 204, headers: {}, body: '' });
      const answer = await ask('PUT', '/v1/users/a/friends/b');
      expect(answer.status).toBe(204);
      expect(answer.headers['content-length']).toBeUndefined();
      expect((await ask('PUT', '/again')).status).toBe(204);
    });
  });

  describe('many requests on one connection', () => {
    it('are answered one after another', async () => {
      const raw = rig.raw();
      for (const path of ['/1', '/2', '/3']) {
        raw.write(`GET ${path} HTTP/1.1\r\nhost: hub\r\n\r\n`);
        await raw.until((text) => text.endsWith(`GET ${path}`));
      }
    });

    it.each([
      ['at once', (reply: HttpReply) => reply],
      ['after microtasks', (reply: HttpReply) => Promise.resolve(reply).then((same) => same)],
    ])('are answered in order if they come in one packet and each is answered %s', async (_, answer) => {
      rig.http = ({ path, body }) => answer({ status: 200, headers: {}, body: `<${path} ${body}>` });
      const raw = rig.raw();
      raw.write(
        'GET /1 HTTP/1.1\r\nhost: hub\r\n\r\nPOST /2 HTTP/1.1\r\nhost: hub\r\ncontent-length: 2\r\n\r\nhi' +
          'GET /3 HTTP/1.1\r\nhost: hub\r\n\r\n',
      );
      const text = await raw.until((so) => so.includes('</3 >'));
      expect(text.match(/<.*?>/g)).toEqual(['</1 >', '</2 hi>', '</3 >']);
    });

    it('are answered in order if the second comes before the first is answered', async () => {
      const answers: ((reply: HttpReply) => void)[] = [];
      rig.http = () => new Promise((resolve) => answers.push(resolve));
      const raw = rig.raw();
      raw.write('GET /1 HTTP/1.1\r\nhost: hub\r\n\r\n');
      await rig.requests.next();
      raw.write('GET /2 HTTP/1.1\r\nhost: hub\r\n\r\n');
      // A round trip on another connection: the second request is in the kernel or with the engine by now.
      const other = await rig.connect();
      other.hub.socket.ping();
      await other.hub.events.next();
      answers.shift()?.({ status: 200, headers: {}, body: 'first' });
      await rig.requests.next();
      answers.shift()?.({ status: 200, headers: {}, body: 'second' });
      expect(await raw.until((text) => text.endsWith('second'))).toMatch(/first[^]*second$/);
    });

    it('are answered if fifty come in one packet', async () => {
      const raw = rig.raw();
      raw.write('GET /1 HTTP/1.1\r\nhost: hub\r\n\r\n'.repeat(50));
      const text = await raw.until((so) => so.split('GET /1').length > 50);
      expect(text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(50);
    });

    it('are cut or wait if the client reads no answer, before many answers are kept', async () => {
      const body = 'x'.repeat(200_000);
      rig.http = () => ({ status: 200, headers: {}, body });
      const raw = rig.raw();
      raw.wire.pause();
      raw.write('GET /many HTTP/1.1\r\nhost: hub\r\n\r\n'.repeat(1_600));
      for (let i = 0; i < 20; i++) await ask('GET', '/other');
      const answered = rig.requests.rest().filter(({ path }) => path === '/many').length;
      expect(answered).toBeLessThan(200);
    });

    it('end when the client says so', async () => {
      const raw = rig.raw();
      raw.write('GET /1 HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\r\n');
      expect(await raw.closed).toMatch(/GET \/1$/);
    });
  });

  describe('too much', () => {
    it('passes a body of 256 KiB', async () => {
      await ask('POST', '/', 'a'.repeat(MAX_BODY_BYTES));
      expect((await rig.requests.next()).body).toHaveLength(MAX_BODY_BYTES);
    });

    it.each([
      ['says its length', { 'content-length': String(MAX_BODY_BYTES + 1) }],
      ['comes in chunks', { 'transfer-encoding': 'chunked' }],
    ])('answers 413 to one byte more that %s, and goes on with the connection', async (_, headers) => {
      const answer = await ask('POST', '/', 'a'.repeat(MAX_BODY_BYTES + 1), headers);
      expect(answer).toMatchObject({ status: 413, text: '{"status":413,"title":"turned down"}' });
      expect(rig.requests.rest()).toEqual([]);
      expect((await ask('GET', '/next')).text).toBe('GET /next');
    });

    it('answers 413 to many megabytes', async () => {
      expect((await ask('POST', '/', Buffer.alloc(8_000_000, 97))).status).toBe(413);
    });

    it('passes a request line and headers of 16 KiB', async () => {
      const raw = rig.raw();
      raw.write(headOf(MAX_HEAD_BYTES));
      expect(await raw.until((text) => text.endsWith('GET /big'))).toMatch(/^HTTP\/1\.1 200 /);
    });

    it.each([MAX_HEAD_BYTES + 1, 2 * MAX_HEAD_BYTES])(
      'answers 431 to %i bytes, in the words of the hub',
      async (bytes) => {
        const raw = rig.raw();
        raw.write(headOf(bytes));
        const text = await raw.closed;
        expect(text).toMatch(/^HTTP\/1\.1 431 Request Header Fields Too Large\r\n/);
        expect(text).toMatch(/content-type: application\/problem\+json\r\n/i);
        expect(text.match(/^connection: /gim)).toHaveLength(1);
        expect(text).toMatch(/\{"status":431,"title":"turned down"\}$/);
        expect(rig.requests.rest()).toEqual([]);
      },
    );

    it('answers 431 to 100 KiB without an end', async () => {
      const raw = rig.raw();
      raw.write(`GET / HTTP/1.1\r\nx: ${'a'.repeat(100 * 1024)}`);
      expect(await raw.closed).toMatch(/^HTTP\/1\.1 431 /);
    });
  });

  describe('a malformed request', () => {
    it.each([
      ['without a host', 'GET / HTTP/1.1\r\n\r\n'],
      ['with two hosts', 'GET / HTTP/1.1\r\nhost: hub\r\nhost: other\r\n\r\n'],
      ['with one host twice', 'GET / HTTP/1.1\r\nhost: hub\r\nHost: hub\r\n\r\n'],
      ['with a broken header', 'GET / HTTP/1.1\r\nhost: hub\r\na b: c\r\n\r\n'],
      ['with two lengths', 'POST / HTTP/1.1\r\nhost: hub\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'],
      ['with a length that is no number', 'POST / HTTP/1.1\r\nhost: hub\r\ncontent-length: x\r\n\r\n'],
      ['with a method in lower case', 'get / HTTP/1.1\r\nhost: hub\r\n\r\n'],
      ['with a broken chunk', 'POST / HTTP/1.1\r\nhost: hub\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'],
    ])('%s is answered with 400 and cut (H3)', async (_, text) => {
      const raw = rig.raw();
      raw.write(text);
      expect(await raw.closed).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
      expect(rig.requests.rest()).toEqual([]);
    });

    it.each([
      ['IPv4', '2111000c' + '01020304' + '7f000001' + '00500051'],
      ['IPv6', '21210024' + '20010db8000000000000000000000001' + '20010db8000000000000000000000002' + '00500051'],
    ])('behind a PROXY header (version 2, %s) is answered with 400 and cut, an upgrade too (S8)', async (_, header) => {
      for (const upgrade of ['', `${UPGRADE.join('\r\n')}\r\n`]) {
        const raw = rig.raw();
        raw.write(Buffer.concat([PROXY_SIGNATURE, Buffer.from(header, 'hex')]));
        raw.write(`GET /ws HTTP/1.1\r\nhost: hub\r\n${upgrade}\r\n`);
        expect(await raw.closed).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
      }
      expect(rig.requests.rest()).toEqual([]);
      expect(rig.admitted.rest()).toEqual([]);
    });

    it('behind a PROXY header (version 1) is answered with an error and cut', async () => {
      const raw = rig.raw();
      raw.write('PROXY TCP4 1.2.3.4 127.0.0.1 80 81\r\nGET / HTTP/1.1\r\nhost: hub\r\n\r\n');
      expect(await raw.closed).toMatch(/^HTTP\/1\.1 (400|505) /);
      expect(rig.requests.rest()).toEqual([]);
    });

    it('that is no HTTP at all is answered with an error and cut', async () => {
      const raw = rig.raw();
      raw.write('hello world\r\n\r\n');
      expect(await raw.closed).toMatch(/^HTTP\/1\.1 (400|505) /);
    });
  });

  it('takes no harm from clients that leave before their answer, or in the middle of their request', async () => {
    let answer: (reply: HttpReply) => void = () => undefined;
    rig.http = () => new Promise((resolve) => (answer = resolve));
    const leaving = rig.raw();
    leaving.write('GET /leaves HTTP/1.1\r\nhost: hub\r\n\r\n');
    await rig.requests.next();
    leaving.reset();
    await leaving.closed;
    const half = rig.raw();
    half.write('POST /half HTTP/1.1\r\nhost: hub\r\ncontent-length: 10\r\n\r\nabc');
    const { hub } = await rig.connect();
    half.reset();
    await half.closed;
    hub.socket.ping();
    await hub.events.next();
    answer({ status: 200, headers: {}, body: 'nobody reads this' });
    rig.http = () => ({ status: 200, headers: {}, body: 'well' });
    expect((await ask('GET', '/')).text).toBe('well');
    expect((await rig.requests.next()).path).toBe('/');
  });
}

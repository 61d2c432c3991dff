/**
 * What every engine must do behind the answer that ends a connection: nothing. Requests that two readers take apart
 * differently are how one client's words become another's behind a proxy. Part of engine-contract.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { handshake, problem, type Raw, Rig, type Tested } from './engine-rig.ts';

const HEARTBEAT = 'POST /heartbeat HTTP/1.1\r\nhost: hub\r\ncontent-length: 2\r\n\r\nhi';
const CHUNKS = '2\r\nab\r\n0\r\n\r\n';

function post(headers: string, body: string): string {
  return `POST /first HTTP/1.1\r\nhost: hub\r\n${headers}\r\n\r\n${body}`;
}

const refused: [name: string, request: string, status: number][] = [
  ['two lengths', post('content-length: 2\r\ncontent-length: 40', 'ab'), 400],
  ['a length twice', post('content-length: 2\r\ncontent-length: 2', 'ab'), 400],
  ['chunks and a length', post('transfer-encoding: chunked\r\ncontent-length: 2', CHUNKS), 400],
  ...['gzip', 'identity', 'xchunked', 'chunked, identity', 'identity, chunked', 'chunked;q=1', '"chunked"'].map(
    (coding): [string, string, number] => [`coded as ${coding}`, post(`transfer-encoding: ${coding}`, CHUNKS), 400],
  ),
  ['coded twice', post('transfer-encoding: identity\r\ntransfer-encoding: chunked', CHUNKS), 400],
  ['coded as chunked twice', post('transfer-encoding: chunked\r\ntransfer-encoding: chunked', CHUNKS), 400],
  ['an upgrade that is not let in', handshake(), 403],
  ['an upgrade with a body', `${handshake({ 'content-length': '2' })}ab`, 400],
  ['an upgrade without a sound key', handshake({ 'sec-websocket-key': 'eA==' }), 400],
  ['an upgrade of another version', handshake({ 'sec-websocket-version': '12' }), 426],
  ['a head that is too large', `GET / HTTP/1.1\r\nhost: hub\r\nx: ${'a'.repeat(17_000)}\r\n\r\n`, 431],
];

/** Chunked bodies that a sloppy reader takes and a strict one does not. */
const sloppy: [name: string, request: string][] = [
  ['trailers', post('transfer-encoding: chunked', `2\r\nab\r\n0\r\n`)],
  ['anything in place of the last line end', post('transfer-encoding: chunked', `2\r\nab\r\n0\r\nXX`)],
  ['a bare line feed', post('transfer-encoding: chunked', `2\nab\r\n0\r\n\r\n`)],
  ['anything behind a chunk', post('transfer-encoding: chunked', `2\r\nabXX0\r\n\r\n`)],
];

export function lastAnswerContract(engine: Tested): void {
  let rig: Rig;
  beforeEach(async () => {
    rig = await Rig.start(engine);
    rig.admit = () => problem(403);
  });
  afterEach(() => rig.stop());

  /** The paths that were asked for, once the connection has ended. */
  async function asked(raw: Raw): Promise<string[]> {
    await raw.closed;
    return askedSoFar();
  }

  /** The engine reports what is left within a few turns of its loop. */
  async function askedSoFar(): Promise<string[]> {
    const other = rig.raw();
    for (let turn = 1; turn <= 5; turn++) {
      other.write('GET /other HTTP/1.1\r\nhost: hub\r\n\r\n');
      await other.until((text) => text.split('GET /other').length > turn);
    }
    const paths = rig.requests.rest().map(({ path }) => path);
    return paths.filter((path) => path !== '/other');
  }

  describe('nothing is served', () => {
    it.each(refused)('behind %s, in the same packet', async (_, request) => {
      const raw = rig.raw();
      raw.write(request + HEARTBEAT + HEARTBEAT);
      expect(await asked(raw)).toEqual([]);
    });

    it.each(refused)('behind %s, that is answered', async (_, request, status) => {
      const raw = rig.raw();
      raw.write(request);
      const text = await raw.until((so) => so.includes('\r\n\r\n'));
      raw.write(HEARTBEAT);
      expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${String(status)} `));
      expect(text).toMatch(/^connection: close\r$/im);
      expect(await asked(raw)).toEqual([]);
    });

    it.each(sloppy)('behind chunks with %s (H3)', async (_, request) => {
      const raw = rig.raw();
      raw.write(request + HEARTBEAT + HEARTBEAT);
      const paths = await asked(raw);
      expect(paths.filter((path) => path !== '/first')).toEqual([]);
    });

    it.each([
      ['small', 'ok'],
      ['large', 'x'.repeat(5_000_000)],
    ])('behind a %s answer to one who asks for the end (H3)', async (_, body) => {
      const usual = rig.http;
      rig.http = (request) => (request.path === '/other' ? usual(request) : { status: 200, headers: {}, body });
      const raw = rig.raw();
      raw.wire.pause();
      raw.write(post('connection: close\r\ncontent-length: 2', 'ab'));
      await rig.requests.next();
      raw.write(HEARTBEAT);
      expect(await askedSoFar()).toEqual([]);
      raw.wire.resume();
      expect(await asked(raw)).toEqual([]);
    });

    it.each(['close', 'Close', 'close, te', 'te, close'])(
      'behind one who says %s, in the same packet (H3)',
      async (said) => {
        const raw = rig.raw();
        raw.write(post(`connection: ${said}\r\ncontent-length: 2`, 'ab') + HEARTBEAT);
        expect(await asked(raw)).toEqual(['/first']);
      },
    );
  });

  describe('behind a large answer to one who asks for the end, whose head came in two parts', () => {
    const body = 'x'.repeat(20_000);

    async function ask(connection: string, behind: string): Promise<Raw> {
      const usual = rig.http;
      rig.http = (request) => (request.path === '/first' ? { status: 200, headers: {}, body } : usual(request));
      rig.admit = () => undefined;
      const first = `GET /first HTTP/1.1\r\nhost: hub\r\nconnection: ${connection}\r\n\r\n`;
      const raw = rig.raw();
      raw.write(Buffer.from(first.slice(0, -3), 'latin1'));
      expect(await askedSoFar()).toEqual([]);
      raw.write(Buffer.from(first.slice(-3) + behind, 'latin1'));
      return raw;
    }

    it.each([
      ...refused.map(([name, request]) => [name, request]),
      ['a heartbeat', HEARTBEAT],
      ['an upgrade', handshake()],
    ])('serves nothing if %s comes', async (_, behind) => {
      expect(await asked(await ask('close', behind))).toEqual(['/first']);
    });

    // uWebSockets.js takes any five bytes for the word.
    it.each(['abcde', 'abc\u00c3\u00a9', '\u00ff\u00ffabc'])(
      'lives on where that is said as %s',
      async (connection) => {
        for (const behind of [HEARTBEAT + HEARTBEAT, 'GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n']) {
          await ask(connection, behind);
          expect((await rig.requests.next()).path).toBe('/first');
          await askedSoFar();
        }
      },
    );
  });

  it('serves nothing behind a large answer to chunks', async () => {
    const body = 'x'.repeat(5_000_000);
    const usual = rig.http;
    rig.http = (request) => (request.path === '/first' ? { status: 200, headers: {}, body } : usual(request));
    const raw = rig.raw();
    raw.write(post('transfer-encoding: chunked', `2\r\nab\r\n0\r\nXX`));
    await raw.until((so) => so.endsWith('x') && so.length > body.length).catch(() => undefined);
    raw.write(HEARTBEAT);
    // An engine that reads strictly turns it down before it is asked.
    expect((await askedSoFar()).filter((path) => path !== '/first')).toEqual([]);
  });

  it('cuts one who asks for the end and breaks off in the middle of a chunk', async () => {
    const raw = rig.raw();
    raw.write(post('connection: close\r\ntransfer-encoding: chunked', '2\r\nab\r\nzz\r\n'));
    await raw.closed;
    expect(await askedSoFar()).toEqual([]);
  });

  describe('one who sends chunks', () => {
    it.each([
      ['small', 'ok'],
      ['large', 'x'.repeat(5_000_000)],
    ])('reads all of a %s answer', async (_, body) => {
      rig.http = () => ({ status: 200, headers: {}, body });
      const raw = rig.raw();
      raw.write(post('transfer-encoding: Chunked', CHUNKS));
      const text = await raw.until((so) => so.length > body.length && so.endsWith(body));
      expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
      expect((await rig.requests.next()).body).toBe('ab');
    });

    it('reads an answer without a body', async () => {
      rig.http = () => ({ status: 204, headers: {}, body: '' });
      const raw = rig.raw();
      raw.write(post('transfer-encoding: chunked', CHUNKS));
      expect(await raw.until((text) => text.endsWith('\r\n\r\n'))).toMatch(/^HTTP\/1\.1 204 No Content\r\n/);
    });

    it('reads an answer that took its time', async () => {
      let answer: () => void = () => undefined;
      rig.http = () => new Promise((resolve) => (answer = () => resolve({ status: 200, headers: {}, body: 'late' })));
      const raw = rig.raw();
      raw.write(post('transfer-encoding: chunked', CHUNKS));
      await rig.requests.next();
      raw.write(HEARTBEAT);
      answer();
      await raw.until((text) => text.endsWith('late'));
    });
  });
}

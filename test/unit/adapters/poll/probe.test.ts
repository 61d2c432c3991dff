import { execFileSync } from 'node:child_process';
import dns from 'node:dns';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Prober, type Outcome } from '../../../../server/adapters/poll/probe.ts';
import type { Endpoint } from '../../../../server/adapters/poll/targets.ts';

const servers: Server[] = [];
const sockets = new Set<Socket>();

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  const listening = servers.splice(0).filter((server) => server.listening);
  await Promise.all(listening.map((server) => once(server.close(), 'close')));
});

async function listen(server: Server, host = '127.0.0.1'): Promise<number> {
  servers.push(server);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  await once(server.listen(0, host), 'listening');
  return (server.address() as AddressInfo).port;
}

/** Closed by the other end, be it with a reset. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.on('close', () => resolve()));
}

async function closedPort(): Promise<number> {
  const server = createTcpServer();
  const port = await listen(server);
  await once(server.close(), 'close');
  return port;
}

function ask(endpoint: Endpoint, prober = new Prober()): Promise<Outcome> {
  return new Promise((resolve) => prober.probe(endpoint, resolve));
}
const askTcp = (port: number, host = '127.0.0.1') => ask({ kind: 'tcp', host, port });
const askHttp = (url: string, prober?: Prober) => ask({ kind: 'http', url: new URL(url) }, prober);

async function askServer(answer: RequestListener): Promise<Outcome> {
  return askHttp(`http://127.0.0.1:${await listen(createHttpServer(answer))}/alive`);
}
/** A server of bytes, for what Node's own HTTP server would not send. */
async function askBytes(answer: (socket: Socket) => void): Promise<Outcome> {
  return askHttp(
    `http://127.0.0.1:${await listen(createTcpServer((socket) => socket.once('data', () => answer(socket))))}/`,
  );
}

describe('a TCP probe', () => {
  test('is alive once it is connected, and closes', async () => {
    const server = createTcpServer();
    const port = await listen(server);
    const connected = once(server, 'connection') as Promise<[Socket]>;
    expect(await askTcp(port)).toEqual({ kind: 'alive', body: undefined });
    const [socket] = await connected;
    await closed(socket.resume());
  });

  test('reaches an IPv6 address', async () => {
    expect(await askTcp(await listen(createTcpServer(), '::1'), '::1')).toMatchObject({ kind: 'alive' });
  });

  test('of a closed port is a miss', async () => {
    expect(await askTcp(await closedPort())).toEqual({ kind: 'miss', reason: 'ECONNREFUSED' });
  });

  test('of a host that has no name is a miss', async () => {
    // An empty label needs no resolver to be refused, so the test does not need a network.
    expect(await askTcp(7, 'no..host')).toEqual({ kind: 'miss', reason: 'ENOTFOUND' });
  });
});

describe('an HTTP probe', () => {
  test.each([200, 204, 299])('takes %d as alive (P2)', async (status) => {
    expect(await askServer((_, response) => response.writeHead(status).end())).toEqual({
      kind: 'alive',
      body: Buffer.alloc(0),
    });
  });

  test.each([304, 404, 500, 503])('takes %d as a miss', async (status) => {
    expect(await askServer((_, response) => response.writeHead(status).end('no'))).toEqual({
      kind: 'miss',
      reason: `it answered ${status}`,
    });
  });

  test('asks with GET, path, query and credentials of the url, on a connection of its own', async () => {
    const asked: unknown[] = [];
    const server = createHttpServer(({ method, url, headers }, response) => {
      asked.push([method, url, headers.authorization, headers.connection]);
      response.end();
    });
    await askHttp(`http://me:s%40@127.0.0.1:${await listen(server)}/alive?of=42`);
    expect(asked).toEqual([['GET', '/alive?of=42', `Basic ${btoa('me:s@')}`, 'close']]);
  });

  test('follows no redirect: one to itself is asked for once (P2)', async () => {
    let requests = 0;
    const outcome = await askServer(({ url = '/' }, response) => {
      requests++;
      response.writeHead(302, { location: url }).end();
    });
    expect(outcome).toEqual({ kind: 'miss', reason: 'it answered 302' });
    expect(requests).toBe(1);
  });

  test('reaches an IPv6 url', async () => {
    const port = await listen(
      createHttpServer((_, response) => response.end()),
      '::1',
    );
    expect(await askHttp(`http://[::1]:${port}/`)).toMatchObject({ kind: 'alive' });
  });

  test('hands on a body of 8 KiB, and drops one of a byte more (P3)', async () => {
    const largest = 'x'.repeat(8192);
    expect(await askServer((_, response) => response.end(largest))).toEqual({
      kind: 'alive',
      body: Buffer.from(largest),
    });
    expect(await askServer((_, response) => response.end(`${largest}x`))).toEqual({ kind: 'alive', body: undefined });
  });

  test('cuts a body off that has no end', async () => {
    let sentBytes = 0;
    const piece = Buffer.alloc(64 * 1024, 0x20);
    const server = createHttpServer((_, response) => {
      const send = (): void => {
        while (!response.destroyed && sentBytes < 2 ** 30) {
          sentBytes += piece.length;
          if (!response.write(piece)) return;
        }
      };
      response.on('drain', send);
      send();
    });
    const port = await listen(server);
    const connected = once(server, 'connection') as Promise<[Socket]>;
    const outcome = askHttp(`http://127.0.0.1:${port}/`);
    const [socket] = await connected;
    const cut = closed(socket);
    expect(await outcome).toEqual({ kind: 'alive', body: undefined });
    await cut;
    // What the kernel's buffers of both ends took in, out of a gigabyte.
    expect(sentBytes).toBeLessThan(32 * 2 ** 20);
  });

  test.each([
    ['a broken off head', 'HTTP/1.1 200 O'],
    ['a broken off body', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'],
    ['no HTTP', 'hello\r\n\r\n'],
    ['nothing', ''],
    ['endless headers', `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(2 ** 20)}`],
    ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'],
  ])('takes %s as a miss', async (_, bytes) => {
    expect(await askBytes((socket) => socket.end(bytes))).toMatchObject({ kind: 'miss' });
  });

  /** Sends the same bytes for as long as it is read. @returns the outcome, and the bytes that were taken. */
  async function askEndless(first: string, piece: string, everyTurn = false) {
    let sentBytes = 0;
    let cut: Promise<void> = Promise.resolve();
    const bytes = Buffer.from(piece);
    const outcome = await askBytes((socket) => {
      cut = closed(socket);
      socket.setNoDelay(true).write(first);
      const send = (): void => {
        while (!socket.destroyed && sentBytes < 2 ** 28) {
          sentBytes += bytes.length;
          if (everyTurn) {
            socket.write(bytes, () => setImmediate(send));
            return;
          }
          if (!socket.write(bytes)) return;
        }
      };
      socket.on('drain', send);
      send();
    });
    await cut;
    return { outcome, sentBytes };
  }
  const OK = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n';
  const EARLY = 'HTTP/1.1 103 Early Hints\r\n\r\n';

  test.each([
    ['interim answers', '', EARLY.repeat(1000), 'it sent more than 8 interim answers'],
    [
      'interim answers with a head each',
      '',
      `HTTP/1.1 103 E\r\n${'link: </a>\r\n'.repeat(500)}\r\n`,
      'it sent more than',
    ],
    ['headers', 'HTTP/1.1 200 OK\r\n', 'x: y\r\n'.repeat(1000), 'HPE_HEADER_OVERFLOW'],
  ])('takes endless %s as a miss, and cuts them off (P4)', async (_, first, piece, reason) => {
    const { outcome, sentBytes } = await askEndless(first, piece);
    expect(outcome).toEqual({ kind: 'miss', reason: expect.stringContaining(reason) as string });
    // What the kernel's buffers of both ends took in, out of 256 MiB.
    expect(sentBytes).toBeLessThan(32 * 2 ** 20);
  });

  test('takes a few interim answers before the real one (P4)', async () => {
    expect(await askBytes((socket) => socket.end(`${EARLY.repeat(8)}HTTP/1.1 204 No Content\r\n\r\n`))).toMatchObject({
      kind: 'alive',
    });
  });

  test.each([
    ['chunks with long extensions', `1;${'x'.repeat(8000)}\r\n{\r\n`, false],
    ['chunks of one byte', '1\r\n{\r\n', false],
    ['chunks that come byte by byte', '1\r\n{\r\n', true],
    ['trailers', `0\r\n${'x: y\r\n'.repeat(1000)}`, false],
  ])('ends a good answer of endless %s without its body (P4)', async (_, piece, everyTurn) => {
    const { outcome, sentBytes } = await askEndless(OK, piece, everyTurn);
    expect(['alive', 'miss']).toContain(outcome.kind);
    expect(outcome).not.toHaveProperty('body', expect.any(Buffer));
    expect(sentBytes).toBeLessThan(32 * 2 ** 20);
  });

  test('asks for no compression, and does not unpack what comes compressed', async () => {
    const packed = gzipSync('{"status":"offline"}');
    const outcome = await askServer(({ headers }, response) => {
      expect(headers['accept-encoding']).toBeUndefined();
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(packed);
    });
    expect(outcome).toEqual({ kind: 'alive', body: packed });
  });

  test('takes a reset as a miss', async () => {
    expect(await askBytes((socket) => socket.resetAndDestroy())).toMatchObject({ kind: 'miss' });
  });

  test('that is cut off reports nothing and closes its connection', async () => {
    const server = createHttpServer();
    const port = await listen(server);
    const asked = once(server, 'request') as Promise<[{ socket: Socket }]>;
    const outcomes: Outcome[] = [];
    const cutOff = new Prober().probe({ kind: 'http', url: new URL(`http://127.0.0.1:${port}/`) }, (outcome) => {
      outcomes.push(outcome);
    });
    const [{ socket }] = await asked;
    const cut = closed(socket);
    cutOff();
    await cut;
    expect(outcomes).toEqual([]);
  });
});

describe('an HTTPS probe', () => {
  test('is alive if the certificate is trusted, and a miss if it is not', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'poll-'));
    const [keyFile, certFile] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    execFileSync('openssl', ['req', '-x509', ...kind, ...subject, '-keyout', keyFile, '-out', certFile], {
      stdio: 'ignore',
    });
    const [key, cert] = [readFileSync(keyFile, 'utf8'), readFileSync(certFile, 'utf8')];
    rmSync(dir, { recursive: true });

    const server = createHttpsServer({ key, cert }, (_, response) => response.end('{"status":"away"}'));
    const url = `https://127.0.0.1:${await listen(server)}/`;
    const trusting = new Prober({ ca: cert });
    expect(await askHttp(url, trusting)).toEqual({ kind: 'alive', body: Buffer.from('{"status":"away"}') });
    expect(await askHttp(url)).toEqual({ kind: 'miss', reason: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    expect(await askHttp(url.replace('127.0.0.1', 'localhost'), trusting)).toEqual({
      kind: 'miss',
      reason: 'ERR_TLS_CERT_ALTNAME_INVALID',
    });
  });

  test('of a server that speaks no TLS is a miss', async () => {
    const port = await listen(createHttpServer((_, response) => response.end()));
    expect(await askHttp(`https://127.0.0.1:${port}/`)).toMatchObject({ kind: 'miss' });
  });
});

describe('the hub’s own network and resolver', () => {
  afterEach(() => vi.restoreAllMocks());
  const http = (host: string) => ({ kind: 'http', url: new URL(`http://${host}:9/`) }) as const;
  const tcp = (host: string) => ({ kind: 'tcp', host, port: 9 }) as const;
  /** Node's own lookup, which cannot be made to fail otherwise. */
  const resolver = (answer: (done: (error: Error | null, addresses?: object[]) => void) => void) =>
    vi.spyOn(dns, 'lookup').mockImplementation(((_host: string, _options: object, done: () => void) => {
      answer(done);
    }) as unknown as typeof dns.lookup);
  const fault = (code: string) => Object.assign(new Error(code), { code });

  test('an address that the hub has no route to is no miss', async () => {
    // No TCP connection goes to a multicast address, on no network.
    for (const endpoint of [tcp('224.0.0.1'), http('224.0.0.1')]) {
      expect(await ask(endpoint)).toEqual({ kind: 'unable', reason: 'ENETUNREACH' });
    }
  });

  test.each([
    ['EAI_AGAIN', 'unable'],
    ['ENETDOWN', 'unable'],
    ['EADDRNOTAVAIL', 'unable'],
    ['ENOTFOUND', 'miss'],
  ])('a lookup that fails with %s is %s (P5)', async (code, kind) => {
    resolver((done) => done(fault(code)));
    for (const endpoint of [tcp('a.name'), http('a.name')]) expect(await ask(endpoint)).toEqual({ kind, reason: code });
  });

  test('one address without a route beside one that refuses is a miss', async () => {
    const port = await closedPort();
    resolver((done) =>
      done(null, [
        { address: '224.0.0.1', family: 4 },
        { address: '127.0.0.1', family: 4 },
        { address: '224.0.0.2', family: 4 },
      ]),
    );
    expect(await ask({ kind: 'tcp', host: 'a.name', port })).toEqual({ kind: 'miss', reason: 'ECONNREFUSED' });
    expect(await ask({ kind: 'http', url: new URL(`http://a.name:${port}`) })).toMatchObject({ kind: 'miss' });
    resolver((done) =>
      done(null, [
        { address: '224.0.0.1', family: 4 },
        { address: '224.0.0.2', family: 4 },
      ]),
    );
    expect(await ask(tcp('a.name'))).toEqual({ kind: 'unable', reason: 'ENETUNREACH' });
  });

  test('a poll that is cut off says whether the name was still being looked up', async () => {
    const port = await listen(createTcpServer((socket) => socket.resume()));
    resolver(() => undefined);
    const cutOff = async (endpoint: Endpoint): Promise<string> => {
      const cut = new Prober().probe(endpoint, () => expect.unreachable());
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
      return cut();
    };
    expect(await cutOff(tcp('a.name'))).toBe('the name');
    expect(await cutOff(http('a.name'))).toBe('the name');
    expect(await cutOff({ kind: 'http', url: new URL(`http://127.0.0.1:${port}`) })).toBe('the answer');
    resolver((done) => setImmediate(done, null, [{ address: '127.0.0.1', family: 4 }]));
    expect(await cutOff({ kind: 'http', url: new URL(`http://a.name:${port}`) })).toBe('the answer');
  });
});

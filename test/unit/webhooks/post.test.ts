import dns from 'node:dns';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { parseCidrs, type Cidrs } from '../../../server/auth/cidrs.ts';
import { ANSWER_WITHIN_MS, post, type Outcome } from '../../../server/webhooks/post.ts';

const secret = Buffer.alloc(32, 5);
const nextSecret = Buffer.alloc(24, 6);
const message = { id: 'msg_1', body: '{"type":"presence.changed","hub":"é","events":[]}' };
const servers: Server[] = [];
const sockets = new Set<Socket>();

afterEach(async () => {
  vi.restoreAllMocks();
  for (const socket of sockets) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => once(server.close(), 'close')));
});

async function listen(server: Server, host = '127.0.0.1'): Promise<number> {
  servers.push(server);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await once(server.listen(0, host), 'listening');
  return (server.address() as AddressInfo).port;
}

const receive = (listener: RequestListener): Promise<number> => listen(createHttpServer(listener));

function cidrs(text: string): Cidrs {
  const read = parseCidrs('test', text);
  if (!read.ok) throw new Error(read.problem);
  return read.value;
}

interface Options {
  readonly allowed?: string;
  readonly signal?: AbortSignal;
  readonly ca?: string;
}

function send(url: string, { allowed = '', signal, ca }: Options = {}): Promise<Outcome> {
  const rule = { url: new URL(url), secrets: [secret, nextSecret] };
  const options = { allowed: cidrs(allowed), signal: signal ?? new AbortController().signal, ca };
  return post(rule, message, Date.now(), options);
}

test('a receiver verifies the message with either secret, by the library of Standard Webhooks', async () => {
  let request: IncomingMessage | undefined;
  let body = '';
  const port = await receive((incoming, answer) => {
    request = incoming;
    incoming.setEncoding('utf8').on('data', (text: string) => (body += text));
    incoming.on('end', () => answer.writeHead(204).end());
  });
  expect(await send(`http://127.0.0.1:${port}/hook?key=1`)).toEqual({ kind: 'delivered' });
  expect(request).toMatchObject({ method: 'POST', url: '/hook?key=1' });
  expect(request?.headers).toMatchObject({ 'content-type': 'application/json', 'webhook-id': 'msg_1' });
  for (const key of [secret, nextSecret]) {
    const verified = new Webhook(key.toString('base64')).verify(body, request?.headers as Record<string, string>);
    expect(verified).toEqual(JSON.parse(message.body));
  }
  const foreign = new Webhook(Buffer.alloc(32, 1).toString('base64'));
  expect(() => foreign.verify(body, request?.headers as Record<string, string>)).toThrow('No matching signature');
});

test('the user info of the URL becomes the authorization', async () => {
  let authorization: string | undefined;
  const port = await receive((incoming, answer) => {
    ({ authorization } = incoming.headers);
    answer.end();
  });
  await send(`http://me:pw@127.0.0.1:${port}/`);
  expect(authorization).toBe(`Basic ${Buffer.from('me:pw').toString('base64')}`);
});

test('https checks the certificate', async () => {
  const file = (kind: string): string =>
    readFileSync(new URL(`../../support/certificates/first.${kind}.pem`, import.meta.url), 'utf8');
  const port = await listen(createHttpsServer({ cert: file('crt'), key: file('key') }, (_, answer) => answer.end()));
  expect(await send(`https://localhost:${port}/`, { ca: file('crt') })).toEqual({ kind: 'delivered' });
  expect(await send(`https://localhost:${port}/`)).toMatchObject({ kind: 'failed' });
});

describe('an attempt fails', () => {
  test.each([301, 302, 307, 400, 410, 500])('with status %i, and no redirect is followed', async (status) => {
    let requests = 0;
    const port = await receive((_, answer) => {
      requests++;
      answer.writeHead(status, { location: '/elsewhere' }).end();
    });
    expect(await send(`http://127.0.0.1:${port}/`)).toEqual({ kind: 'failed', reason: `it answered ${status}` });
    expect(requests).toBe(1);
  });

  test('if the port is closed', async () => {
    const port = await receive(() => undefined);
    await once(servers.splice(0)[0]!.close(), 'close');
    expect(await send(`http://127.0.0.1:${port}/`)).toEqual({ kind: 'failed', reason: 'ECONNREFUSED' });
  });

  test('if the answer does not arrive in time', async () => {
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
      expect(ms).toBe(ANSWER_WITHIN_MS);
      const controller = new AbortController();
      setTimeout(() => controller.abort(new DOMException('late', 'TimeoutError')), 50);
      return controller.signal;
    });
    const port = await receive(() => undefined);
    expect(await send(`http://127.0.0.1:${port}/`)).toEqual({
      kind: 'failed',
      reason: 'it did not answer within 10 s',
    });
    expect(timeout).toHaveBeenCalledOnce();
  });

  test('if the hub ends it', async () => {
    const controller = new AbortController();
    const port = await receive(() => {
      controller.abort();
    });
    const outcome = await send(`http://127.0.0.1:${port}/`, { signal: controller.signal });
    expect(outcome).toEqual({ kind: 'failed', reason: 'the attempt was ended' });
  });

  test('if the receiver closes, answers no HTTP, or switches protocols', async () => {
    const answers = [
      '',
      'hello\r\n\r\n',
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
    ];
    for (const text of answers) {
      const port = await listen(createTcpServer((socket) => socket.on('data', () => socket.end(text))));
      expect(await send(`http://127.0.0.1:${port}/`)).toMatchObject({ kind: 'failed' });
    }
  });
});

test('no more than 4 KiB of an endless answer is read', async () => {
  let written = 0;
  const closed = new Promise<void>((resolve) => {
    const server = createHttpServer((_, answer) => {
      answer.writeHead(200);
      const more = (): void => {
        written += 1024;
        if (!answer.destroyed) answer.write(Buffer.alloc(1024), () => setImmediate(more));
      };
      more();
      answer.on('close', () => resolve());
    });
    void listen(server).then(async (port) => {
      expect(await send(`http://127.0.0.1:${port}/`)).toEqual({ kind: 'delivered' });
    });
  });
  await closed;
  expect(written).toBeGreaterThan(4096);
});

test('a 2xx counts although its body never ends, and the connection is closed in time', async () => {
  const controller = new AbortController();
  const port = await receive((_, answer) => {
    answer.writeHead(200);
    answer.write('.');
    setTimeout(() => controller.abort(), 50);
  });
  expect(await send(`http://127.0.0.1:${port}/`, { signal: controller.signal })).toEqual({ kind: 'delivered' });
  await vi.waitFor(() => expect(sockets.size).toBe(0));
});

test('an endless stream of interim answers ends the attempt (N8)', async () => {
  const port = await listen(
    createTcpServer((socket) => {
      const flood = (): void => {
        while (!socket.destroyed && socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(100)));
      };
      socket.once('data', flood);
      socket.on('drain', flood);
    }),
  );
  expect(await send(`http://127.0.0.1:${port}/`)).toEqual({
    kind: 'failed',
    reason: 'it sent more than 8 interim answers',
  });
});

describe('a link-local address is refused (N8)', () => {
  test.each([
    ...['http://169.254.169.254/', 'http://2852039166/', 'http://[fe80::1]/', 'http://[::ffff:169.254.1.1]/'],
    ...['http://[64:ff9b::169.254.169.254]/', 'http://[2002:a9fe:a9fe::1]/', 'http://[::169.254.169.254]/'],
    'http://[fd00:ec2::254]/',
  ])('%s', async (url) => {
    expect(await send(url)).toMatchObject({ reason: expect.stringContaining('HUB_WEBHOOK_ALLOW') as string });
  });

  test('even if a name resolves to it, but the other addresses of the name are used', async () => {
    const port = await receive((_, answer) => answer.end());
    const addresses = [{ address: '169.254.169.254', family: 4 }];
    vi.spyOn(dns, 'lookup').mockImplementation(((
      _name: string,
      _options: object,
      callback: (error: null, found: typeof addresses) => void,
    ) => {
      callback(null, addresses);
    }) as never);
    const url = `http://metadata.example:${port}/`;
    expect(await send(url)).toMatchObject({ reason: expect.stringContaining('HUB_WEBHOOK_ALLOW') as string });
    addresses.push({ address: '127.0.0.1', family: 4 });
    expect(await send(url)).toEqual({ kind: 'delivered' });
  });

  test('unless HUB_WEBHOOK_ALLOW lists it', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 100);
    const outcome = await send('http://169.254.7.7:9/', { allowed: '169.254.7.0/24', signal: controller.signal });
    expect(outcome).not.toMatchObject({ reason: expect.stringContaining('HUB_WEBHOOK_ALLOW') as string });
  });
});

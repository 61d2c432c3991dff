/** The two connections of the command line, against a hub that a test plays: what people read of them, and their tokens. */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocketServer, type WebSocket } from 'ws';
import { createHubClient, leaveHub, type HubClientOptions } from '../../client/cli/hub/hub-client.ts';
import { TcpClient } from '../../client/cli/hub/tcp-client.ts';
import { noToken, readToken, type TokenSource } from '../../client/cli/hub/token.ts';
import { run as watch } from '../../client/cli/commands/watch.ts';
import { testIo } from '../support/cli-io.ts';

const HOUR = 3_600_000;
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const welcome = { type: 'welcome', session: 's', heartbeatMs: 10_000, timeoutMs: 25_000, node: 'n', protocol: 1 };

/** A hub of which the test says what it answers; each connection is handed over with its first message. */
interface PlayedHub {
  readonly url: string;
  next(): Promise<PlayedConnection>;
}
interface PlayedConnection {
  readonly socket: WebSocket;
  readonly hello: unknown;
  send(message: unknown): void;
  read(): Promise<unknown>;
}

async function playHub(): Promise<PlayedHub> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const queue = new Waiting<PlayedConnection>();
  server.on('connection', (socket) => {
    const messages = new Waiting<unknown>();
    socket.on('message', (data) => messages.put(JSON.parse((data as Buffer).toString())));
    const send = (message: unknown) => socket.send(JSON.stringify(message));
    void messages.take().then((hello) => queue.put({ socket, hello, send, read: () => messages.take() }));
  });
  ends.push(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  return { url, next: () => queue.take() };
}

/** Values that come, and whoever waits for them. */
class Waiting<T> {
  readonly #values: T[] = [];
  readonly #takers: ((value: T) => void)[] = [];

  put(value: T): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#values.push(value);
    else taker(value);
  }

  take(): Promise<T> {
    const value = this.#values.shift();
    return value === undefined ? new Promise((resolve) => this.#takers.push(resolve)) : Promise.resolve(value);
  }
}

function connect({ url }: Pick<PlayedHub, 'url'>, token = noToken, options: Partial<HubClientOptions> = {}) {
  const failed = new Waiting<string>();
  const lost = new Waiting<string>();
  const sent: string[] = [];
  const client = createHubClient({
    access: { http: url, token },
    user: '42',
    device: 'web',
    onFailed: (problem) => failed.put(problem),
    onLost: (reason) => lost.put(reason),
    onSent: (json) => sent.push(json),
    ...options,
  });
  ends.push(() => client.close());
  client.connect();
  return { client, failed, lost, sent };
}

describe('a WebSocket connection to a hub', () => {
  it('comes back after a loss, with the status of that moment', async () => {
    const hub = await playHub();
    const { client } = connect(hub, noToken, { text: 'first' });
    const first = await hub.next();
    expect(first.hello).toMatchObject({ type: 'hello', user: '42', device: 'web', text: 'first' });
    first.send(welcome);
    client.set({ text: 'second' });
    expect(await first.read()).toMatchObject({ type: 'heartbeat', text: 'second' });
    first.socket.terminate();
    expect((await hub.next()).hello).toMatchObject({ text: 'second' });
  });

  it.each([
    ['the hub’s interval', 20, undefined],
    ['an interval of its own', 10_000, 20],
  ])('sends heartbeats at %s', async (_name, heartbeatMs, everyMs) => {
    const hub = await playHub();
    connect(hub, noToken, { everyMs });
    const connection = await hub.next();
    connection.send({ ...welcome, heartbeatMs });
    for (let i = 0; i < 2; i += 1) expect(await connection.read()).toEqual({ type: 'heartbeat', id: 'beat' });
  });

  it('comes back when the hub went silent', async () => {
    const hub = await playHub();
    const { lost } = connect(hub);
    const connection = await hub.next();
    connection.send({ ...welcome, heartbeatMs: 20, timeoutMs: 60 });
    expect(await lost.take()).toBe('no answer');
    await hub.next();
  });

  it.each([1012, 1013])('obeys reconnect, before a welcome too, and after the close %d', async (code) => {
    const hub = await playHub();
    const { lost } = connect(hub);
    const first = await hub.next();
    const reportedAtMs = performance.now();
    first.send({ type: 'reconnect', afterMs: 300 });
    first.socket.close(code);
    expect(await lost.take()).toBe('the hub asked to come back later');
    await hub.next();
    expect(performance.now() - reportedAtMs).toBeGreaterThanOrEqual(298);
  });

  it('disconnects after `reconnect` even if the hub stays', async () => {
    const hub = await playHub();
    const { lost } = connect(hub);
    const first = await hub.next();
    first.send(welcome);
    first.send({ type: 'reconnect', afterMs: 50 });
    await once(first.socket, 'close');
    expect(await lost.take()).toBe('the hub asked to come back later');
    await hub.next();
  });

  it.each([1008, 4400, 4403])('does not come back after %d', async (code) => {
    const hub = await playHub();
    const { failed } = connect(hub);
    const connection = await hub.next();
    connection.send(welcome);
    connection.send({ type: 'error', code: 'forbidden', message: 'go away' });
    connection.socket.close(code);
    expect(await failed.take()).toBe(`the hub ended the connection (${code}): go away`);
  });

  it('ends with the hub’s words if its hello is refused', async () => {
    const hub = await playHub();
    const { failed } = connect(hub);
    (await hub.next()).send({ type: 'error', re: 'hello', code: 'bad_message', message: 'device: must be short' });
    expect(await failed.take()).toBe('the hub refused: device: must be short');
  });

  it('ignores what it does not know', async () => {
    const hub = await playHub();
    const { lost } = connect(hub);
    const connection = await hub.next();
    connection.socket.send('no JSON');
    connection.send({ type: 'weather', sunny: true });
    connection.socket.send(Buffer.from([1, 2]), { binary: true });
    connection.send({ ...welcome, heartbeatMs: 20, extra: 1 });
    expect(await connection.read()).toEqual({ type: 'heartbeat', id: 'beat' });
    connection.socket.close(1001);
    expect(await lost.take()).toBe('the connection closed (1001)');
  });

  it('says bye when it leaves, and waits until the hub has closed', async () => {
    const hub = await playHub();
    const { client } = connect(hub);
    const connection = await hub.next();
    connection.send(welcome);
    await new Promise((resolve) => client.on('status', resolve));
    const left = leaveHub(client);
    expect(await connection.read()).toEqual({ type: 'bye' });
    connection.socket.close(1000);
    await left;
  });

  it('does not wait long for a hub that never closes', async () => {
    const hub = await playHub();
    const { client } = connect(hub);
    (await hub.next()).send(welcome);
    await new Promise((resolve) => client.on('status', resolve));
    const startedAtMs = performance.now();
    await leaveHub(client);
    expect(performance.now() - startedAtMs).toBeLessThan(1_900);
  });

  it('reports what answers if it is not a hub', async () => {
    const server = createServer((socket) => socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n'));
    const url = `http://127.0.0.1:${await listen(server)}`;
    expect(await connect({ url }).failed.take()).toBe(`the server at ${url} is not a hub (it answers /ws with 404)`);
  });

  it('keeps trying if the first attempt finds no hub and it is patient', async () => {
    const server = createServer((socket) => socket.destroy());
    const url = `http://127.0.0.1:${await listen(server)}`;
    const { failed, lost } = connect({ url }, noToken, { isPatient: true });
    for (let i = 0; i < 2; i += 1) expect(await lost.take()).not.toBe('');
    void failed.take().then(expect.unreachable);
  });

  it('comes back slowly if the hub has no room', async () => {
    const hub = await playHub();
    const { lost } = connect(hub);
    const first = await hub.next();
    first.send({ type: 'error', re: 'hello', code: 'too_many', message: 'as many sessions as there may be' });
    expect(await lost.take()).toBe('as many sessions as there may be');
    const lostAtMs = performance.now();
    await hub.next();
    expect(performance.now() - lostAtMs).toBeGreaterThan(2_400);
  });
});

describe('a WebSocket connection with a token', () => {
  const REFUSED = 'the token is missing, wrong or has expired';
  const refuse = (connection: PlayedConnection) => {
    connection.send({ type: 'error', re: 'hello', code: 'unauthenticated', message: REFUSED });
    connection.socket.close(4401);
  };

  it('says it in the hello, and to nobody else', async () => {
    const hub = await playHub();
    const { sent } = connect(hub, tokenOf('secret-word'));
    expect((await hub.next()).hello).toMatchObject({ type: 'hello', user: '42', token: 'secret-word' });
    expect(sent).toHaveLength(1);
    expect(JSON.parse(sent[0]!)).toMatchObject({ type: 'hello', user: '42', token: '…' });
  });

  it('ends with a line if the first is refused, with the error or the close alone', async () => {
    for (const refusal of [refuse, ({ socket }: PlayedConnection) => socket.close(4401)]) {
      const hub = await playHub();
      const { failed } = connect(hub, tokenFile('secret-word').source);
      for (let i = 0; i < 2; i += 1) refusal(await hub.next());
      expect(await failed.take()).toMatch(/^the hub rejects the token of \/[^ ]+ \(.+\): put a new one there$/);
    }
  });

  it('ends with a line if it expires and is not from a file', async () => {
    const hub = await playHub();
    const { failed } = connect(hub, tokenOf('secret-word'));
    const connection = await hub.next();
    connection.send(welcome);
    refuse(connection);
    refuse(await hub.next());
    expect(await failed.take()).toBe(`the hub rejects the token of --token (${REFUSED}): give a new one`);
  });

  it('says what a hello is forbidden for, by the error or the close alone', async () => {
    const refusals = [
      (connection: PlayedConnection) => {
        connection.send({ type: 'error', re: 'hello', code: 'forbidden', message: 'not yours' });
        connection.socket.close(4403);
      },
      ({ socket }: PlayedConnection) => socket.close(4403),
    ];
    for (const refusal of refusals) {
      const hub = await playHub();
      const { failed } = connect(hub, tokenOf('secret-word'));
      refusal(await hub.next());
      expect(await failed.take()).toMatch(/^the hub does not allow that \(.+\): the token of --token must be/);
    }
  });

  it('reads the file again when it has expired, waits for a fresh one, and comes back with it', async () => {
    const hub = await playHub();
    const { source, put } = tokenFile('first');
    const { lost } = connect(hub, source);
    const first = await hub.next();
    first.send(welcome);
    refuse(first);
    expect(await lost.take()).toBe(REFUSED);
    put('second');
    expect((await hub.next()).hello).toMatchObject({ token: 'second' });
  });

  it('sends a fresh one of the file before the old one expires', async () => {
    const hub = await playHub();
    const { source, put } = tokenFile(`e30.${btoa(JSON.stringify({ exp: Date.now() / 1000 + 3 }))}.x`);
    const { sent } = connect(hub, source);
    const connection = await hub.next();
    put('second');
    connection.send(welcome);
    expect(await connection.read()).toEqual({ type: 'token', id: 'token', token: 'second' });
    expect(sent.at(-1)).toBe('{"type":"token","id":"token","token":"…"}');
  });
});

describe('watch', () => {
  it('resumes from the last at after a loss, and prints only what is new', async () => {
    const hub = await playHub();
    const io = testIo();
    const running = watch(['42', '--url', hub.url], io);
    const entry = { user: '7', status: 'online', code: 1, since: 1, lastSeen: 1, devices: ['web'], v: 5 };
    const first = await hub.next();
    expect(first.hello).toEqual({ type: 'hello', id: 'hello', observe: true });
    first.send(welcome);
    const asked = (await first.read()) as { readonly id: number };
    expect(asked).toEqual({ type: 'watch', id: asked.id, friendsOf: '42' });
    first.send({ type: 'snapshot', re: asked.id, friendsOf: '42', at: 10, entries: [entry] });
    await io.stdout.until(/\t7\tonline\t\n/);
    first.socket.terminate();
    const second = await hub.next();
    second.send(welcome);
    expect(await second.read()).toMatchObject({ type: 'watch', friendsOf: '42', since: 10 });
    const away = { ...entry, status: 'away', code: 2, v: 12 };
    second.send({ type: 'snapshot', friendsOf: '42', since: 10, at: 20, entries: [away], removed: [] });
    await io.stdout.until(/\t7\taway\t\n/);
    io.interrupt();
    expect(await running).toBe(0);
    expect(io.stdout.lines).toHaveLength(2);
    expect(io.stderr.text).toContain('reconnecting');
  });

  it('shows the time of the last word while it is away, and stale after it', async () => {
    const hub = await playHub();
    const io = testIo({ isTTY: true });
    const running = watch(['42', '--url', hub.url], io);
    const first = await hub.next();
    first.send(welcome);
    first.send({ type: 'snapshot', friendsOf: '42', at: 10, entries: [] });
    await io.stdout.until(/live/);
    first.socket.terminate();
    await io.stdout.until(/as of \d\d:\d\d:\d\d, reconnecting/);
    const second = await hub.next();
    second.send(welcome);
    second.send({ type: 'stale', since: 11 });
    second.send({ type: 'snapshot', friendsOf: '42', at: 12, entries: [] });
    await io.stdout.until(/as of \d\d:\d\d:\d\d: some friends may still be reconnecting/);
    const from = io.stdout.text.length;
    second.send({ type: 'fresh', at: 13 });
    await io.stdout.until(/live/, from);
    io.interrupt();
    expect(await running).toBe(0);
    expect(io.stdout.text.endsWith('\u001b[?25h\u001b[?1049l')).toBe(true);
  });

  it.each([-HOUR, HOUR])(
    'goes by the clock of the hub, %d ms from its own, in a pipe and in a table',
    async (aheadMs) => {
      const hub = await playHub();
      const at = Date.now() + aheadMs;
      const gone = { user: '7', status: 'offline', code: -1, since: at, lastSeen: at - 185_000, devices: [], v: 5 };
      for (const isTTY of [false, true]) {
        const io = testIo({ isTTY });
        const running = watch(['42', '--url', hub.url], io);
        const connection = await hub.next();
        connection.send(welcome);
        connection.send({ type: 'snapshot', friendsOf: '42', at, entries: [gone] });
        if (isTTY) {
          await io.stdout.until(/7 +offline +last seen 3 min ago/);
        } else {
          await io.stdout.until(/\t7\toffline\t\n/);
          const offMs = Date.parse(io.stdout.text.split('\t')[0]!) - at;
          expect(Math.abs(offMs)).toBeLessThan(60_000);
        }
        io.interrupt();
        expect(await running).toBe(0);
      }
    },
  );

  it('ends if the watch is refused', async () => {
    const hub = await playHub();
    const io = testIo();
    const running = watch(['42', '--url', hub.url], io);
    const connection = await hub.next();
    connection.send(welcome);
    const { id: re } = (await connection.read()) as { readonly id: number };
    connection.send({ type: 'error', re, code: 'forbidden', message: 'not\u001byours' });
    expect(await running).toBe(1);
    expect(io.stderr.text).toMatch(
      /^presence-hub: the hub refuses to show the friends of 42 \(not\\u\{1b\}yours\): if it requires a token, [^\n]+\n$/,
    );
  });

  it('ends if a fresh token ends the watch', async () => {
    const hub = await playHub();
    const io = testIo({ env: { PRESENCE_HUB_TOKEN: 'secret-word' } });
    const running = watch(['42', '--url', hub.url], io);
    const connection = await hub.next();
    expect(connection.hello).toEqual({ type: 'hello', id: 'hello', observe: true, token: 'secret-word' });
    connection.send(welcome);
    connection.send({ type: 'unwatched', friendsOf: '42' });
    expect(await running).toBe(1);
    expect(io.stderr.text).toContain('the hub refuses to show the friends of 42 (no longer allowed): the token of');
    expect(io.stderr.text).not.toContain('secret-word');
  });

  it('ends when nobody reads it any more', async () => {
    const hub = await playHub();
    const io = testIo();
    const running = watch(['42', '--url', hub.url], io);
    (await hub.next()).send(welcome);
    io.stdout.emit('error', new Error('EPIPE'));
    expect(await running).toBe(0);
  });
});

describe('a TCP connection to a hub', () => {
  const options = { user: '42', device: 'a<b&c', everyMs: 20, onFailed: () => undefined };
  type TcpAccess = ConstructorParameters<typeof TcpClient>[0]['access'];
  const tcpTo = (tcpPort: number, token = noToken): TcpAccess => ({
    tcpHost: '127.0.0.1',
    tcpPort,
    isTcpTls: false,
    token,
  });

  it('sends frames, comes back after a loss, and ends with -1', async () => {
    const sockets = new Waiting<Socket>();
    const server = createServer((socket) => sockets.put(socket.setEncoding('utf8')));
    const port = await listen(server);
    const client = new TcpClient({ ...options, access: tcpTo(port), state: () => 7 });
    ends.push(() => client.end());
    client.connect();
    const frame = (state: number) =>
      `<protocol><user_id>42</user_id><user_state>${state}</user_state><device>a&lt;b&amp;c</device></protocol>\n`;
    const first = await sockets.take();
    await readUntil(first, frame(7) + frame(7));
    first.destroy();
    const second = await sockets.take();
    await readUntil(second, frame(7));
    const last = readUntil(second, frame(-1));
    await client.leave();
    await last;
  });

  /** A hub that answers; each line that it got is handed over with the socket. */
  async function playTcpHub() {
    const frames = new Waiting<{ readonly frame: string; readonly answer: (xml: string) => void }>();
    const port = await listen(
      createServer((socket) => {
        let rest = '';
        socket.setEncoding('utf8').on('error', () => undefined);
        socket.on('data', (text: string) => {
          const lines = (rest + text).split('\n');
          rest = lines.pop() ?? '';
          for (const frame of lines) frames.put({ frame, answer: (xml) => socket.write(xml) });
        });
      }),
    );
    return { port, next: () => frames.take() };
  }
  const beatAt = (access: TcpAccess) => {
    const failed = new Waiting<string>();
    const sent: string[] = [];
    const client = new TcpClient({
      ...options,
      access,
      state: () => 1,
      onFailed: (problem) => failed.put(problem),
      onSent: (frame) => sent.push(frame),
    });
    ends.push(() => client.end());
    client.connect();
    return { failed, sent };
  };
  const ERROR = '<protocol><error code="unauthenticated">no good</error></protocol>';

  it('says the token in its first frame alone, and to nobody else', async () => {
    const hub = await playTcpHub();
    const { sent } = beatAt(tcpTo(hub.port, tokenOf('secret<word')));
    expect((await hub.next()).frame).toContain('<token>secret&lt;word</token></protocol>');
    expect((await hub.next()).frame).not.toContain('token');
    expect(sent[0]).toContain('<token>…</token>');
  });

  it('ends with a line if a hub that answers refuses the token, in any number of pieces', async () => {
    const hub = await playTcpHub();
    const { failed } = beatAt(tcpTo(hub.port, tokenOf('secret-word')));
    const { answer } = await hub.next();
    answer(ERROR.slice(0, 30));
    await hub.next();
    answer(ERROR.slice(30));
    expect(await failed.take()).toBe('the hub rejects the token of --token (no good): give a new one');
  });

  it('uses the fresh token of the file if the old one has expired', async () => {
    const hub = await playTcpHub();
    const { source, put } = tokenFile('first');
    beatAt(tcpTo(hub.port, source));
    const { frame, answer } = await hub.next();
    expect(frame).toContain('<token>first</token>');
    answer('<protocol><ack user_id="42" state="1"/></protocol>');
    put('second');
    answer(ERROR);
    let next = await hub.next();
    while (!next.frame.includes('<token>')) next = await hub.next();
    expect(next.frame).toContain('<token>second</token>');
  });

  it('speaks TLS if asked to, and prints the remedy if the certificate is not trusted', async () => {
    const server = createTlsServer({ cert: certificate('first.crt.pem'), key: certificate('first.key.pem') });
    server.on('tlsClientError', () => undefined);
    const port = await listen(server);
    const { failed } = beatAt({ ...tcpTo(port), isTcpTls: true });
    expect(await failed.take()).toMatch(
      new RegExp(`^tcps://127.0.0.1:${port} has an untrusted certificate: .* NODE_EXTRA_CA_CERTS .*\\(self`),
    );
  });

  it('fails if the first attempt finds no hub', async () => {
    const server = createServer();
    const port = await listen(server);
    await new Promise((resolve) => server.close(resolve));
    const failed = new Waiting<string>();
    const onFailed = (problem: string) => failed.put(problem);
    new TcpClient({ ...options, access: tcpTo(port), state: () => 1, onFailed }).connect();
    expect(await failed.take()).toContain(`no hub answers at tcp://127.0.0.1:${port}: `);
  });
});

function tokenOf(token: string): TokenSource {
  const read = readToken({ token }, {});
  if (!read.ok) throw new Error(read.problem);
  return read.value;
}

/** A token file that ends with the test. */
function tokenFile(token: string): { readonly source: TokenSource; readonly put: (token: string) => void } {
  const folder = mkdtempSync(join(tmpdir(), 'presence-hub-'));
  ends.push(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'token');
  const put = (text: string) => writeFileSync(path, `${text}\n`);
  put(token);
  const read = readToken({ 'token-file': path }, {});
  if (!read.ok) throw new Error(read.problem);
  return { source: read.value, put };
}

function certificate(name: string): Buffer {
  return readFileSync(new URL(`../support/certificates/${name}`, import.meta.url));
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Resolves once what the socket has said ends with the text. */
function readUntil(socket: Socket, text: string): Promise<void> {
  return new Promise((resolve) => {
    let received = '';
    socket.on('error', () => undefined);
    socket.on('data', (piece: string) => {
      received += piece;
      if (received.endsWith(text)) resolve();
    });
  });
}

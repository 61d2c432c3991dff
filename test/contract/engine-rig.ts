/**
 * One engine listening on a free port with a service that records what the engine reports, and clients that can
 * misbehave. `stop` closes everything opened here.
 */
import { connect, type Socket as NetSocket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { WebSocket } from 'ws';
import { Admission } from '../../server/admission.ts';
import { loadEngine } from '../../server/sockets/load-engine.ts';
import { openTlsFiles, type TlsFiles } from '../../server/lib/net/tls-files.ts';
import type {
  Engine,
  HttpReply,
  HttpRequest,
  Listening,
  Service,
  Socket,
  SocketEvents,
} from '../../server/sockets/port.ts';

/** A queue of events, read one by one; `next` waits for an event. */
class Recorded<T> {
  readonly #waiting: ((value: T) => void)[] = [];
  readonly #unread: T[] = [];

  record(value: T): void {
    const reader = this.#waiting.shift();
    if (reader === undefined) this.#unread.push(value);
    else reader(value);
  }

  next(): Promise<T> {
    return new Promise((resolve) => {
      if (this.#unread.length > 0) resolve(this.#unread.shift() as T);
      else this.#waiting.push(resolve);
    });
  }

  /** What was recorded and not read yet. */
  rest(): T[] {
    return this.#unread.splice(0);
  }
}

/** An engine as a suite is run over it: with `tls` it listens with TLS, and the rig's clients speak it. */
export interface Tested extends Engine {
  readonly tls?: TlsFiles;
}

/** The engines that load here. */
export function enginesHere(): Engine[] {
  const { engine } = loadEngine('auto');
  const ws = loadEngine('ws').engine;
  return engine.name === 'uws' ? [ws, engine] : [ws];
}

export async function openFiles(certPath: string, keyPath: string): Promise<TlsFiles> {
  const opened = await openTlsFiles({ certName: 'CERT', certPath, keyName: 'KEY', keyPath });
  if (!opened.ok) throw new Error(opened.problem);
  return opened.value;
}

export interface Opened {
  readonly socket: Socket;
  /** `message abc`, `binary`, `oversize`, `pong`, `drained`, `closed`. */
  readonly events: Recorded<string>;
}

export function problem(status: number): HttpReply {
  return {
    status,
    headers: { 'content-type': 'application/problem+json' },
    body: JSON.stringify({ status, title: 'turned down' }),
  };
}

type Limits = ConstructorParameters<typeof Admission>[0];
const NO_LIMITS: Limits = { maxConnections: 100_000, maxPerAddress: 100_000 };

export class Rig {
  readonly opened = new Recorded<Opened>();
  readonly admitted = new Recorded<HttpRequest>();
  readonly requests = new Recorded<HttpRequest>();
  listening!: Listening;
  /** How many connections may be open; a test makes its own. */
  readonly admission: Admission;
  proxies: string[] = [];
  /** Requests that there was no room for. */
  turnedDown = 0;
  /** What a test may replace. */
  clientAddress: Service['clientAddress'] = (peer) => peer;
  http: Service['http'] = (request) => ({
    status: 200,
    headers: { 'content-type': 'text/plain' },
    body: `${request.method} ${request.path}`,
  });
  admit: Service['admit'] = () => undefined;
  onOpened: (socket: Socket) => void = () => undefined;
  onMessage: (socket: Socket, text: string) => void = () => undefined;
  onFrame: (socket: Socket) => void = () => undefined;
  /** Pings, and fragments if the engine reports them. */
  frames = 0;
  readonly #clients: { terminate(): void }[] = [];
  readonly #tls: TlsFiles | undefined;
  readonly #service = (): Service => ({
    connections: this.admission,
    isProxy: (peer) => this.proxies.includes(peer),
    onLimitExceeded: () => undefined,
    clientAddress: (peer, forwardedFor) => this.clientAddress(peer, forwardedFor),
    http: (request) => {
      if (request.exceededLimit !== undefined) {
        this.turnedDown++;
        return problem(503);
      }
      this.requests.record(request);
      return this.http(request);
    },
    refuse: problem,
    admit: (request) => {
      this.admitted.record(request);
      return this.admit(request);
    },
    opened: (socket) => this.#open(socket),
  });

  private constructor(tls: TlsFiles | undefined, limits: Limits) {
    this.#tls = tls;
    this.admission = new Admission(limits);
  }

  static async start(engine: Tested, host = '127.0.0.1', port = 0, limits = NO_LIMITS): Promise<Rig> {
    const { tls } = engine;
    const rig = new Rig(tls, limits);
    rig.listening = await engine.listen(host, port, rig.#service(), tls === undefined ? undefined : { tls });
    return rig;
  }

  get isTls(): boolean {
    return this.#tls !== undefined;
  }

  get port(): number {
    return this.listening.port;
  }

  url(path: string, host = '127.0.0.1'): string {
    return `${this.isTls ? 'wss' : 'ws'}://${host}:${String(this.port)}${path}`;
  }

  #open(socket: Socket): SocketEvents {
    const events = new Recorded<string>();
    this.opened.record({ socket, events });
    this.onOpened(socket);
    return {
      message: (text) => {
        events.record(`message ${text}`);
        this.onMessage(socket, text);
      },
      binary: () => {
        events.record('binary');
      },
      oversize: () => {
        events.record('oversize');
      },
      pong: () => {
        events.record('pong');
      },
      frame: () => {
        this.frames++;
        this.onFrame(socket);
      },
      drained: () => {
        events.record('drained');
      },
      closed: () => {
        events.record('closed');
      },
    };
  }

  /** A well-behaved client, and the hub's end of it. */
  async connect(path = '/ws', host = '127.0.0.1', headers = {}): Promise<{ client: Client; hub: Opened }> {
    const client = new Client(new WebSocket(this.url(path, host), { headers, rejectUnauthorized: false }));
    this.#clients.push(client);
    await client.open;
    return { client, hub: await this.opened.next() };
  }

  raw(options: { allowHalfOpen?: boolean } = {}): Raw {
    const tcp = connect({ port: this.port, host: '127.0.0.1', ...options });
    const tls = this.isTls ? connectTls({ socket: tcp, rejectUnauthorized: false, ...options }) : undefined;
    const raw = new Raw(tcp, tls);
    this.#clients.push(raw);
    return raw;
  }

  /** A WebSocket whose frames the test writes byte by byte. */
  async rawWebSocket(options: { allowHalfOpen?: boolean } = {}): Promise<{ raw: Raw; hub: Opened }> {
    const raw = this.raw(options);
    raw.write(handshake());
    await raw.until((text) => text.includes('\r\n\r\n'));
    return { raw, hub: await this.opened.next() };
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.terminate();
    await this.listening.close();
  }
}

class Client {
  readonly ws: WebSocket;
  readonly messages = new Recorded<string>();
  readonly open: Promise<void>;
  readonly closed: Promise<{ code: number; reason: string }>;

  constructor(ws: WebSocket) {
    this.ws = ws;
    ws.on('message', (bytes: Buffer, isBinary) => {
      this.messages.record(isBinary ? `binary ${bytes.toString()}` : bytes.toString());
    });
    ws.on('pong', (bytes) => {
      this.messages.record(`pong ${bytes.toString()}`);
    });
    this.open = new Promise((resolve, reject) => {
      ws.once('open', resolve);
      ws.on('error', reject);
    });
    this.open.catch(() => undefined);
    this.closed = new Promise((resolve) => {
      ws.once('close', (code, reason) => {
        resolve({ code, reason: reason.toString() });
      });
    });
  }

  terminate(): void {
    this.ws.terminate();
  }
}

export class Raw {
  readonly wire: NetSocket;
  readonly #tcp: NetSocket;
  readonly closed: Promise<string>;
  #text = '';
  #check: () => void = () => undefined;

  constructor(tcp: NetSocket, tls?: TLSSocket) {
    const wire = tls ?? tcp;
    this.#tcp = tcp;
    this.wire = wire;
    tcp.on('error', () => undefined);
    wire.setEncoding('latin1');
    wire.on('data', (chunk: string) => {
      this.#text += chunk;
      this.#check();
    });
    wire.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      wire.once('close', () => {
        resolve(this.#text);
        this.#check();
      });
    });
  }

  write(bytes: string | Uint8Array): void {
    this.wire.write(bytes);
  }

  /** Resolves with what arrived, as soon as it is enough; rejects if the connection ends before. */
  until(isEnough: (text: string) => boolean): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#check = () => {
        if (isEnough(this.#text)) resolve(this.#text);
        else if (this.wire.closed) reject(new Error(`ended after ${JSON.stringify(this.#text)}`));
      };
      this.#check();
    });
  }

  terminate(): void {
    this.wire.destroy();
    this.#tcp.destroy();
  }

  /** Ends it as a program that is killed does. */
  reset(): void {
    this.#tcp.resetAndDestroy();
  }
}

export const TEXT = 1;
export const BINARY = 2;
export const PING = 9;
export const CONTINUATION = 0;

/** A client's frame, masked with zeros, so that its bytes are as written. */
export function frame(opcode: number, body: string | Uint8Array, isLast = true): Uint8Array {
  const bytes = Buffer.from(body);
  const head = [(isLast ? 0x80 : 0) | opcode];
  if (bytes.length < 126) head.push(0x80 | bytes.length);
  else if (bytes.length < 65_536) head.push(0x80 | 126, bytes.length >> 8, bytes.length & 255);
  else head.push(0x80 | 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (bytes.length >> shift) & 255));
  return Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), bytes]);
}

export function handshake(change: Record<string, string | undefined> = {}, method = 'GET'): string {
  const headers: Record<string, string | undefined> = {
    host: 'hub',
    connection: 'keep-alive, Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...change,
  };
  const lines = Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
  return [`${method} /ws HTTP/1.1`, ...lines, '', ''].join('\r\n');
}

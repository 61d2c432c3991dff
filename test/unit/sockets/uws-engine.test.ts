/** What the contract suite can't bring about on real sockets at will: moments and answers of the native side. */
import { stat } from 'node:fs';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Admission } from '../../../server/admission.ts';
import type { HttpReply, Service, Socket } from '../../../server/sockets/port.ts';
import { createUwsEngine } from '../../../server/sockets/uws/uws-engine.ts';
import type {
  Uws,
  UwsApp,
  UwsBehavior,
  UwsDescriptor,
  UwsListenSocket,
  UwsRequest,
  UwsResponse,
} from '../../../server/sockets/uws/uws-types.ts';
import { certificateFile } from '../../support/certificate-file.ts';
import { openFiles } from '../../contract/engine-rig.ts';

const EXCLUSIVE = 7;

/** The native side: `behavior` and `onRequest` are what the engine gave it. */
class FakeUws implements Uws {
  readonly DISABLED = 0;
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT = EXCLUSIVE;
  listenOptions: number | undefined;
  listens = true;
  /** To whom the app that listens may pass what it accepts. */
  childApps = 0;
  behavior!: UwsBehavior<unknown>;
  onRequest!: (response: UwsResponse<unknown>, request: UwsRequest) => void;

  App<Attached>(): UwsApp<Attached> {
    return {
      ws: (_, behavior) => (this.behavior = behavior as UwsBehavior<unknown>),
      any: (_, handler) => (this.onRequest = handler),
      filter: () => undefined,
      listen: (_host, _port, options, done) => {
        this.listenOptions = options;
        done(this.listens && ({} as UwsListenSocket));
      },
      close: () => undefined,
      getDescriptor: () => ({}) as UwsDescriptor,
      addChildAppDescriptor: () => this.childApps++,
      removeChildAppDescriptor: () => this.childApps--,
    };
  }

  /** How many certificates it still takes. */
  usable = 0;
  SSLApp<Attached>(): UwsApp<Attached> {
    if (this.usable === 0) throw new Error('App construction failed');
    this.usable--;
    return this.App();
  }
}

const request: UwsRequest = {
  getCaseSensitiveMethod: () => 'GET',
  getUrl: () => '/',
  getQuery: () => undefined,
  forEach: (each) => {
    const headers = {
      connection: 'upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    };
    for (const [name, value] of Object.entries(headers)) each(name, value);
  },
};

async function start(change: Partial<Service> = {}) {
  const native = new FakeUws();
  const events: string[] = [];
  const sockets: Socket[] = [];
  const service: Service = {
    connections: new Admission({ maxConnections: 100, maxPerAddress: 100 }),
    isProxy: () => false,
    onLimitExceeded: () => undefined,
    clientAddress: (peer) => peer,
    http: () => ({ status: 200, headers: {}, body: 'ok' }),
    refuse: (status) => ({ status, headers: {}, body: '' }),
    admit: () => undefined,
    opened: (socket) => {
      sockets.push(socket);
      return {
        message: (text) => events.push(text),
        binary: () => events.push('binary'),
        oversize: () => events.push('oversize'),
        pong: () => events.push('pong'),
        frame: () => events.push('frame'),
        drained: () => events.push('drained'),
        closed: () => events.push('closed'),
      };
    },
    ...change,
  };
  await createUwsEngine(native).listen('127.0.0.1', 0, service);
  return { native, events, sockets };
}

/** Opens a native socket whose sends are answered as configured. */
function open(native: FakeUws, answers: (0 | 1 | 2)[]) {
  let attached: object = {};
  const response = {
    onAborted: () => undefined,
    getRemoteAddressAsText: () => new TextEncoder().encode('127.0.0.1').buffer,
    getProxiedRemoteAddress: () => new ArrayBuffer(0),
    upgrade: (given: object) => (attached = given),
  };
  native.behavior.upgrade(response as never, request, {} as never);
  const ws = {
    ...attached,
    buffered: 0,
    send: () => answers.shift() ?? 1,
    ping: () => 1,
    end: () => undefined,
    close: () => undefined,
    getBufferedAmount: () => ws.buffered,
  };
  native.behavior.open(ws);
  return ws;
}

describe('the uWebSockets.js engine', () => {
  it('asks for the port alone, and takes a refusal without a reason for a port that is held', async () => {
    const native = new FakeUws();
    const engine = createUwsEngine(native);
    const service = {
      connections: new Admission({ maxConnections: 1, maxPerAddress: 1 }),
    } as Partial<Service> as Service;
    await engine.listen('127.0.0.1', 0, service);
    expect(native.listenOptions).toBe(EXCLUSIVE);
    native.listens = false;
    await expect(engine.listen('127.0.0.1', 0, service)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it('says which files it can not use, and goes on with the certificate that it has', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'uws-engine-'));
    const [certPath, keyPath] = [join(folder, 'crt'), join(folder, 'key')];
    const put = async (name: string) => {
      await copyFile(certificateFile(`${name}.crt`), certPath);
      await copyFile(certificateFile(`${name}.key`), keyPath);
    };
    await put('first');
    const tls = await openFiles(certPath, keyPath);
    const native = new FakeUws();
    const service = {
      connections: new Admission({ maxConnections: 1, maxPerAddress: 1 }),
    } as Partial<Service> as Service;
    const listen = () => createUwsEngine(native).listen('127.0.0.1', 0, service, { tls });
    const words = `uWebSockets.js can't use the certificate ${certPath} with the key ${keyPath}`;
    await expect(listen()).rejects.toThrow(words);
    native.usable = 1;
    const listening = await listen();
    const problems: string[] = [];
    tls.watch((problem) => problems.push(problem));
    await put('second');
    await tls.check();
    expect(problems).toEqual([expect.stringContaining(words)]);
    expect(native.childApps).toBe(0);
    // It passes on to one, however often the certificate changes.
    native.usable = 2;
    await tls.check();
    expect(native.childApps).toBe(1);
    await put('first');
    await tls.check();
    expect([native.usable, native.childApps]).toEqual([0, 1]);
    await listening.close();
    tls.stop();
    await rm(folder, { recursive: true });
  });

  it('reports drained once all has been written, not for a part, and answers queued until then', async () => {
    const { native, events, sockets } = await start();
    const ws = open(native, [1, 0, 0, 1]);
    const socket = sockets[0] as Socket;
    expect(socket.send('a')).toBe('sent');
    native.behavior.drain(ws);
    expect(socket.send('b')).toBe('queued');
    ws.buffered = 10;
    native.behavior.drain(ws);
    expect(socket.send('c')).toBe('queued');
    expect(socket.send('d')).toBe('queued');
    expect(events).toEqual([]);
    ws.buffered = 0;
    native.behavior.drain(ws);
    native.behavior.drain(ws);
    await new Promise((resolve) => setImmediate(resolve));
    expect(events).toEqual(['drained']);
    expect(socket.send('e')).toBe('sent');
  });

  it('reports a message that the native side dropped', async () => {
    const { native, sockets } = await start();
    open(native, [2, 1]);
    expect(sockets[0]?.send('a')).toBe('dropped');
    expect(sockets[0]?.send('b')).toBe('sent');
  });

  it('does not touch a response after its abort, however late the answer comes', async () => {
    let answer: (reply: HttpReply) => void = () => undefined;
    const { native } = await start({ http: () => new Promise((resolve) => (answer = resolve)) });
    const touched: string[] = [];
    let abort: () => void = () => undefined;
    const response = {
      onAborted: (aborted: () => void) => (abort = aborted),
      onData: (received: (chunk: ArrayBuffer, isLast: boolean) => void) => {
        received(new ArrayBuffer(0), true);
      },
      getRemoteAddressAsText: () => new TextEncoder().encode('127.0.0.1').buffer,
      getProxiedRemoteAddress: () => new ArrayBuffer(0),
      pause: () => touched.push('pause'),
      resume: () => touched.push('resume'),
      cork: () => touched.push('cork'),
    };
    native.onRequest(response as never, { ...request, forEach: () => undefined });
    abort();
    answer({ status: 200, headers: {}, body: 'late' });
    await new Promise((resolve) => setImmediate(resolve));
    expect(touched).toEqual(['pause']);
  });

  it('closes behind a last answer in a timer, since what is closed in an immediate is never freed', async () => {
    const { native } = await start({ admit: () => ({ status: 403, headers: {}, body: 'no' }) });
    const turns: string[] = [];
    await new Promise<void>((resolve) => {
      const response = {
        onAborted: () => undefined,
        getRemoteAddressAsText: () => new TextEncoder().encode('127.0.0.1').buffer,
        getProxiedRemoteAddress: () => new ArrayBuffer(0),
        pause: () => undefined,
        cork: (write: () => void) => {
          write();
        },
        writeStatus: () => undefined,
        end: () => {
          turns.push('answered');
          resolve();
        },
      };
      // The loop's immediates come right behind its reading, and its timers later: as they do behind a request.
      stat('.', () => {
        native.behavior.upgrade(response as never, request, {} as never);
        setImmediate(() => turns.push('immediates'));
      });
    });
    expect(turns).toEqual(['immediates', 'answered']);
  });
});

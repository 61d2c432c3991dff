/**
 * Reference: XML heartbeats over bare node:net. `fxp`: every frame goes through fast-xml-parser into a map. `memo`: bytes
 * equal to the connection's last frame are the same heartbeat, a timestamp; all sockets share one read buffer, so that a
 * read allocates nothing; other bytes go the way of `fxp`. `wheel`: each frame's user is looked up, see wheel.ts.
 */
import { createServer, Socket, type AddressInfo } from 'node:net';
import { XMLParser } from 'fast-xml-parser';
import { BACKLOG, httpServer, say } from './shared.ts';
import { Wheel } from './wheel.ts';

interface User {
  readonly id: number;
  readonly state: number;
  readonly ip: string;
  readonly port: number;
  beatAt: number;
}
interface Frame {
  readonly protocol: {
    readonly user_id: number;
    readonly user_state: number;
    readonly user_ip: string;
    readonly user_port: number;
  };
}

const END = '</protocol>';
const LINE_END = 10;
const CLOCK_MS = 10;
const READ_BYTES = 65_536;
const mode = process.argv[2] ?? 'memo';
const parser = new XMLParser();
const users = new Map<number, User>();
const wheel = new Wheel();
if (mode === 'wheel') wheel.start();
let heartbeats = 0;
let now = Date.now();
setInterval(() => (now = Date.now()), CLOCK_MS);

const tcp =
  mode === 'fxp'
    ? createServer({ noDelay: true }, readTexts)
    : createServer({ noDelay: true, pauseOnConnect: true }, readBytes);
const http = httpServer(() => heartbeats + wheel.heartbeats);
tcp.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG }, () => {
  http.listen(0, '127.0.0.1', () => say((http.address() as AddressInfo).port, (tcp.address() as AddressInfo).port));
});

function store(frame: string): User {
  const { user_id: id, user_state: state, user_ip: ip, user_port: port } = (parser.parse(frame) as Frame).protocol;
  const user = { id, state, ip, port, beatAt: now };
  users.set(id, user);
  heartbeats += 1;
  return user;
}

function readTexts(socket: Socket): void {
  let rest = '';
  socket.setEncoding('latin1');
  socket.on('error', () => undefined);
  socket.on('data', (chunk: string) => {
    rest = rest === '' ? chunk : rest + chunk;
    let from = 0;
    for (let at = rest.indexOf(END); at >= 0; at = rest.indexOf(END, from)) {
      store(rest.slice(from, at + END.length));
      from = at + END.length;
    }
    rest = rest.slice(from);
    if (rest === '\n') rest = '';
  });
}

const shared = Buffer.allocUnsafeSlow(READ_BYTES);

/** node:net gives an accepted socket no `onread`, so its handle is given to a socket that has. */
function readBytes(accepted: Socket): void {
  const inner = accepted as unknown as { _handle: unknown };
  const handle = inner._handle;
  inner._handle = null;
  accepted.destroy();
  const read = mode === 'wheel' ? wheel.reader() : memoReader();
  const onread = {
    buffer: shared,
    callback: (length: number, bytes: Uint8Array): boolean => {
      read(bytes as Buffer, length);
      return true;
    },
  };
  const socket = new Socket({ handle, onread } as ConstructorParameters<typeof Socket>[0]);
  socket.on('error', () => undefined);
  socket.on('end', () => socket.destroy());
  socket.resume();
}

/** @returns what takes a connection's bytes: a buffer, and how many of it are valid. */
function memoReader(): (bytes: Buffer, length: number) => void {
  let last: Buffer | undefined;
  let user: User | undefined;
  let rest: Buffer | undefined;
  return (read, readBytes) => {
    const bytes = rest === undefined ? read : Buffer.concat([rest, read.subarray(0, readBytes)]);
    const length = rest === undefined ? readBytes : bytes.length;
    rest = undefined;
    let at = 0;
    while (at < length) {
      if (
        last !== undefined &&
        user !== undefined &&
        length - at >= last.length &&
        bytes.compare(last, 0, last.length, at, at + last.length) === 0
      ) {
        user.beatAt = now;
        heartbeats += 1;
        at += last.length;
        continue;
      }
      const end = bytes.indexOf(END, at) + END.length;
      if (end < END.length || end > length) {
        rest = Buffer.from(bytes.subarray(at, length));
        return;
      }
      const stop = end < length && bytes[end] === LINE_END ? end + 1 : end;
      last = Buffer.from(bytes.subarray(at, stop));
      user = store(last.toString('latin1'));
      at = stop;
    }
  };
}

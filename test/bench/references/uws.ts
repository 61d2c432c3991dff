/**
 * Reference: bare uWebSockets.js under the contract's messages. `topics`: a watch is one native topic a user, and a change
 * is published at once. `ticks`: an index of its own; changes wait 10 ms, and each watcher gets one frame with its entries.
 */
import { createRequire } from 'node:module';
import { presence, say, Users, welcome, type ClientMessage, type Watched } from './shared.ts';

/** What is used here of a package that ships no types. */
interface Connection {
  user: string;
  beatAt: number;
  pending: string;
  isOpen: boolean;
  send(text: string, isBinary: boolean, compress: boolean): number;
  subscribe(topic: string): boolean;
}
interface Response {
  writeStatus(status: string): Response;
  end(body?: string): void;
}
type Handler = (response: Response) => void;
interface App {
  ws(path: string, behavior: Readonly<Record<string, unknown>>): App;
  get(path: string, handler: Handler): App;
  any(path: string, handler: Handler): App;
  publish(topic: string, text: string, isBinary: boolean, compress: boolean): boolean;
  listen(host: string, port: number, listening: (socket: unknown) => void): App;
}
interface Uws {
  App(): App;
  readonly DISABLED: number;
  us_socket_local_port(socket: unknown): number;
}

const TICK_MS = 10;
const MAX_MESSAGE_BYTES = 16 * 1024;
const MAX_WAITING_BYTES = 1024 * 1024;
const mode = process.argv[2] ?? 'topics';
const uws = load();
const app = uws.App();
const decoder = new TextDecoder();
const users = new Users<Connection[]>();
let changed = new Set<Watched<Connection[]>>();
let heartbeats = 0;

app.ws('/ws', {
  maxPayloadLength: MAX_MESSAGE_BYTES,
  maxBackpressure: MAX_WAITING_BYTES,
  idleTimeout: 0,
  sendPingsAutomatically: false,
  compression: uws.DISABLED,
  open: (connection: Connection) => {
    connection.user = '';
    connection.beatAt = 0;
    connection.pending = '';
    connection.isOpen = true;
  },
  message: (connection: Connection, bytes: ArrayBuffer) => {
    const message = JSON.parse(decoder.decode(bytes)) as ClientMessage;
    if (message.type === 'heartbeat') beat(connection, message);
    else if (message.type === 'hello') {
      connection.user = message.user ?? '';
      connection.send(welcome(connection.user), false, false);
    } else if (message.type === 'watch') watch(connection, message.users ?? []);
  },
  close: (connection: Connection) => {
    connection.isOpen = false;
  },
});
app.get('/heartbeats', (response) => response.end(String(heartbeats)));
app.get('/readyz', (response) => response.end('ready'));
app.any('/*', (response) => response.writeStatus('404').end());
app.listen('127.0.0.1', 0, (socket) => say(uws.us_socket_local_port(socket)));
if (mode === 'ticks') setInterval(flush, TICK_MS);

function beat(connection: Connection, message: ClientMessage): void {
  heartbeats += 1;
  connection.beatAt = Date.now();
  if (message.text === undefined) return;
  const user = users.change(connection.user, message);
  if (mode === 'ticks') changed.add(user);
  else app.publish(connection.user, presence(user.entry), false, false);
}

function watch(connection: Connection, ids: readonly string[]): void {
  if (mode === 'ticks') for (const id of ids) (users.of(id).watchers ??= []).push(connection);
  else for (const id of ids) connection.subscribe(id);
  connection.send(users.snapshot(ids), false, false);
}

function flush(): void {
  if (changed.size === 0) return;
  const touched: Connection[] = [];
  for (const { watchers, entry } of changed) {
    for (const watcher of watchers ?? []) {
      if (watcher.pending === '') touched.push(watcher);
      watcher.pending += watcher.pending === '' ? entry : `,${entry}`;
    }
  }
  changed = new Set();
  for (const watcher of touched) {
    if (watcher.isOpen) watcher.send(presence(watcher.pending), false, false);
    watcher.pending = '';
  }
}

/** The package for this very Node.js, or the one under the official name, as the hub takes it. */
function load(): Uws {
  const require = createRequire(import.meta.url);
  try {
    return require('uWebSockets.js') as Uws;
  } catch {
    const [major = ''] = process.versions.node.split('.');
    return require(`@uwsjs/${process.platform}-${process.arch}-${major}`) as Uws;
  }
}

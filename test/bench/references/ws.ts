/** Reference: bare `ws` under the contract's messages. An index of sets, and each change is sent at once. */
import { WebSocketServer, type WebSocket } from 'ws';
import { httpServer, listen, presence, Users, welcome, type ClientMessage } from './shared.ts';

const MAX_MESSAGE_BYTES = 16 * 1024;
const users = new Users<Set<WebSocket>>();
let heartbeats = 0;

interface Session {
  user: string;
  beatAt: number;
}

const server = httpServer(() => heartbeats);
const sockets = new WebSocketServer({
  server,
  path: '/ws',
  perMessageDeflate: false,
  clientTracking: false,
  maxPayload: MAX_MESSAGE_BYTES,
});
sockets.on('connection', (socket) => {
  const session: Session = { user: '', beatAt: 0 };
  socket.on('error', () => undefined);
  socket.on('message', (bytes: Buffer) => receive(socket, session, JSON.parse(bytes.toString()) as ClientMessage));
});
listen(server);

function receive(socket: WebSocket, session: Session, message: ClientMessage): void {
  if (message.type === 'heartbeat') beat(session, message);
  else if (message.type === 'hello') {
    session.user = message.user ?? '';
    socket.send(welcome(session.user));
  } else if (message.type === 'watch') {
    const ids = message.users ?? [];
    for (const id of ids) (users.of(id).watchers ??= new Set()).add(socket);
    socket.send(users.snapshot(ids));
  }
}

function beat(session: Session, message: ClientMessage): void {
  heartbeats += 1;
  session.beatAt = Date.now();
  if (message.text === undefined) return;
  const { watchers, entry } = users.change(session.user, message);
  const frame = presence(entry);
  for (const watcher of watchers ?? []) watcher.send(frame);
}

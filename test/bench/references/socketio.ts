/**
 * Reference: Socket.IO 4. The contract's message types as events, a room for each watched user; WebSocket alone and no
 * compression, which is its cheapest form. It encodes objects itself, so entries are kept as objects here.
 */
import { Server } from 'socket.io';
import { entryOf, httpServer, listen, welcomeFields, type ClientMessage, type Entry } from './shared.ts';

const PING_EVERY_MS = 300_000;
const PING_TIMEOUT_MS = 200_000;
const entries = new Map<string, Entry>();
let heartbeats = 0;

const server = httpServer(() => heartbeats);
const io = new Server(server, {
  transports: ['websocket'],
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
  pingInterval: PING_EVERY_MS,
  pingTimeout: PING_TIMEOUT_MS,
});
io.on('connection', (socket) => {
  const session = { user: '', beatAt: 0 };
  socket.on('hello', ({ user = '' }: ClientMessage) => {
    session.user = user;
    socket.emit('welcome', welcomeFields(user, socket.id));
  });
  socket.on('heartbeat', ({ status, text }: ClientMessage) => {
    heartbeats += 1;
    session.beatAt = Date.now();
    if (text === undefined) return;
    const entry = entryOf(session.user, status, text);
    entries.set(session.user, entry);
    io.to(session.user).emit('presence', { entries: [entry] });
  });
  socket.on('watch', ({ users = [] }: ClientMessage) => {
    void socket.join([...users]);
    socket.emit('snapshot', { users, at: Date.now(), entries: users.map(current) });
  });
});
listen(server);

function current(user: string): Entry {
  let entry = entries.get(user);
  if (entry === undefined) entries.set(user, (entry = entryOf(user)));
  return entry;
}

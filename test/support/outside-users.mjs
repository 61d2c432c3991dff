/**
 * Users of every adapter and one who watches them, in a separate thread, so that they continue while the test's thread,
 * with the hub in it, is busy. Plain JavaScript, since Node loads a worker without the test runner's transforms.
 */
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { WebSocket } from 'ws';

const { users, beatEveryMs, ttlMs } = workerData;
const everyone = Object.values(users).flat();
/**
 * What the watcher was last sent about each user, and every user that was reported offline once that had been online.
 */
const status = new Map();
const wentOffline = [];
const lost = [];

const target = createServer((_, response) => response.end('{"status":"online"}'));
target.listen(0, '127.0.0.1', () => parentPort.postMessage({ targetPort: target.address().port }));

parentPort.on('message', (message) => {
  if (message.hub !== undefined) begin(message.hub);
  if (message.ask === 'ledger') parentPort.postMessage({ wentOffline, lost });
});

function begin({ http, ws, tcpPort }) {
  for (const user of users.tcp) {
    const socket = connect(tcpPort, '127.0.0.1').on('close', () => lost.push(user));
    socket.on('error', () => undefined);
    beat(() => socket.write(`<protocol><user_id>${user}</user_id></protocol>`));
  }
  for (const user of users.ws) {
    open(ws, { type: 'hello', user }, user, (socket) => beat(() => socket.send('{"type":"heartbeat"}')));
  }
  const { hostname, port } = new URL(http);
  for (const user of users.http) {
    beat(() => {
      // A connection for each beat, as a script has it: the hub must accept it before it can read it.
      request({ hostname, port, path: '/v1/heartbeat', method: 'POST', agent: false })
        .on('error', () => undefined)
        .on('response', (response) => response.resume())
        .end(JSON.stringify({ user, ttlMs }));
    });
  }
  open(ws, { type: 'hello', observe: true }, 'the watcher', (socket) => {
    beat(() => socket.send('{"type":"heartbeat"}'));
    for (let i = 0; i < everyone.length; i += 1000)
      socket.send(JSON.stringify({ type: 'watch', users: everyone.slice(i, i + 1000) }));
    socket.on('message', (data) => note(JSON.parse(data.toString())));
  });
}

/** Spread, as users are. */
function beat(once) {
  setTimeout(() => {
    once();
    setInterval(once, beatEveryMs);
  }, Math.random() * beatEveryMs);
}

function open(url, hello, name, onWelcome) {
  const socket = new WebSocket(url);
  socket.on('error', () => undefined);
  socket.on('close', () => lost.push(name));
  socket.on('open', () => socket.send(JSON.stringify(hello)));
  socket.once('message', () => onWelcome(socket));
}

function note({ entries = [] }) {
  for (const { user, status: is } of entries) {
    if (is === 'offline' && status.get(user) === 'online') wentOffline.push(user);
    status.set(user, is);
  }
  if (everyone.every((user) => status.get(user) === 'online')) parentPort.postMessage({ areHere: true });
}

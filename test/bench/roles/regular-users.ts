/**
 * The good users, which nothing may affect. They send heartbeats on time over TCP, WebSocket and HTTP, and report how
 * late they themselves were at most. Run in a separate process.
 */
import { ask } from '../lib/hub-http.ts';
import { tokenField, tokenOf } from '../lib/credentials.ts';
import { inParallel, paceEvenly, type Pace } from '../lib/pacing.ts';
import { serveRole } from '../lib/roles.ts';
import { TcpClient, xmlFrame } from '../lib/tcp-client.ts';
import { textFrame } from '../lib/ws-frames.ts';
import { WsClient } from '../lib/ws-client.ts';

export interface RegularUsersTask {
  readonly port: number;
  readonly tcpPort: number;
  readonly tcp: readonly string[];
  readonly ws: readonly string[];
  readonly http: readonly string[];
}

export interface RegularUsersFigures {
  /** Connections that ended, and HTTP heartbeats that were not answered with 200. */
  readonly lost: number;
  readonly unanswered: number;
  readonly worstLateMs: number;
}

const ONLINE = 1;
const OPEN_AT_ONCE = 64;
const TCP_BEAT_MS = 1800;
const WS_BEAT_MS = 10_000;
const HTTP_BEAT_MS = 5000;
const wsBeat = textFrame({ type: 'heartbeat' });
const paces: Pace[] = [];
let lost = 0;
let unanswered = 0;

const commands = {
  open: async (task: RegularUsersTask): Promise<void> => {
    openTcp(task);
    await openWs(task);
    openHttp(task);
  },
  figures: (): RegularUsersFigures => ({
    lost,
    unanswered,
    worstLateMs: Math.max(0, ...paces.map((pace) => pace.worstLateMs)),
  }),
};

export type RegularUsersCommands = typeof commands;

function openTcp({ tcpPort, tcp }: RegularUsersTask): void {
  const clients = tcp.map((user) => {
    const frame = xmlFrame(user);
    const firstFrame = xmlFrame(user, ONLINE, tokenOf(user));
    return { frame, client: new TcpClient({ port: tcpPort, firstFrame, onEnd: () => (lost += 1) }) };
  });
  const beat = (index: number): void => {
    const one = clients[index];
    one?.client.send(one.frame);
  };
  paces.push(paceEvenly(() => clients.length, TCP_BEAT_MS, beat));
}

async function openWs({ port, ws }: RegularUsersTask): Promise<void> {
  const clients: WsClient[] = [];
  paces.push(
    paceEvenly(
      () => clients.length,
      WS_BEAT_MS,
      (index) => clients[index]?.send(wsBeat),
    ),
  );
  await inParallel(ws, OPEN_AT_ONCE, (user) => {
    return new Promise<void>((resolve) => {
      const firstFrames = [textFrame({ type: 'hello', user, ...tokenField(user) })];
      clients.push(new WsClient({ port, firstFrames, onText: () => resolve(), onEnd: () => (lost += 1) }));
    });
  });
}

function openHttp({ port, http }: RegularUsersTask): void {
  const beat = (user: string): void => {
    ask(port, 'POST', '/v1/heartbeat', { user }).then(
      ({ status }) => {
        if (status !== 200) unanswered += 1;
      },
      () => (unanswered += 1),
    );
  };
  for (const user of http) beat(user);
  paces.push(
    paceEvenly(
      () => http.length,
      HTTP_BEAT_MS,
      (index) => beat(http[index] ?? ''),
    ),
  );
}

serveRole(commands);

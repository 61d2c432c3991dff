/**
 * One user of the churn, over TCP, WebSocket or HTTP: connects, sends heartbeats, changes, reloads, and leaves by a
 * goodbye, a cut or silence. Does not know what is expected of the hub.
 */
import { ask } from './hub-http.ts';
import { TcpClient, xmlFrame } from './tcp-client.ts';
import { textFrame } from './ws-frames.ts';
import { WsClient, type End } from './ws-client.ts';

export interface Doors {
  readonly port: number;
  readonly tcpPort: number;
  /** A connection ended, or a request failed, unintentionally. */
  readonly onLost: (user: string) => void;
}

export interface Churner {
  readonly user: string;
  /** How long the hub may take to notice that it fell silent. */
  readonly leaseMs: number;
  connect(): void;
  beat(): void;
  change(no: number): void;
  /** Drops the connection; a `connect` may follow. */
  drop(how: End): void;
  leave(): void;
  /** Neither beats nor answers; the connection stays. */
  fallSilent(): void;
  /** Of a connection that fell silent, the rest. */
  letGo(): void;
  /** Only a WebSocket watches. */
  send?(message: unknown): void;
}

const WS_TIMEOUT_MS = 25_000;
const TCP_TIMEOUT_MS = 5400;
const HTTP_TTL_MS = 10_000;
const wsStatuses = ['online', 'away', 'busy'] as const;
const beatFrame = textFrame({ type: 'heartbeat' });
const byeFrame = textFrame({ type: 'bye' });

export function wsChurner({ port, onLost }: Doors, user: string): Churner {
  let client: WsClient | undefined;
  let isSilent = false;
  const send = (message: unknown): void => client?.send(textFrame(message));
  return {
    user,
    leaseMs: WS_TIMEOUT_MS,
    connect: () => {
      isSilent = false;
      client = new WsClient({
        port,
        firstFrames: [textFrame({ type: 'hello', user })],
        onText: () => undefined,
        onEnd: () => {
          if (!isSilent) onLost(user);
        },
      });
    },
    beat: () => client?.send(beatFrame),
    change: (no) => send({ type: 'heartbeat', status: wsStatuses[no % 3], text: `change ${no}` }),
    drop: (how) => {
      client?.end(how);
      client = undefined;
    },
    leave: () => {
      client?.send(byeFrame);
      client?.end('fin');
      client = undefined;
    },
    fallSilent: () => {
      isSilent = true;
      client?.pause();
    },
    letGo: () => {
      client?.end('reset');
      client = undefined;
    },
    send,
  };
}

export function tcpChurner({ tcpPort, onLost }: Doors, user: string): Churner {
  let client: TcpClient | undefined;
  let frame = xmlFrame(user);
  let isSilent = false;
  const drop = (how: End): void => {
    client?.end(how === 'reset' ? 'reset' : 'fin');
    client = undefined;
  };
  return {
    user,
    leaseMs: TCP_TIMEOUT_MS,
    connect: () => {
      isSilent = false;
      client = new TcpClient({ port: tcpPort, firstFrame: frame, onEnd: () => onLost(user) });
    },
    beat: () => {
      if (!isSilent) client?.send(frame);
    },
    change: (no) => {
      frame = xmlFrame(user, 1 + (no % 3));
      client?.send(frame);
    },
    drop,
    leave: () => {
      client?.send(xmlFrame(user, -1));
      drop('fin');
    },
    fallSilent: () => (isSilent = true),
    letGo: () => drop('reset'),
  };
}

export function httpChurner({ port, onLost }: Doors, user: string): Churner {
  let isHere = false;
  // One after another: a beat that overtakes its user's goodbye would bring it back.
  let last = Promise.resolve();
  const beat = (body: Readonly<Record<string, unknown>> = {}): void => {
    if (!isHere) return;
    last = last.then(async () => {
      const reply = await ask(port, 'POST', '/v1/heartbeat', { user, ttlMs: HTTP_TTL_MS, ...body }).catch(
        () => undefined,
      );
      if (reply?.status !== 200) onLost(user);
    });
  };
  const silence = (): void => {
    isHere = false;
  };
  return {
    user,
    leaseMs: HTTP_TTL_MS,
    connect: () => {
      isHere = true;
      beat();
    },
    beat: () => beat(),
    change: (no) => beat({ status: wsStatuses[no % 3], text: `change ${no}` }),
    // There is no connection to drop: a client that is cut comes back with its next beat.
    drop: silence,
    leave: () => {
      beat({ status: 'offline' });
      silence();
    },
    fallSilent: silence,
    letGo: silence,
  };
}

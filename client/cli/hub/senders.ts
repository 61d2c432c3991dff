/**
 * The three ways to send one user's heartbeats, behind one small port: WebSocket, TCP + XML, HTTP. Each starts at once,
 * reconnects after a loss, and ends with its own kind of goodbye.
 */
import type { SessionStatus } from '../../../shared/status.ts';
import type { HubAccess } from './access.ts';
import { HttpSender } from './http-sender.ts';
import { createHubClient, leaveHub } from './hub-client.ts';
import { TcpClient } from './tcp-client.ts';

export interface SenderEvents {
  readonly onSent: (text: string) => void;
  readonly onGot: (text: string) => void;
  /** A heartbeat was sent, and answered if the adapter answers. */
  readonly onHeartbeat: () => void;
  readonly onLost: (reason: string) => void;
  readonly onFailed: (problem: string) => void;
}

export interface Sender {
  /** Ends with a clean goodbye. */
  leave(): Promise<void>;
  /** Ends without a goodbye. */
  end(): Promise<void>;
}

/** Whose heartbeats are sent, and what they say. */
export interface Heartbeats {
  readonly access: HubAccess;
  readonly user: string;
  readonly device?: string;
  readonly status?: SessionStatus;
  readonly text?: string;
}

export function sendOverWebSocket(
  { device = 'web', ...options }: Heartbeats & { readonly everyMs?: number },
  { onHeartbeat, ...events }: SenderEvents,
): Sender {
  const client = createHubClient({ device, ...options, ...events });
  client.on('status', ({ status }) => {
    if (status === 'connected') onHeartbeat();
  });
  client.connect();
  return {
    leave: () => leaveHub(client),
    end: async () => client.close(),
  };
}

interface TcpHeartbeats extends Pick<Heartbeats, 'access' | 'user' | 'device'> {
  readonly code: number;
  readonly everyMs: number;
}

export function sendOverTcp({ code, ...options }: TcpHeartbeats, { onHeartbeat, ...events }: SenderEvents): Sender {
  const client = new TcpClient({
    ...options,
    ...events,
    state: () => code,
    onSent: (frame) => {
      events.onSent(frame);
      onHeartbeat();
    },
  });
  client.connect();
  return client;
}

export function sendOverHttp(
  options: Heartbeats & { readonly everyMs: number; readonly ttlMs?: number },
  events: SenderEvents,
): Sender {
  const sender = new HttpSender({ ...options, ...events });
  sender.start();
  return sender;
}

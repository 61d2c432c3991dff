/**
 * The three adapters through which one user's heartbeats can be sent, behind one small port: WebSocket, TCP + XML,
 * HTTP. Each starts at once, reconnects after a loss, and ends with its own kind of goodbye.
 */
import type { SessionStatus } from '../../../shared/status.ts';
import type { HubAccess } from './access.ts';
import { HttpBeats } from './http-beats.ts';
import { HubClient } from './hub-client.ts';
import { TcpClient } from './tcp-client.ts';

export interface DoorEvents {
  readonly onSent: (text: string) => void;
  readonly onGot: (text: string) => void;
  /** A heartbeat was sent, and answered if the adapter answers. */
  readonly onBeat: () => void;
  readonly onLost: (reason: string) => void;
  readonly onFailed: (problem: string) => void;
}

export interface Door {
  /** Ends with a clean goodbye. */
  leave(): Promise<void>;
  /** Ends without a goodbye. */
  end(): Promise<void>;
}

export interface BeatOptions {
  readonly access: HubAccess;
  readonly user: string;
  readonly device?: string;
  readonly status?: SessionStatus;
  readonly text?: string;
}

export function openWsDoor({ access, everyMs, ...says }: BeatOptions & { everyMs?: number }, events: DoorEvents): Door {
  const client = new HubClient({
    access,
    hello: () => ({ type: 'hello', ...says }),
    ...(everyMs === undefined ? {} : { everyMs }),
    onSent: events.onSent,
    onMessage: (message) => {
      events.onGot(JSON.stringify(message));
      if (message.type === 'welcome') events.onBeat();
    },
    onLost: events.onLost,
    onFailed: events.onFailed,
  });
  client.connect();
  return client;
}

interface TcpBeatOptions {
  readonly access: HubAccess;
  readonly user: string;
  readonly device?: string;
  readonly code: number;
  readonly everyMs: number;
}

export function openTcpDoor({ code, ...rest }: TcpBeatOptions, events: DoorEvents): Door {
  const client = new TcpClient({
    ...rest,
    state: () => code,
    onSent: (frame) => {
      events.onSent(frame);
      events.onBeat();
    },
    onGot: events.onGot,
    onLost: events.onLost,
    onFailed: events.onFailed,
  });
  client.connect();
  return client;
}

export function openHttpDoor(options: BeatOptions & { everyMs: number; ttlMs?: number }, events: DoorEvents): Door {
  const beats = new HttpBeats({ ...options, ...events });
  beats.start();
  return beats;
}

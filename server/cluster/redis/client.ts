/**
 * One connection to a Redis server. It never reconnects: once it is lost it is replaced (supervisor.ts), because the
 * library's own reconnection has been seen to hang, or to come back without its subscriptions.
 */
import { createClient } from '@redis/client';

export interface RedisClient {
  sendCommand(args: readonly string[]): Promise<unknown>;
  subscribe(channel: string, onMessage: (text: string, channel: string) => void): Promise<void>;
  unsubscribe(channel: string): Promise<void>;
  /** Closes without waiting for anything. */
  destroy(): void;
}

/** Rejects after the time, and abandons what was waited for. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer')), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export interface ClientEvents {
  /** Called once, unless the client was destroyed. */
  readonly onLost: () => void;
  /** The server has ended a subscription, because another one has the slot now. */
  readonly onMoved: (channel: string) => void;
}

/** Connects and authenticates. */
export async function openClient(
  url: string,
  { onLost, onMoved }: ClientEvents,
  withinMs: number,
): Promise<RedisClient> {
  const client = createClient({
    url,
    socket: { reconnectStrategy: false, connectTimeout: withinMs },
    disableOfflineQueue: true,
    maintNotifications: 'disabled',
  });
  let isOver = false;
  const end = (): void => {
    if (isOver) return;
    isOver = true;
    if (client.isOpen) client.destroy();
  };
  const lose = (): void => {
    if (isOver) return;
    end();
    onLost();
  };
  // If the server does not speak the protocol, there is an error, but `connect` waits on.
  let hasConnected = false;
  const failed = new Promise<never>((_, reject) => {
    client.on('error', (error: Error) => (hasConnected ? lose() : reject(error)));
  });
  client.on('end', () => hasConnected && lose());
  client.on('sharded-channel-moved', (channel: string) => onMoved(channel));
  try {
    await within(withinMs, Promise.race([client.connect(), failed]));
    hasConnected = true;
  } catch (error) {
    end();
    throw error;
  }
  return {
    sendCommand: (args) => client.sendCommand(args),
    subscribe: (channel, onMessage) => client.sSubscribe(channel, onMessage),
    unsubscribe: (channel) => client.sUnsubscribe(channel),
    destroy: end,
  };
}

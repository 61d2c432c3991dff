/**
 * One connection to a Redis server. It never reconnects. The supervisor replaces a lost one, because the library's own
 * reconnection sometimes hangs, or returns without its subscriptions.
 */
import { createClient } from '@redis/client';

export interface RedisClient {
  sendCommand(args: readonly string[]): Promise<unknown>;
  subscribe(channel: string, onMessage: (text: string, channel: string) => void): Promise<void>;
  unsubscribe(channel: string): Promise<void>;
  /** Closes at once, without waiting for answers. */
  destroy(): void;
}

/** Rejects if the promise takes longer than this. Its later result is ignored. */
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
  /** The server ended a subscription, because another server has the slot now. */
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
  // If the server does not speak the protocol, the client emits an error, but `connect` stays pending.
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

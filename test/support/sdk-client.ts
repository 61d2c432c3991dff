/** Clients of the SDK for tests: closed at the end of each test, with events to wait for instead of sleeps. */
import WebSocket from 'ws';
import {
  createPresenceClient,
  type ConnectionStatus,
  type PresenceClient,
  type PresenceClientOptions,
  type PresenceView,
} from '../../client/sdk/index.ts';

const open = new Set<PresenceClient>();

export function sdkClient(options: PresenceClientOptions): PresenceClient {
  const client = createPresenceClient({ WebSocket, ...options });
  open.add(client);
  return client;
}

/** For `afterEach`. */
export function closeSdkClients(): void {
  for (const client of open) client.close();
  open.clear();
}

/** Resolves when it holds; looked at now, and with every event of the view. */
export function untilView(view: PresenceView, holds: (view: PresenceView) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const ending = new AbortController();
    const look = (): void => {
      if (!holds(view)) return;
      ending.abort();
      resolve();
    };
    for (const type of ['sync', 'change', 'status', 'error'] as const) view.on(type, look, ending);
    look();
  });
}

export function untilStatus(client: PresenceClient, status: ConnectionStatus): Promise<void> {
  return new Promise((resolve) => {
    if (client.status === status) {
      resolve();
      return;
    }
    const off = client.on('status', (event) => {
      if (event.status !== status) return;
      off();
      resolve();
    });
  });
}

/**
 * Makes a browser ask whether the page may reach the local network, if the hub is there: it asks nobody for a worker, whose
 * connection would be refused forever.
 */
import type { PresenceClient } from './types.ts';

/** As browsers have called it, one after the other. One that knows none has no such permission. */
const NAMES = ['loopback-network', 'local-network', 'local-network-access'];

/** To be called when a connection has failed. */
export async function askForLocalNetwork(client: PresenceClient, url: string): Promise<void> {
  const asked = await Promise.all(
    NAMES.map((name) => navigator.permissions.query({ name: name as PermissionName }).catch(() => null)),
  );
  const open = asked.filter((permission) => permission?.state === 'prompt');
  if (open.length === 0) return;
  for (const permission of open) permission?.addEventListener('change', () => client.check());
  const socket = new WebSocket(url);
  socket.onopen = () => socket.close();
}

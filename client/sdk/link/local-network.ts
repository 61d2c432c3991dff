/**
 * Makes a browser ask for permission to reach the local network, if the hub is there. Browsers do not ask for a worker,
 * whose connection would always be refused.
 */
import type { PresenceClient } from '../types.ts';

/** The names of the permission, which changed over time. A browser that knows none of them has no such permission. */
const NAMES = ['loopback-network', 'local-network', 'local-network-access'];

/** Asks for the permission. Must be called only after a connection has failed. */
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

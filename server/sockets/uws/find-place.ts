/** The address and port on which uWebSockets.js is to listen. */
import { lookup } from 'node:dns/promises';
import { createServer } from 'node:net';
import { takePort } from '../../lib/net/take-port.ts';
import type { Sharing } from '../port.ts';

/**
 * Node's `net` takes the port first and releases it, because it reports why a
 * port is not available, resolves names, and turns 0 into a number. uWebSockets.js then takes that number. For 0 it omits
 * SO_REUSEADDR, and the port would stay blocked after the hub ends. Once a worker has the port, only the name is resolved.
 */
export async function findPlace(
  host: string,
  port: number,
  sharing: Sharing | undefined,
): Promise<{ readonly address: string; readonly port: number }> {
  if (sharing !== undefined && sharing.takenPort !== null) {
    return { address: (await lookup(host)).address, port: sharing.takenPort };
  }
  const probe = createServer();
  const taken = await takePort(probe, { host, port });
  await new Promise((resolve) => probe.close(resolve));
  return taken;
}

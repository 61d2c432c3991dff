/**
 * Takes a port for a Node.js server. On failure passes the system's own error with its
 * code; listen-error turns it into a sentence. The uws engine also uses it to learn the reason of a failure, because
 * the `listen` of uWebSockets.js gives none.
 */
import type { AddressInfo, Server } from 'node:net';

interface PortOrder {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Connections that the system queues until they are accepted; Node's default of 511 if omitted. */
  readonly backlog?: number;
  /** Whether the workers of one parent share the port. No other process can. */
  readonly isShared?: boolean;
}

/** Returns the address and port of the server as numbers. @throws the system's error if it cannot listen there. */
export function takePort(server: Server, { isShared = false, ...order }: PortOrder): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...order, exclusive: !isShared }, () => {
      server.off('error', reject);
      resolve(server.address() as AddressInfo);
    });
  });
}

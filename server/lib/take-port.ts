/**
 * Takes a port for a server of Node's, alone. Words nothing: what fails is the system's own error, with its code, and
 * listen-error tells it to the operator. Called by tcp-xml, and by both engines: ws-engine for the port itself,
 * uws-engine to learn what uWebSockets.js won't say, since its `listen` gives no reason.
 */
import type { AddressInfo, Server } from 'node:net';

interface PortOrder {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Connections that the system keeps until they are accepted; Node's 511 where it is left out. */
  readonly backlog?: number;
}

/** The address and port that the server now has, by number. @throws the system's error where they can't be had. */
export function takePort(server: Server, order: PortOrder): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...order, exclusive: true }, () => {
      server.off('error', reject);
      resolve(server.address() as AddressInfo);
    });
  });
}

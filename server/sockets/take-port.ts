/**
 * Takes a port the way Node does, or says in a sentence why it can't be had. Must not leave anything open that it
 * doesn't hand over. Called by both engines: ws-engine for the port itself, uws-engine to learn what uWebSockets.js
 * won't say, since its `listen` gives no reason.
 */
import type { AddressInfo, Server } from 'node:net';
import { StartError } from '../lib/start-error.ts';
import { PortTakenError } from './port.ts';

/** The address and port that the server now has, by number. */
export function takePort(server: Server, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => {
      reject(asStartError(error, host, port));
    };
    server.once('error', failed);
    server.listen({ host, port, exclusive: true }, () => {
      server.removeListener('error', failed);
      resolve(server.address() as AddressInfo);
    });
  });
}

export function portTaken(host: string, port: number): PortTakenError {
  return new PortTakenError(
    `Port ${String(port)} on ${host} is held by another process: stop it, or set HUB_PORT to another port.`,
  );
}

function asStartError(error: NodeJS.ErrnoException, host: string, port: number): StartError {
  switch (error.code) {
    case 'EADDRINUSE':
      return portTaken(host, port);
    case 'EADDRNOTAVAIL':
      return new StartError(
        `Can't listen on ${host}: it is not an address of this machine; set HUB_HOST to one that is.`,
      );
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new StartError(`Can't listen on ${host}: there is no address of that name; set HUB_HOST to one.`);
    case 'EACCES':
      return new StartError(
        `Can't listen on port ${String(port)} of ${host}: this user may not take it; set HUB_PORT to one above 1023.`,
      );
    default:
      return new StartError(`Can't listen on ${host}:${String(port)}: ${error.message}.`);
  }
}

/** What stands before several hubs and sends each connection, or each HTTP request, to the next one. */
import { once } from 'node:events';
import { createServer as createHttpServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';

export interface Spread {
  readonly port: number;
  close(): void;
}

/** Passes bytes on: for TCP, and for WebSocket. */
export async function spreadConnections(ports: readonly number[]): Promise<Spread> {
  const next = inTurn(ports);
  return listening(
    createServer((client) => {
      const hub = connect(next(), '127.0.0.1');
      for (const [one, other] of [
        [client, hub],
        [hub, client],
      ] as const) {
        one.pipe(other);
        one.on('close', () => other.destroy()).on('error', () => undefined);
      }
    }),
  );
}

/** Passes requests on, also those of one connection to different hubs. */
export async function spreadRequests(ports: readonly number[]): Promise<Spread> {
  const next = inTurn(ports);
  const pass = async (asked: IncomingMessage, answer: ServerResponse): Promise<void> => {
    // Read as a whole: a hub may answer early, and the client's next request comes after the rest.
    const body = Buffer.concat((await asked.toArray()) as Buffer[]);
    const { method, url: path, headers } = asked;
    const passed = request({ host: '127.0.0.1', port: next(), method, path, headers, agent: false }, (received) => {
      answer.writeHead(received.statusCode ?? 0, received.headers);
      received.pipe(answer);
    });
    passed.on('error', () => (answer.headersSent ? undefined : answer.destroy()));
    passed.end(body);
  };
  return listening(createHttpServer((asked, answer) => void pass(asked, answer).catch(() => answer.destroy())));
}

function inTurn(ports: readonly number[]): () => number {
  let count = 0;
  return () => ports[count++ % ports.length] as number;
}

async function listening(server: Server): Promise<Spread> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

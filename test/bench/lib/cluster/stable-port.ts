/** Ports that a server can take again after it was killed: below those that the system gives to outgoing connections. */
import { createServer } from 'node:net';

const PORTS = { from: 20_000, count: 12_000 } as const;
let next = Math.floor(Math.random() * PORTS.count);

export async function stablePort(): Promise<number> {
  for (;;) {
    const port = PORTS.from + (next++ % PORTS.count);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

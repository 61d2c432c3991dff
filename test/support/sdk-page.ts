/**
 * A page of a user's own that has the SDK in it: bundled by Vite as an app would be, served under a strict policy from an
 * origin of its own, with the hub elsewhere.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const APP = '<!doctype html><title>app</title><script type="module" src="/main.js"></script>';
const FRAME = '<!doctype html><title>frame</title><input aria-label="Message">';

export interface SdkPage {
  readonly origin: string;
  /** A page of another site, with a field to type into: for a frame. */
  readonly frame: string;
  close(): void;
}

export async function serveSdkPage(): Promise<SdkPage> {
  const files = new Map([...(await bundle()), ['', APP], ['frame', FRAME]]);
  const server: Server = createServer((request, response) => {
    const name = (request.url ?? '/').slice(1);
    const file = files.get(name);
    response.writeHead(file === undefined ? 404 : 200, {
      'content-type': name.endsWith('.js') ? 'text/javascript' : 'text/html',
      'content-security-policy':
        "default-src 'none'; script-src 'self'; connect-src ws://127.0.0.1:*; frame-src http://localhost:*",
    });
    response.end(file);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    frame: `http://localhost:${port}/frame`,
    close: () => void server.close(),
  };
}

async function bundle(): Promise<ReadonlyMap<string, string>> {
  const made = await build({
    root: fileURLToPath(new URL('../browser/sdk-app', import.meta.url)),
    configFile: false,
    logLevel: 'warn',
    worker: { format: 'es' },
    build: {
      write: false,
      modulePreload: { polyfill: false },
      rolldownOptions: { input: 'main.ts', output: { entryFileNames: 'main.js' } },
    },
  });
  const { output } = (Array.isArray(made) ? made[0] : made) as {
    output: { fileName: string; code?: string; source?: string | Uint8Array }[];
  };
  return new Map(output.map(({ fileName, code, source }) => [fileName, code ?? String(source)]));
}

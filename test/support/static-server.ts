/** A web server of files, as any is: what a page of one's own origin is served by. */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';

const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };

export interface StaticServer {
  readonly origin: string;
  readonly stop: () => Promise<void>;
}

/** Each request is answered by the first folder that has the file. */
export async function serveFolders(folders: readonly string[]): Promise<StaticServer> {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? '/', 'http://any').pathname);
    const name = path.endsWith('/') ? `${path}index.html` : path;
    void firstOf(folders.map((folder) => join(folder, name))).then((body) => {
      const headers = { 'content-type': `${TYPES[extname(name)] ?? 'application/octet-stream'}; charset=utf-8` };
      response.writeHead(body === undefined ? 404 : 200, headers).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function firstOf(paths: readonly string[]): Promise<Buffer | undefined> {
  for (const path of paths) {
    const body = await readFile(path).catch(() => undefined);
    if (body !== undefined) return body;
  }
  return undefined;
}

/**
 * The pages' files, read once at the start and served from memory under a strict policy: no inline scripts, no foreign
 * resources. The names in a page's `assets/` contain a hash of the content, so a browser may keep those files forever.
 * It must revalidate any other file.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join, posix } from 'node:path';
import type { HttpReply } from '../../../sockets/port.ts';
import type { Route } from '../route.ts';

/**
 * The folder of each page below the folder of the built pages, and the path at which it is served. The documentation has
 * a file for each of its pages.
 */
const pages = [
  { room: 'page', path: '' },
  { room: 'dashboard', path: '/admin' },
  { room: 'docs', path: '/docs' },
] as const;

const contentTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
};

const headers = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
} as const;

/** Returns a route for each file of each page below `folder`; none if a page was not built. */
export function pageRoutes(folder: string): Route[] {
  return pages.flatMap(({ room, path }) =>
    filesOf(join(folder, room)).flatMap((name) => routesOf(join(folder, room, name), path, name)),
  );
}

function routesOf(file: string, path: string, name: string): Route[] {
  const contentType = contentTypes[extname(name)];
  if (contentType === undefined) return [];
  const isHashed = name.startsWith('assets/');
  const cacheControl = isHashed ? 'public, max-age=31536000, immutable' : 'no-cache';
  const reply = {
    status: 200,
    headers: { ...headers, 'cache-control': cacheControl, 'content-type': contentType },
    body: readFileSync(file),
  };
  const routeAt = (at: string, answer: HttpReply): Route => ({
    access: 'anyone',
    method: 'GET',
    path: at,
    answer: () => answer,
  });
  if (name !== 'index.html') return [routeAt(`${path}/${name.replace(/\.html$/, '')}`, reply)];
  if (path === '') return [routeAt('/', reply)];
  // With and without the slash, because users type both. The pages' addresses are relative, for proxies that serve the hub
  // below a path. The documentation has too many of them to rewrite; the dashboard's query must survive.
  const withSlash = path === '/docs' ? redirect('../docs') : { ...reply, body: rebased(reply.body, path) };
  return [routeAt(path, reply), routeAt(`${path}/`, withSlash)];
}

/** Makes the addresses below `path` relative to its folder. */
function rebased(body: Buffer, path: string): string {
  return body.toString('utf8').replaceAll(`".${path}/`, '"./');
}

function redirect(location: string): HttpReply {
  return { status: 308, headers: { location, 'cache-control': 'no-cache' }, body: '' };
}

/** Returns the names of the files below `folder`, with slashes. */
function filesOf(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((found) =>
    found.isDirectory() ? filesOf(join(folder, found.name)).map((name) => posix.join(found.name, name)) : [found.name],
  );
}

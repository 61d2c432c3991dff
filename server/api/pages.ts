/**
 * The pages' files, read once at the start and served from memory under a strict policy: no inline script, nothing from
 * elsewhere. Knows no page by name: what the build put into the folder is there, `index.html` at `/`.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { Route } from './route.ts';

const contentTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.ico': 'image/x-icon',
};

const headers = {
  'cache-control': 'no-cache',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
} as const;

/** A route for each file of `folder`; none where there is no folder. */
export function pageRoutes(folder: string): Route[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((name) => {
    const contentType = contentTypes[extname(name)];
    if (contentType === undefined) return [];
    const body = readFileSync(join(folder, name));
    const reply = { status: 200, headers: { ...headers, 'content-type': contentType }, body };
    const path = name === 'index.html' ? '/' : `/${name}`;
    return [{ access: 'anyone' as const, method: 'GET' as const, path, answer: () => reply }];
  });
}

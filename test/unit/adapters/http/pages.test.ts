/** The pages' files as routes: where each is, how long it may be kept, and what a page may do. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pageRoutes } from '../../../../server/adapters/http/routes/pages.ts';
import type { HttpReply } from '../../../../server/sockets/port.ts';

let folder: string;
const files = [
  'page/index.html',
  'page/assets/index-AbCd1234.js',
  'page/main.d.ts',
  'page/.tsbuildinfo',
  'dashboard/index.html',
  'dashboard/assets/index-AbCd1234.css',
  'docs/index.html',
  'docs/errors/forbidden.html',
  'docs/assets/search-AbCd1234.json',
  'sdk/index.js',
];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hub-pages-'));
  for (const name of files) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), `this is ${name}`);
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

const replies = (from: string): Map<string, HttpReply> =>
  new Map(
    pageRoutes(from).map((route) => {
      if (route.access !== 'anyone') throw new Error(`${route.path} asks who calls`);
      return [route.path, route.answer() as HttpReply];
    }),
  );

test('a page is at its path, with the slash and without, its assets below, and nothing else is served (H4)', () => {
  const bodies = [...replies(folder)].map(([path, { body }]) => `${path}: ${String(body)}`);
  expect(bodies.sort()).toEqual([
    '/: this is page/index.html',
    '/admin/: this is dashboard/index.html',
    '/admin/assets/index-AbCd1234.css: this is dashboard/assets/index-AbCd1234.css',
    '/admin: this is dashboard/index.html',
    '/assets/index-AbCd1234.js: this is page/assets/index-AbCd1234.js',
    '/docs/: ',
    '/docs/assets/search-AbCd1234.json: this is docs/assets/search-AbCd1234.json',
    '/docs/errors/forbidden: this is docs/errors/forbidden.html',
    '/docs: this is docs/index.html',
  ]);
});

test('files with a hash in the name are cached forever, and the others are requested again', () => {
  const kept = [...replies(folder)].map(([path, { headers }]) => [path, headers['cache-control']]);
  expect(Object.fromEntries(kept)).toEqual({
    '/': 'no-cache',
    '/admin': 'no-cache',
    '/admin/': 'no-cache',
    '/assets/index-AbCd1234.js': 'public, max-age=31536000, immutable',
    '/admin/assets/index-AbCd1234.css': 'public, max-age=31536000, immutable',
    '/docs': 'no-cache',
    '/docs/': 'no-cache',
    '/docs/errors/forbidden': 'no-cache',
    '/docs/assets/search-AbCd1234.json': 'public, max-age=31536000, immutable',
  });
});

test('no script or style but the hub’s own runs in any of them', () => {
  for (const { status, headers } of replies(folder).values()) {
    if (status === 308) continue;
    const policy = headers['content-security-policy'];
    expect(policy).toContain("default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self';");
    expect(policy).not.toContain('unsafe');
  }
});

test('the documentation has no slash at its end, because its addresses are relative', () => {
  expect(replies(folder).get('/docs/')).toMatchObject({ status: 308, headers: { location: '../docs' } });
});

test('there is no page if none was built', () => {
  expect(pageRoutes(join(folder, 'nowhere'))).toEqual([]);
});

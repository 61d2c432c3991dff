/** Which pages may talk to the hub, and which of them may read its answers. */
import { describe, expect, it } from 'vitest';
import { createPageRules, type PageRulesOptions } from '../../../../server/adapters/http/routes/own-pages.ts';
import type { HttpRequest } from '../../../../server/sockets/port.ts';

const LISTED = 'https://app.example.com';

const listedOnes: ReadonlySet<string> = new Set([LISTED]);

function rulesOf(options: Partial<PageRulesOptions> = {}) {
  return createPageRules({
    host: '127.0.0.1',
    machineName: 'Box.local.example',
    isLoopback: true,
    isOpen: true,
    listed: () => listedOnes,
    ...options,
  });
}

function requestOf(headers: Record<string, string>, method = 'GET'): HttpRequest {
  return { method, path: '/', query: '', headers: new Map(Object.entries(headers)), remoteAddress: '', body: '' };
}

describe('the name that an open hub on loopback is called by', () => {
  it('is judged by itself, regardless of earlier requests', () => {
    const rules = rulesOf();
    const names = ['127.0.0.1', 'evil.example', 'evil.example', 'localhost', undefined, 'evil.example', '127.0.0.1'];
    const judged = names.map((host) => rules.isKnownHost(requestOf(host === undefined ? {} : { host })));
    expect(judged).toEqual([true, false, false, true, true, false, true]);
  });

  it.each([
    ['127.0.0.1:8080'],
    ['127.0.0.1'],
    ['[::1]:8080'],
    ['192.0.2.1'],
    ['localhost'],
    ['LOCALHOST:8080'],
    ['hub.localhost:8080'],
    ['app.example.com'],
    ['App.Example.com:8080'],
  ])('may be %s (H23)', (host) => {
    expect(rulesOf().isKnownHost(requestOf({ host }))).toBe(true);
  });

  it('may be left out, as no browser does', () => {
    expect(rulesOf().isKnownHost(requestOf({}))).toBe(true);
  });

  it.each([
    ['evil.example'],
    ['evil.example:8080'],
    ['localhost.evil.example'],
    ['notlocalhost'],
    ['127.0.0.1.evil.example'],
    ['127.0.0.1:8080, evil.example'],
    ['evil.example@127.0.0.1'],
    ['x.app.example.com'],
    [''],
  ])('may not be "%s"', (host) => {
    expect(rulesOf().isKnownHost(requestOf({ host }))).toBe(false);
  });

  it('may be any name if a token is required', () => {
    expect(rulesOf({ isOpen: false }).isKnownHost(requestOf({ host: 'evil.example' }))).toBe(true);
  });
});

describe('the name that an open hub beyond loopback is called by', () => {
  const rules = rulesOf({ host: 'Hub.example', isLoopback: false });

  it.each([
    '192.0.2.1:8080',
    '[2001:db8::1]',
    'localhost',
    'hub.example',
    'app.example.com',
    'box.local.example',
    'box',
  ])('may be %s (H23)', (host) => {
    expect(rules.isKnownHost(requestOf({ host }))).toBe(true);
  });

  it.each(['evil.example', 'box.evil.example', 'local.example', 'hub.example.evil', ''])('may not be "%s"', (host) => {
    expect(rules.isKnownHost(requestOf({ host }))).toBe(false);
  });

  it('makes a page its own only if it is the hub’s name', () => {
    const isOwn = (host: string) => rules.isAllowed(requestOf({ origin: `http://${host}`, host }));
    expect(['hub.example', 'box', 'evil.example'].map(isOwn)).toEqual([true, true, false]);
  });
});

describe('a page', () => {
  it.each([
    ['none', {}, true],
    ['the hub’s own', { origin: 'http://127.0.0.1:8080', host: '127.0.0.1:8080' }, true],
    ['a listed one', { origin: LISTED, host: '127.0.0.1:8080' }, true],
    ['a foreign one', { origin: 'https://evil.example', host: '127.0.0.1:8080' }, false],
    ['one under a foreign name that leads here', { origin: 'http://evil.example', host: 'evil.example' }, false],
  ])('(%s) may change things or not', (_which, headers: Record<string, string>, may) => {
    expect(rulesOf().isAllowed(requestOf(headers))).toBe(may);
  });

  it('is the hub’s own under any name by which a hub that asks for tokens is reached from elsewhere', () => {
    const rules = rulesOf({ host: '0.0.0.0', isLoopback: false, isOpen: false });
    expect(rules.isAllowed(requestOf({ origin: 'https://hub.example', host: 'hub.example' }))).toBe(true);
    expect(rules.isAllowed(requestOf({ origin: 'https://evil.example', host: 'hub.example' }))).toBe(false);
  });

  it('reads answers only if it is listed, and every answer says that it depends on the origin', () => {
    const rules = rulesOf();
    expect(rules.corsHeaders(requestOf({ origin: LISTED }))).toEqual({
      vary: 'Origin',
      'access-control-allow-origin': LISTED,
      'access-control-expose-headers': 'retry-after',
    });
    for (const headers of [{}, { origin: 'https://evil.example' }, { origin: 'null' }] as Record<string, string>[]) {
      expect(rules.corsHeaders(requestOf(headers))).toEqual({ vary: 'Origin' });
    }
  });

  it('gets no such header if no page is listed', () => {
    const rules = rulesOf({ listed: () => new Set() });
    expect(rules.corsHeaders(requestOf({ origin: LISTED }))).toBeUndefined();
  });

  it('is asked about beforehand only if it is listed', () => {
    const asks = { origin: LISTED, 'access-control-request-method': 'PUT' };
    const rules = rulesOf();
    expect(rules.isPreflight(requestOf(asks, 'OPTIONS'))).toBe(true);
    expect(rules.isPreflight(requestOf(asks, 'PUT'))).toBe(false);
    expect(rules.isPreflight(requestOf({ origin: LISTED }, 'OPTIONS'))).toBe(false);
    expect(rules.isPreflight(requestOf({ ...asks, origin: 'https://evil.example' }, 'OPTIONS'))).toBe(false);
  });
});

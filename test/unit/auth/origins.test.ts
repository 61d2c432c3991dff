/** Which pages may talk to the hub. */
import { describe, expect, it } from 'vitest';
import { isAllowedOrigin, parseOrigins } from '../../../server/auth/origins.ts';

function originsOf(text: string): ReadonlySet<string> {
  const read = parseOrigins(text);
  if (!read.ok) throw new Error(read.problem);
  return read.value;
}

describe('HUB_ORIGINS', () => {
  it.each<[string, string[]]>([
    ['', []],
    ['  ', []],
    ['https://app.example.com', ['https://app.example.com']],
    ['HTTPS://App.Example.com:443 , http://x:80', ['https://app.example.com', 'http://x']],
    ['https://app.example.com/, capacitor://localhost/', ['https://app.example.com', 'capacitor://localhost']],
    ['http://[::1]:8080,capacitor://localhost', ['http://[::1]:8080', 'capacitor://localhost']],
  ])('%j names %j', (text, origins) => {
    expect([...originsOf(text)]).toEqual(origins);
  });

  it.each([
    ['*'],
    ['https://*.example.com'],
    ['null'],
    ['app.example.com'],
    ['https://app.example.com//'],
    ['https://app.example.com/page'],
    ['https://user@app.example.com'],
    ['https://'],
    ['https://a b'],
  ])('may not hold "%s"', (entry) => {
    const problem: unknown = expect.stringContaining(`HUB_ORIGINS holds "${entry}"`);
    expect(parseOrigins(`https://ok.example, ${entry}`)).toEqual({ ok: false, problem });
  });
});

describe('a request', () => {
  const rules = { listed: originsOf('https://app.example.com, capacitor://localhost'), hubHosts: new Set(['hub.lan']) };

  it.each<[string, string | undefined, string | undefined]>([
    ['without an origin', undefined, '127.0.0.1:8080'],
    ['of a listed page', 'https://app.example.com', 'hub.lan:8080'],
    ['of a listed page in capitals', 'HTTPS://APP.EXAMPLE.COM', 'hub.lan:8080'],
    ['of a listed app', 'capacitor://localhost', 'hub.lan:8080'],
    ['of a listed page to a host without a name', 'https://app.example.com', undefined],
    ['of its own page by IPv4', 'http://127.0.0.1:8080', '127.0.0.1:8080'],
    ['of its own page by IPv6', 'http://[::1]:8080', '[::1]:8080'],
    ['of its own page by localhost', 'http://localhost:8080', 'LOCALHOST:8080'],
    ['of its own page by a name below localhost', 'http://hub.localhost:8080', 'hub.localhost:8080'],
    ['of its own page by its name', 'http://hub.lan:8080', 'hub.lan:8080'],
    ['of its own page behind a proxy with TLS', 'https://hub.lan', 'hub.lan'],
    ['of its own page with the port written out', 'https://hub.lan', 'hub.lan:443'],
  ])('%s is let in', (_what, origin, host) => {
    expect(isAllowedOrigin(origin, host, rules)).toBe(true);
  });

  it.each<[string, string, string | undefined]>([
    ['of a foreign page', 'https://evil.example', '127.0.0.1:8080'],
    ['of a foreign name that resolves to the hub', 'http://evil.example:8080', 'evil.example:8080'],
    ['of a foreign name like localhost', 'http://localhost.evil.example:8080', 'localhost.evil.example:8080'],
    ['of a foreign name like an address', 'http://127.0.0.1.evil.example', '127.0.0.1.evil.example'],
    ['of a page on another port of this machine', 'http://127.0.0.1:3000', '127.0.0.1:8080'],
    ['of a page on the same machine by another name', 'http://localhost:8080', '127.0.0.1:8080'],
    ['of a page in a sandbox', 'null', '127.0.0.1:8080'],
    ['of a listed name without TLS', 'http://app.example.com', 'hub.lan'],
    ['of a listed name on another port', 'https://app.example.com:8443', 'hub.lan'],
    ['of a name below a listed one', 'https://x.app.example.com', 'hub.lan'],
    ['of a name that begins like a listed one', 'https://app.example.com.evil.example', 'hub.lan'],
    ['of two origins', 'https://app.example.com, https://evil.example', 'hub.lan'],
    ['of an origin that is empty', '', '127.0.0.1:8080'],
    ['of a file', 'file://', '127.0.0.1:8080'],
    ['without a host', 'http://127.0.0.1:8080', undefined],
    ['with a host that is empty', 'http://127.0.0.1:8080', ''],
    ['with a user in the host', 'http://127.0.0.1:8080', 'x@127.0.0.1:8080'],
    ['with a path in the host', 'http://127.0.0.1:8080', '127.0.0.1:8080/x'],
    ['of another app', 'capacitor://evil', 'evil'],
  ])('%s is refused', (_what, origin, host) => {
    expect(isAllowedOrigin(origin, host, rules)).toBe(false);
  });
});

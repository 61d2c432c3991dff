import { describe, expect, it } from 'vitest';
import { addressText, askedFor, fittingReason, HeaderCollector } from '../../../server/sockets/http-rules.ts';

function ask(headers: [string, string][], change: { method?: string; path?: string; query?: string } = {}) {
  const collector = new HeaderCollector();
  for (const [name, value] of headers) collector.add(name, value);
  const head = { method: 'GET', path: '/ws', query: '', remoteAddress: '::1', headers: collector.headers, ...change };
  return askedFor(head, collector.bytes);
}

const sound: [string, string][] = [
  ['connection', 'keep-alive, Upgrade'],
  ['upgrade', 'WebSocket'],
  ['sec-websocket-version', '13'],
  ['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ=='],
];

describe('askedFor', () => {
  it('knows a sound WebSocket handshake, whatever the case of its words', () => {
    expect(ask(sound)).toBe('websocket');
  });

  it('treats a handshake that lacks a part as HTTP if it asks for no WebSocket, and as malformed if it does', () => {
    expect(ask(sound.slice(1))).toBe('http');
    expect(ask(sound.slice(0, 1))).toBe('http');
    expect(ask(sound.slice(0, 2))).toBe(400);
    expect(ask(sound.slice(0, 3))).toBe(400);
    expect(ask(sound, { method: 'PUT' })).toBe(400);
  });

  it('turns down a doubled key, since it is joined and fits no more', () => {
    expect(ask([...sound, ['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ==']])).toBe(400);
  });

  it('counts the bytes of the request line and the headers as they stood on the wire', () => {
    const text = 'GET /p?q HTTP/1.1\r\nhost: hub\r\nx: \r\n\r\n';
    const fits: [string, string][] = [
      ['host', 'hub'],
      ['x', 'a'.repeat(16_384 - text.length)],
    ];
    expect(ask(fits, { path: '/p', query: 'q' })).toBe('http');
    expect(ask(fits, { path: '/p', query: 'qq' })).toBe(431);
  });

  it('turns down what no honest client sends', () => {
    expect(ask([['content-length', '3']])).toBe('http');
    expect(ask([['content-length', '+3']])).toBe(400);
    expect(
      ask([
        ['content-length', '3'],
        ['content-length', '3'],
      ]),
    ).toBe(400);
    expect(ask([['host', 'hub:8080']])).toBe('http');
    expect(
      ask([
        ['host', 'hub'],
        ['host', ''],
      ]),
    ).toBe(400);
    expect(ask([], { method: 'get' })).toBe(400);
    expect(ask([], { path: '*' })).toBe(400);
    expect(ask([], { path: 'http://elsewhere/' })).toBe(400);
  });
});

describe('addressText', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['0000:0000:0000:0000:0000:ffff:c000:0207', '192.0.2.7'],
    ['0000:0000:0000:0000:0000:0000:0000:0001', '::1'],
    ['2001:0db8:0000:0000:0001:0000:0000:0001', '2001:db8::1:0:0:1'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['', ''],
  ])('shows %s as %s', (address, text) => {
    expect(addressText(address)).toBe(text);
  });
});

describe('fittingReason', () => {
  it('leaves 123 bytes as they are', () => {
    expect(fittingReason('a'.repeat(123))).toBe('a'.repeat(123));
  });

  it('cuts more between two characters', () => {
    expect(fittingReason('a'.repeat(124))).toBe('a'.repeat(123));
    expect(fittingReason(`${'a'.repeat(121)}€`)).toBe('a'.repeat(121));
  });
});

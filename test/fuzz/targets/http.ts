/**
 * HTTP bytes: requests to every route with odd paths, queries, headers and bodies, shapes that have smuggled requests past
 * other servers, and real requests damaged. Several requests share a connection.
 */
import type { Random } from '../../bench/lib/random.ts';
import type { Corpus } from '../lib/corpus.ts';
import { edgeJson, edgeTexts, mutate, mutateJson, randomBytes, split } from '../lib/mutate.ts';
import type { Target } from './target.ts';

const methods = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'TRACE', 'CONNECT', 'get', 'G\u0000T', ''];
const routes = [
  ...['/v1/presence/{}', '/v1/presence?users={},{}', '/v1/presence', '/v1/heartbeat', '/v1/users/{}/friends'],
  ...[
    '/v1/users/{}/friends/{}',
    '/v1/users/{}/friends/{}?oneway=true',
    '/v1/users/{}/friends?oneway={}',
    '/v1/users/{}/blocks/{}',
  ],
  ...[
    '/v1/users/{}/friends/presence',
    '/v1/users/{}/sessions/{}',
    '/v1/users/{}/explain',
    '/healthz',
    '/readyz',
    '/metrics',
  ],
  ...[
    '/openapi.json',
    '/',
    '/admin',
    '/assets/index.js',
    '/ws',
    '/..',
    '//',
    '/v1/{}/{}/{}',
    '*',
    'http://a/v1/presence/{}',
    '/v1/presence/{}?{}',
  ],
];
/** Requests that are what their route asks for, but for what is then done to path and body. */
const fitting = [
  ['POST', '/v1/heartbeat', '{"user":"f1","device":"cron","status":"online","text":"a","ttlMs":60000}'],
  ['POST', '/v1/heartbeat', '{"user":"f2","status":"offline"}'],
  ['POST', '/v1/presence', '{"users":["f1","f2","f3"]}'],
  ['PUT', '/v1/users/{}/friends', '{"friends":["f4","f5"]}'],
  ['PUT', '/v1/users/{}/friends/{}', '{}'],
  ['DELETE', '/v1/users/{}/friends/{}', '{}'],
  ['PUT', '/v1/users/{}/blocks/{}', '{}'],
  ['DELETE', '/v1/users/{}/blocks/{}', '{}'],
  ['GET', '/v1/presence?users={},{}', '{}'],
  ['GET', '/v1/users/{}/friends/presence', '{}'],
  ['GET', '/v1/users/{}/explain', '{}'],
] as const;
const escapes = [
  '%',
  '%2',
  '%zz',
  '%00',
  '%2f',
  '%2F..',
  '%c3%28',
  '%ff',
  '%F0%9F%98%80',
  '+',
  '%25',
  ';a=b',
  '#a',
  '?',
  '&&=',
  '//',
  '\u0000',
  ' ',
];
const versions = ['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/0.9', 'HTTP/1.1 x', ''];
const bodies = [
  '{"user":"f1","device":"cron","status":"online","text":"a","ttlMs":60000}',
  '{"users":["f1","f2","f3"]}',
  '{"friends":["f4","f5"]}',
  '{"user":"f2","status":"offline"}',
];
const headers = [
  ...[
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: xchunked',
    'Transfer-Encoding : chunked',
    'Transfer-Encoding: chunked, identity',
  ],
  ...[
    'Transfer-Encoding:\tchunked',
    'Content-Length: 0',
    'Content-Length: 5',
    'Content-Length: -1',
    'Content-Length: +5',
    'Content-Length: 5, 5',
  ],
  ...[
    'Content-Length: 99999999999999999999',
    'Content-Length: 0x5',
    'Expect: 100-continue',
    'Connection: close',
    'Connection: keep-alive',
  ],
  ...[
    'Upgrade: websocket',
    'Upgrade: h2c',
    'Host:',
    'Host: a',
    'Host: b',
    'Content-Type: text/plain',
    'Content-Encoding: gzip',
  ],
  ...[
    'Authorization: Bearer ',
    'Authorization: Bearer a.b.c',
    'Origin: http://evil.example',
    'Origin: null',
    'X-Forwarded-For: ::1, x',
  ],
  ...[
    ' folded: yes',
    'no colon',
    ': empty',
    'N\u0000: a',
    'X: a\rb',
    `X: ${'a'.repeat(5000)}`,
    `X: ${'a'.repeat(20_000)}`,
    'Range: bytes=0-',
  ],
];
const tokens = [
  ...headers.map((header) => `${header}\r\n`),
  ...escapes,
  '\r\n',
  '\n',
  '\r',
  '\r\n\r\n',
  '0\r\n\r\n',
  'GET / HTTP/1.1\r\n',
].map((token) => Buffer.from(token, 'latin1'));

export const http: Target = {
  name: 'http',
  door: 'http',
  make: (random, corpus) => {
    const parts = 1 + random.below(4);
    const requests = Array.from({ length: parts }, () => request(random, corpus));
    return { parts, chunks: split(random, Buffer.concat(requests)) };
  },
};

function request(random: Random, corpus: Corpus): Buffer {
  const kind = random.below(8);
  if (kind < 2) return mutate(random, random.pick(corpus.requests), tokens);
  if (kind === 2) return mutate(random, written(random), tokens);
  return kind < 6 ? fits(random) : written(random);
}

function written(random: Random): Buffer {
  const method = random.isOneIn(4) ? random.pick(methods) : random.pick(['GET', 'POST', 'PUT', 'DELETE']);
  const path = random.pick(routes).replaceAll('{}', () => segment(random));
  const extra = Array.from(
    { length: random.isOneIn(2) ? random.below(4) : 0 },
    () => `${random.pick(headers)}\r\n`,
  ).join('');
  const body = Buffer.from(bodyOf(random));
  const framing = framed(random, body);
  const start = `${method} ${path} ${random.pick(versions)}\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n`;
  return Buffer.concat([Buffer.from(`${start}${extra}${framing.header}\r\n`, 'latin1'), framing.body]);
}

/** Soundly framed, so that what is behind the parser gets to see it. */
function fits(random: Random): Buffer {
  const [method, route, seed] = random.pick(fitting);
  const path = route.replaceAll('{}', () => segment(random));
  const body = random.isOneIn(3) ? seed : mutateJson(random, seed);
  const head = `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n`;
  return Buffer.from(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

function segment(random: Random): string {
  const kind = random.below(6);
  if (kind === 0) return random.pick(escapes);
  if (kind === 1) return encodeURIComponent(random.pick(edgeTexts));
  return `f${random.below(50)}`;
}

function bodyOf(random: Random): string {
  const kind = random.below(8);
  if (kind === 0) return '';
  if (kind === 1) return edgeJson(random);
  if (kind === 2) return random.pick(bodies);
  return mutateJson(random, random.pick(bodies));
}

/** The body with a length, in chunks, with both, or with a lie. */
function framed(random: Random, body: Buffer): { header: string; body: Buffer } {
  const length = `Content-Length: ${body.length}\r\n`;
  const chunk = (bytes: Buffer, size = bytes.length.toString(16)): Buffer =>
    Buffer.concat([Buffer.from(`${size}\r\n`), bytes, Buffer.from('\r\n')]);
  const end = Buffer.from('0\r\n\r\n');
  const chunked = 'Transfer-Encoding: chunked\r\n';
  switch (random.below(10)) {
    case 0:
      return { header: chunked, body: Buffer.concat([chunk(body), end]) };
    case 1:
      return { header: length + chunked, body: Buffer.concat([chunk(body), end]) };
    case 2: {
      const size = random.pick(['-1', 'ffffffffffffffff', '0x5', ' 5', '5;a=b', 'zz', '00000000000000000005', '']);
      return { header: chunked, body: Buffer.concat([chunk(body, size), end]) };
    }
    case 3:
      return { header: `Content-Length: ${random.below(300_000)}\r\n`, body };
    case 4:
      return { header: length + `Content-Length: ${body.length + 1}\r\n`, body };
    case 5:
      return { header: '', body: random.isOneIn(4) ? randomBytes(random, 300) : Buffer.alloc(0) };
    default:
      return { header: length, body };
  }
}

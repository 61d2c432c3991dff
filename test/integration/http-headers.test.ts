/** What every answer carries, on both engines, looked at as bytes: refusals, pages and upgrades too. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { connect as connectTls } from 'node:tls';
import { afterEach, expect, it } from 'vitest';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';

const certificate = (kind: string) =>
  fileURLToPath(new URL(`../support/certificates/first.${kind}.pem`, import.meta.url));

let hub: TestHub | undefined;
afterEach(async () => {
  await hub?.stop();
  hub = undefined;
});

/** The first answer to these bytes: its status and the lines of its head, lower case. */
async function ask(text: string): Promise<{ status: number; head: string }> {
  const { protocol, port } = new URL(hub?.addresses.http ?? '');
  const at = { host: '127.0.0.1', port: Number(port), rejectUnauthorized: false };
  const socket = protocol === 'https:' ? connectTls(at) : connect(at);
  socket.on('error', () => undefined);
  await once(socket, protocol === 'https:' ? 'secureConnect' : 'connect');
  let answer = '';
  const headIn = new Promise<void>((resolve) => {
    socket.on('data', (bytes: Buffer) => {
      answer += bytes.toString('latin1');
      if (answer.includes('\r\n\r\n')) resolve();
    });
    socket.on('close', () => resolve());
  });
  socket.write(text);
  await headIn;
  socket.destroy();
  const [head = ''] = answer.split('\r\n\r\n');
  return { status: Number(head.split(' ')[1]), head: head.toLowerCase() };
}

const request = (line: string, headers: readonly string[] = [], body = '') =>
  `${[`${line} HTTP/1.1`, 'host: 127.0.0.1', ...headers].join('\r\n')}\r\n\r\n${body}`;
const upgrade = ['connection: upgrade', 'upgrade: websocket', 'sec-websocket-version: 13'];
const key = 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==';

const answers: readonly (readonly [what: string, status: number, text: string])[] = [
  ['health', 200, request('GET /healthz')],
  ['HEAD', 200, request('HEAD /healthz')],
  ['a page', 200, request('GET /')],
  ['an entry', 200, request('GET /v1/presence/42')],
  ['an edit', 204, request('PUT /v1/users/42/friends/7')],
  ['a bad id', 400, request('GET /v1/presence/%20')],
  ['two lengths', 400, request('POST /v1/heartbeat', ['content-length: 1', 'content-length: 2'], 'xx')],
  ['no sound handshake', 400, request('GET /ws', upgrade)],
  ['another version of WebSocket', 426, request('GET /ws', [...upgrade.slice(0, 2), key, 'sec-websocket-version: 8'])],
  ['a foreign name', 403, request('GET /').replace('127.0.0.1', 'evil.example')],
  ['a foreign page', 403, request('GET /ws', [...upgrade, key, 'origin: http://evil.example'])],
  ['nothing there', 404, request('GET /nowhere')],
  ['a WebSocket elsewhere', 404, request('GET /nowhere', [...upgrade, key])],
  ['a wrong method', 405, request('DELETE /healthz')],
  ['a body that is too large', 413, request('POST /v1/heartbeat', ['content-length: 300000'], 'x'.repeat(300_000))],
  ['a WebSocket asked for without an upgrade', 426, request('GET /ws')],
  ['a head that is too large', 431, request('GET /healthz', [`x: ${'x'.repeat(17_000)}`])],
];

onBothEngines('every answer', (transport) => {
  it('says that its type is not to be guessed, and names no software (H24)', async () => {
    hub = await startTestHub({ transport });
    for (const [what, status, text] of answers) {
      const { status: answered, head } = await ask(text);
      expect({ what, status: answered }).toEqual({ what, status });
      expect({ what, head }).toEqual({
        what,
        head: expect.stringContaining('x-content-type-options: nosniff') as string,
      });
      expect({ what, head }).toEqual({
        what,
        head: expect.stringContaining('cross-origin-opener-policy: same-origin') as string,
      });
      expect(head).not.toMatch(/uwebsockets|x-powered-by|\nserver:|strict-transport/);
      expect(head.match(/x-content-type-options/g)).toHaveLength(1);
    }
    for (const headers of [[], [...upgrade.slice(0, 2), key, 'sec-websocket-version: 8']]) {
      expect((await ask(request('GET /ws', headers))).head).toContain('\r\nsec-websocket-version: 13');
    }
    expect((await ask(request('GET /ws', [...upgrade, key]))).head).not.toMatch(/uwebsockets|\nserver:/);
  });

  it('asks browsers to use only TLS, if the hub has TLS (H24)', async () => {
    hub = await startTestHub({ transport, tlsCert: certificate('crt'), tlsKey: certificate('key') });
    for (const [what, , text] of answers) {
      const { head } = await ask(text);
      expect({ what, head }).toEqual({
        what,
        head: expect.stringContaining('strict-transport-security: max-age=31536000') as string,
      });
    }
  });

  it('of an open hub beyond loopback goes to its own names alone, and says which setting adds one', async () => {
    hub = await startTestHub({ transport, host: '0.0.0.0', origins: 'https://chat.example' });
    const statusFor = async (name: string, path = '/') =>
      (await ask(request(`GET ${path}`).replace('127.0.0.1', name))).status;
    for (const name of ['127.0.0.1', '192.0.2.1:8080', 'localhost', 'chat.example', hostname()]) {
      expect({ name, status: await statusFor(name) }).toEqual({ name, status: 200 });
    }
    expect(await statusFor('evil.example')).toBe(403);
    expect(await statusFor('evil.example', '/healthz')).toBe(200);
    const foreign = await ask(request('GET /ws', [...upgrade, key]).replace('127.0.0.1', 'evil.example'));
    expect(foreign.status).toBe(403);
    const answer = await fetch(`${hub.addresses.http.replace('0.0.0.0', '127.0.0.1')}/metrics`);
    expect(await answer.text()).toMatch(/^presence_hub_refused_total\{reason="origin"\} 2$/m);
  });
});

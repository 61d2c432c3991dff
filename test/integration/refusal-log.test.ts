/** What the operator reads about those who are refused, at the default log level: one warning for each protocol and reason. */
import { generateKeyPairSync } from 'node:crypto';
import { connect } from 'node:net';
import { SignJWT } from 'jose';
import { afterEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import type { Config } from '../../server/config/config.ts';
import type { Logger } from '../../server/lib/log/log.ts';
import { frame, LegacyClient } from '../support/legacy-client.ts';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { TEST_SECRET, tokenFor, type TokenOptions } from '../support/tokens.ts';
import { WsClient } from '../support/ws-client.ts';

interface Line {
  readonly protocol?: string;
  readonly reason?: string;
  readonly leftOut?: number;
  readonly origin?: string;
  readonly host?: string;
  readonly address?: string;
  readonly says: string;
}

let hub: TestHub;
let lines: Line[];
afterEach(() => hub.stop());

const start = async (settings: Partial<Config>): Promise<void> => {
  lines = [];
  const ignore = (): void => undefined;
  const log = {
    warn: (facts: object, says: string) => void lines.push({ ...facts, says }),
    info: ignore,
    debug: ignore,
    isLevelEnabled: () => false,
  } as unknown as Logger;
  hub = await startTestHub(settings, undefined, log);
};
const jwt = { auth: 'jwt', tcpAuth: 'token', jwtSecret: TEST_SECRET, jwtAudience: 'presence', tcpAck: true } as const;
const claims = { audience: 'presence' };
const token = (options: TokenOptions = {}) => tokenFor('42', { clock: hub.clock, ...claims, ...options });
const numericSub = () =>
  new SignJWT({ sub: 42 as unknown as string, aud: 'presence' })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(new TextEncoder().encode(TEST_SECRET));
const rsa = () =>
  new SignJWT({ sub: '42' })
    .setProtectedHeader({ alg: 'RS256' })
    .sign(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey);

const bad: readonly (readonly [reason: string, says: string, made: () => Promise<string>])[] = [
  ['algorithm', 'its algorithm is "RS256", and the hub takes HS256, HS384, HS512', rsa],
  ['subject', 'its sub is the number 42: it must be a string', numericSub],
  ['expired', 'it expired 7 s ago', () => token({ expiresInS: -7 })],
  [
    'signature',
    'with another key than HUB_JWT_SECRET',
    () => token({ secret: 'another secret, of 32 bytes or more too' }),
  ],
  ['audience', 'its aud is "billing": HUB_JWT_AUDIENCE is "presence"', () => token({ audience: 'billing' })],
  ['early', 'its nbf is 100 s ahead of the hub’s clock', () => token({ notBeforeInS: 100 })],
];

onBothEngines('a token that is not taken', (transport) => {
  const protocols: Readonly<Record<string, (made: string) => Promise<void>>> = {
    HTTP: async (made) => {
      await fetch(`${hub.addresses.http}/v1/presence/42`, { headers: { authorization: `Bearer ${made}` } });
    },
    WebSocket: async (made) => {
      const client = await WsClient.open(hub.addresses.ws);
      client.send({ type: 'hello', user: '42', token: made });
      await client.closed;
    },
    TCP: async (made) => {
      const client = await LegacyClient.open(hub.tcpPort);
      client.write(frame('42', 1, made));
      await client.waitFor('<error');
      client.socket.destroy();
    },
  };

  it.each(Object.keys(protocols))(
    'is explained once for each reason at the protocol %s, and never shown',
    async (protocol) => {
      await start({ ...jwt, transport, tcpPort: 0 });
      const made = await Promise.all(bad.map(([, , make]) => make()));
      for (const one of [...made, ...made]) await protocols[protocol]?.(one);
      const reported = lines.filter((line) => line.protocol === protocol);
      expect(reported.map(({ reason }) => reason)).toEqual(bad.map(([reason]) => reason));
      for (const [i, [, says]] of bad.entries()) expect(reported[i]?.says).toContain(says);
      for (const one of made) expect(JSON.stringify(lines)).not.toContain(one.slice(-20));
      hub.clock.pass(60_000);
      await protocols[protocol]?.(made[0] ?? '');
      expect(lines.filter(({ reason }) => reason === 'algorithm').at(-1)).toMatchObject({ protocol, leftOut: 1 });
    },
  );

  it('is another user’s, or missing: that is explained too', async () => {
    await start({ ...jwt, transport });
    const client = await WsClient.open(hub.addresses.ws);
    client.send({ type: 'hello', user: '7', token: await token() });
    await client.closed;
    expect(lines.at(-1)).toMatchObject({ protocol: 'WebSocket', reason: 'user', user: '7', sub: '42' });
    await fetch(`${hub.addresses.http}/v1/presence/42`);
    expect(lines.at(-1)).toMatchObject({ protocol: 'HTTP', reason: 'missing' });
    await fetch(`${hub.addresses.http}/v1/presence/7`, { headers: { authorization: `Bearer ${await token()}` } });
    expect(lines.at(-1)).toMatchObject({ protocol: 'HTTP', reason: 'forbidden', sub: '42' });
  });
});

onBothEngines('a page of another origin', (transport) => {
  const origin = 'https://chat.example';

  it.each(['GET', 'POST', 'OPTIONS'])(
    'that sends %s is explained with its origin, the host and the setting',
    async (method) => {
      await start({ transport });
      await fetch(`${hub.addresses.http}/v1/presence/42`, { method, headers: { origin } });
      expect(lines).toMatchObject([
        { protocol: 'HTTP', reason: 'origin', origin, host: new URL(hub.addresses.http).host },
      ]);
      expect(lines[0]?.says).toContain('HUB_ORIGINS');
    },
  );

  it('that opens a WebSocket is explained, and one that is listed is not', async () => {
    await start({ transport, origins: 'https://listed.example' });
    const page = new WebSocket(hub.addresses.ws, { origin });
    await new Promise((resolve) => page.once('error', resolve));
    expect(lines).toMatchObject([{ protocol: 'WebSocket', reason: 'origin', origin }]);
    await fetch(`${hub.addresses.http}/v1/presence/42`, { headers: { origin: 'https://listed.example' } });
    await fetch(`${hub.addresses.http}/v1/presence/42`);
    expect(lines).toHaveLength(1);
  });

  it('is quoted no further than 200 characters', async () => {
    await start({ transport });
    await fetch(`${hub.addresses.http}/v1/presence/42`, { headers: { origin: `https://${'x'.repeat(5_000)}` } });
    expect(lines[0]?.origin).toHaveLength(200);
  });

  it('that calls an open hub by a foreign name is explained', async () => {
    await start({ transport });
    const { hostname, port } = new URL(hub.addresses.http);
    const socket = connect(Number(port), hostname);
    socket.write('GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n');
    await new Promise((resolve) => socket.resume().once('close', resolve));
    expect(lines).toMatchObject([{ protocol: 'HTTP', reason: 'host', host: 'evil.example' }]);
    expect(lines[0]?.says).toContain('HUB_HOST');
  });
});

describe('an address that is not in HUB_TCP_ALLOW', () => {
  it('is explained with the address and the setting', async () => {
    await start({ tcpAllow: '10.0.0.0/8', tcpPort: 0 });
    const client = await LegacyClient.open(hub.tcpPort);
    await client.closed;
    expect(lines).toMatchObject([{ protocol: 'TCP', reason: 'address', address: '127.0.0.1' }]);
    expect(lines[0]?.says).toContain('HUB_TCP_ALLOW');
  });
});

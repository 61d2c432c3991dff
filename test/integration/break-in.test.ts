/**
 * Attempts to get in, a row each, through every door that it can be tried at: each is refused with its code, and nothing of
 * what was wanted came about. The hub is the one that an operator would run: tokens with an audience, an admin token,
 * allowed TCP addresses, one listed origin.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { LegacyClient } from '../support/legacy-client.ts';
import { TEST_SECRET, tokenFor, unsignedTokenFor } from '../support/tokens.ts';
import { WsClient } from '../support/ws-client.ts';

const AUDIENCE = 'presence';
const ADMIN = 'an-admin-token-of-some-length';
const good = (user: string | null, more: Parameters<typeof tokenFor>[1] = {}) =>
  tokenFor(user, { audience: AUDIENCE, expiresInS: null, ...more });

/** How a token can be no good. */
const badTokens: readonly (readonly [string, () => Promise<string> | string])[] = [
  ['that has expired', () => good('42', { expiresInS: -1 })],
  ['that says alg none', () => unsignedTokenFor('42', ['observe', 'admin'])],
  ['of a wrong key', () => good('42', { secret: 'another secret, of 32 bytes or more!' })],
  ['for another audience', () => tokenFor('42', { audience: 'billing', expiresInS: null })],
  ['without an audience', () => tokenFor('42', { expiresInS: null })],
  ['that is not valid for an hour yet', () => good('42', { notBeforeInS: 3_600 })],
  ['whose payload was changed', async () => forge(await good('7'))],
  ['without a user or a scope', () => good(null)],
  ['that is none', () => 'let-me-in'],
];

function forge(token: string): string {
  const [head = '', payload = '', signature = ''] = token.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
  const changed = Buffer.from(JSON.stringify({ ...claims, sub: '42' })).toString('base64url');
  return `${head}.${changed}.${signature}`;
}

onBothEngines('attempts to get in', (transport) => {
  let hub: TestHub;
  beforeAll(async () => {
    hub = await startTestHub({
      transport,
      auth: 'jwt',
      jwtSecret: TEST_SECRET,
      jwtAudience: AUDIENCE,
      adminToken: ADMIN,
      tcpAuth: 'token',
      tcpAck: true,
      origins: 'https://chat.example',
    });
    for (const edge of ['42/friends/7', '9/friends/8']) {
      expect(await ask('PUT', `/v1/users/${edge}`, ADMIN)).toBe(204);
    }
  });
  afterAll(() => hub.stop());

  const ask = async (method: string, path: string, token?: string, body?: unknown, headers: object = {}) => {
    const answer = await fetch(hub.addresses.http + path, {
      method,
      headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return answer.status;
  };
  const statusOf = async (user: string): Promise<unknown> => {
    const answer = await fetch(`${hub.addresses.http}/v1/presence/${user}`, {
      headers: { authorization: `Bearer ${ADMIN}` },
    });
    return ((await answer.json()) as { status: unknown }).status;
  };
  /** Says hello and answers the error's code and the close's. */
  const hello = async (fields: object, headers: Record<string, string> = {}) => {
    const client = await WsClient.open(hub.addresses.ws, { headers });
    client.send({ type: 'hello', ...fields });
    const { code } = await client.next('error');
    return [code, await client.closed];
  };
  const tcp = async (...frames: readonly string[]): Promise<string> => {
    const client = await LegacyClient.open(hub.tcpPort);
    for (const frame of frames) client.write(frame);
    await client.waitFor('</protocol>');
    client.end();
    return /<error code="([^"]*)"/.exec(client.received)?.[1] ?? client.received;
  };
  const frame = (user: string, token?: string): string =>
    `<protocol><user_id>${user}</user_id>${token === undefined ? '' : `<token>${token}</token>`}</protocol>`;

  describe('without a good token', () => {
    test('no token: 4401 over WebSocket, 401 over HTTP, a refused frame over TCP', async () => {
      expect(await hello({ user: '42' })).toEqual(['unauthenticated', 4401]);
      expect(await hello({ observe: true })).toEqual(['unauthenticated', 4401]);
      expect(await ask('GET', '/v1/presence/42')).toBe(401);
      expect(await ask('POST', '/v1/heartbeat', undefined, { user: '42' })).toBe(401);
      expect(await ask('GET', '/metrics')).toBe(401);
      expect(await tcp(frame('42'))).toBe('unauthenticated');
      expect(await statusOf('42')).toBe('offline');
    });

    test.each(badTokens)('a token %s: the same', async (_, makeToken) => {
      const token = await makeToken();
      expect(await hello({ user: '42', token })).toEqual(['unauthenticated', 4401]);
      expect(await ask('GET', '/v1/presence/42', token)).toBe(401);
      expect(await ask('PUT', '/v1/users/42/friends/9', token)).toBe(401);
      expect(await tcp(frame('42', token))).toBe('unauthenticated');
      expect(await statusOf('42')).toBe('offline');
    });

    test('what asks for nothing answers without a token', async () => {
      for (const path of ['/healthz', '/readyz', '/']) expect(await ask('GET', path)).toBe(200);
    });
  });

  describe('as somebody else', () => {
    test('a hello for another user: forbidden, 4403, and that user is not there', async () => {
      expect(await hello({ user: '7', token: await good('42') })).toEqual(['forbidden', 4403]);
      expect(await hello({ user: '7', token: await good('42', { scopes: ['observe', 'admin'] }) })).toEqual([
        'forbidden',
        4403,
      ]);
      expect(await hello({ user: '7', token: ADMIN })).toEqual(['forbidden', 4403]);
      expect(await statusOf('7')).toBe('offline');
    });

    test('a spoofed user over TCP: the frame is refused, the true user of the connection stays', async () => {
      const client = await LegacyClient.open(hub.tcpPort);
      client.write(frame('21', await good('21')));
      await client.waitFor('<ack user_id="21"');
      client.write(frame('7', await good('21')));
      await client.waitFor('<error code="forbidden"');
      client.write(frame('21'));
      await client.waitFor('</error></protocol>\n<protocol><ack user_id="21"');
      expect(await statusOf('7')).toBe('offline');
      expect(await statusOf('21')).toBe('online');
      client.end();
    });

    test('a heartbeat over HTTP for another user: 403', async () => {
      expect(await ask('POST', '/v1/heartbeat', await good('42'), { user: '7' })).toBe(403);
      expect(await statusOf('7')).toBe('offline');
    });

    test('a fresh token of another user is refused, and the session goes on as who it is', async () => {
      const client = await WsClient.hello(hub.addresses.ws, { user: '31', token: await good('31') });
      client.send({ type: 'token', id: 1, token: await good('7') });
      expect(await client.next('error')).toMatchObject({ re: 1, code: 'forbidden' });
      await client.roundTrip();
      client.close();
    });
  });

  describe('to see users without permission', () => {
    test('other users’ friends: forbidden over WebSocket, 403 over HTTP, and nothing of them comes', async () => {
      const client = await WsClient.hello(hub.addresses.ws, { user: '42', token: await good('42') });
      for (const watch of [{ friendsOf: '9' }, { users: ['9'] }, { users: ['7', '9'] }, { users: ['nobody-at-all'] }]) {
        client.send({ type: 'watch', id: JSON.stringify(watch), ...watch });
        expect(await client.next('error')).toMatchObject({ code: 'forbidden', re: JSON.stringify(watch) });
      }
      expect(client.all.map(({ type }) => type)).not.toContain('snapshot');
      const token = await good('42');
      for (const path of ['presence/9', 'presence/nobody-at-all', 'presence?users=7,9', 'users/9/friends']) {
        expect(await ask('GET', `/v1/${path}`, token)).toBe(403);
      }
      expect(await ask('GET', '/v1/presence?users=42,7', token)).toBe(200);
      client.close();
    });

    test('a refusal is the same, word for word, for a user who exists and one who does not', async () => {
      const client = await WsClient.hello(hub.addresses.ws, { user: '42', token: await good('42') });
      const errors: unknown[] = [];
      for (const user of ['9', 'nobody-at-all']) {
        client.send({ type: 'watch', users: [user] });
        errors.push(await client.next('error'));
      }
      expect(errors[0]).toEqual(errors[1]);
      client.close();
    });

    test('unfriended during the watch: it ends before the 204, and nothing of the former friend comes after it (H10)', async () => {
      const token = await good('50');
      expect(await ask('PUT', '/v1/users/50/friends/51', ADMIN)).toBe(204);
      const friend = await WsClient.hello(hub.addresses.ws, { user: '51', token: await good('51') });
      const client = await WsClient.hello(hub.addresses.ws, { user: '50', token });
      client.send({ type: 'watch', friendsOf: '50' });
      await client.next('snapshot');
      client.send({ type: 'watch', users: ['51'] });
      await client.next('snapshot');
      expect(await ask('DELETE', '/v1/users/51/friends/50', await good('51'))).toBe(204);
      friend.send({ type: 'heartbeat', status: 'busy', text: 'not for 50' });
      await friend.roundTrip();
      await client.roundTrip();
      expect(client.all).toContainEqual({ type: 'friend', friendsOf: '50', op: 'remove', user: '51' });
      expect(client.all).toContainEqual({ type: 'unwatched', users: ['51'] });
      expect(JSON.stringify(client.all)).not.toContain('not for 50');
      client.send({ type: 'watch', users: ['51'] });
      expect(await client.next('error')).toMatchObject({ code: 'forbidden' });
      friend.close();
      client.close();
    });

    test('admin alone watches nobody over WebSocket, and observe alone changes nothing over HTTP', async () => {
      const client = await WsClient.hello(hub.addresses.ws, { observe: true, token: ADMIN });
      client.send({ type: 'watch', users: ['42'] });
      expect(await client.next('error')).toMatchObject({ code: 'forbidden' });
      client.close();
      const observer = await good(null, { scopes: ['observe'] });
      expect(await ask('GET', '/v1/users/9/friends', observer)).toBe(200);
      expect(await ask('PUT', '/v1/users/9/friends/42', observer)).toBe(403);
      expect(await ask('POST', '/v1/heartbeat', observer, { user: '9' })).toBe(403);
      expect(await ask('GET', '/metrics', observer)).toBe(403);
    });
  });

  describe('to change what one may not', () => {
    test.each([
      ['PUT', '/v1/users/42/friends/9', undefined],
      ['PUT', '/v1/users/42/friends', { friends: ['9'] }],
      ['PUT', '/v1/users/9/friends/42', undefined],
      ['DELETE', '/v1/users/9/friends/8', undefined],
      ['PUT', '/v1/users/7/blocks/9', undefined],
      ['DELETE', '/v1/users/7/blocks/42', undefined],
      ['POST', '/v1/friends/import', { edges: [['42', '9']] }],
    ])('%s %s with a user’s token: 403 (H20)', async (method, path, body) => {
      expect(await ask(method, path, await good('42'), body)).toBe(403);
    });
  });

  describe('from a forbidden address or origin', () => {
    test('a page of another origin: 403 at the upgrade and for a change, whatever its token', async () => {
      const origin = 'https://evil.example';
      await expect(WsClient.open(hub.addresses.ws, { headers: { origin } })).rejects.toThrow('403');
      expect(await ask('POST', '/v1/heartbeat', await good('60'), { user: '60' }, { origin })).toBe(403);
      expect(await statusOf('60')).toBe('offline');
    });

    test('a page of a listed origin gets in', async () => {
      const client = await WsClient.open(hub.addresses.ws, { headers: { origin: 'https://chat.example' } });
      client.close();
    });

    test('a forged X-Forwarded-For or PROXY header from one who is no trusted proxy counts for nothing', async () => {
      const token = await good('42');
      const headers = { 'x-forwarded-for': '10.0.0.7' };
      expect(await ask('GET', '/v1/presence/42', token, undefined, headers)).toBe(200);
      expect(await tcp(`PROXY TCP4 10.0.0.7 10.0.0.1 1 2\r\n${frame('42', token)}`)).toBe('malformed');
    });
  });
});

describe('an address outside the list', () => {
  test('is cut before its first byte is read', async () => {
    const hub = await startTestHub({ tcpAllow: '10.0.0.0/8, fd00::/8' });
    const client = await LegacyClient.open(hub.tcpPort);
    client.beat('42');
    await client.closed;
    expect((await hub.request('GET', '/v1/presence/42')).body).toMatchObject({ status: 'offline', v: 0 });
    expect(await hub.metric('presence_hub_refused_total{reason="address"}')).toBe(1);
    await hub.stop();
  });

  test('is admitted if a trusted proxy forwards another address', async () => {
    const hub = await startTestHub({ tcpAllow: '10.0.0.0/8', trustProxy: '127.0.0.0/8', tcpAck: true });
    const inside = await LegacyClient.open(hub.tcpPort);
    inside.write('PROXY TCP4 10.0.0.7 10.0.0.1 5222 60001\r\n');
    inside.beat('42');
    await inside.waitFor('<ack user_id="42"');
    const outside = await LegacyClient.open(hub.tcpPort);
    outside.write('PROXY TCP4 192.0.2.7 10.0.0.1 5222 60001\r\n');
    outside.beat('43');
    await outside.closed;
    expect((await hub.request('GET', '/v1/presence/43')).body).toMatchObject({ status: 'offline' });
    inside.end();
    await hub.stop();
  });
});

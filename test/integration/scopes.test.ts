/** Scopes and static tokens through real sockets: who may what with which, and what the log says of an admin's changes. */
import { pino } from 'pino';
import { afterEach, expect, it } from 'vitest';
import type { Explanation } from '../../shared/messages/explain.ts';
import type { Scope } from '../../server/auth/identity.ts';
import type { Config } from '../../server/config/config.ts';
import { ask } from '../support/ask.ts';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';
import { WsClient } from '../support/ws-client.ts';

const FIRST = 'the-first-admin-token';
const SECOND = 'the-second-admin-token';
const METRICS = 'a-metrics-token-for-tests';

/** What a scope might be good for, and the status where it is allowed. */
const calls = {
  entry: ['GET', '/v1/presence/9', undefined, 200],
  friends: ['GET', '/v1/users/9/friends', undefined, 200],
  'friends’ presence': ['GET', '/v1/users/9/friends/presence', undefined, 200],
  explanation: ['GET', '/v1/users/9/explain', undefined, 200],
  metrics: ['GET', '/metrics', undefined, 200],
  'new friend': ['PUT', '/v1/users/9/friends/8', undefined, 204],
  import: ['POST', '/v1/friends/import', { edges: [['9', '7']] }, 200],
  'end of a friendship': ['DELETE', '/v1/users/9/friends/8', undefined, 204],
  block: ['PUT', '/v1/users/9/blocks/7', undefined, 204],
  kick: ['DELETE', '/v1/users/9/sessions/none', undefined, 404],
  heartbeat: ['POST', '/v1/heartbeat', { user: '9' }, 200],
} as const;
type CallName = keyof typeof calls;
const names = Object.keys(calls) as CallName[];

onBothEngines('scopes', (transport) => {
  let hub: TestHub;
  const lines: Record<string, unknown>[] = [];
  const start = async (settings: Partial<Config>) => {
    lines.length = 0;
    const log = pino(
      { level: 'info' },
      { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
    );
    hub = await startTestHub({ transport, ...settings }, undefined, log);
  };
  const allowed = async (token?: string): Promise<CallName[]> => {
    const good: CallName[] = [];
    for (const name of names) {
      const [method, path, body, status] = calls[name];
      const asked = { ...(token !== undefined && { token }), ...(body !== undefined && { body }) };
      const answer = await ask(hub.addresses.http, method, path, asked);
      if (answer.status === status) good.push(name);
      else expect([401, 403]).toContain(answer.status);
    }
    return good;
  };
  const jwt = { auth: 'jwt', jwtSecret: TEST_SECRET } as const;
  afterEach(() => hub.stop());

  it.each<[Scope, CallName[]]>([
    ['metrics', ['metrics']],
    ['roster', ['friends', 'new friend', 'import', 'end of a friendship']],
    ['read', ['entry', 'friends', 'friends’ presence', 'explanation', 'metrics']],
    ['observe', ['entry', 'friends', 'friends’ presence']],
    ['admin', names],
  ])('let a token with %s do its part and nothing else (S18)', async (scope, good) => {
    await start(jwt);
    expect(await allowed(await tokenFor(null, { scopes: [scope] }))).toEqual(good);
  });

  it('let `read` see invisible users and users that block it, and no address (H26)', async () => {
    await start({ ...jwt, adminToken: FIRST });
    const as = (token: string, method: string, path: string, body?: unknown) =>
      ask(hub.addresses.http, method, path, { token, ...(body !== undefined && { body }) });
    const reader = await tokenFor('7', { scopes: ['read'] });
    await as(FIRST, 'POST', '/v1/heartbeat', { user: '9', status: 'busy' });
    await as(FIRST, 'PUT', '/v1/users/9/blocks/7');
    expect((await as(reader, 'GET', '/v1/presence/9')).body).toMatchObject({ status: 'busy' });
    const { hidden, sessions } = (await as(reader, 'GET', '/v1/users/9/explain')).body as Explanation;
    expect(hidden.from).toEqual(['7']);
    expect(sessions).toMatchObject([{ address: null, device: 'http' }]);
    const admins = (await as(FIRST, 'GET', '/v1/users/9/explain')).body as Explanation;
    expect(admins.sessions[0]?.address).toBe('127.0.0.1');
  });

  it('keep the times of changes for admins if lastSeen is hidden', async () => {
    await start({ ...jwt, adminToken: FIRST, lastSeen: 'hide' });
    const reader = await tokenFor(null, { scopes: ['read'] });
    expect((await ask(hub.addresses.http, 'GET', '/v1/users/9/explain', { token: reader })).status).toBe(403);
    expect((await ask(hub.addresses.http, 'GET', '/v1/users/9/explain', { token: FIRST })).status).toBe(200);
  });

  it('give nothing over WebSocket', async () => {
    await start({ ...jwt, metricsToken: METRICS });
    const token = await tokenFor(null, { scopes: ['read', 'roster', 'metrics'] });
    for (const one of [token, METRICS]) {
      const client = await WsClient.open(hub.addresses.ws);
      client.send({ type: 'hello', observe: true, token: one });
      await client.next('welcome');
      client.send({ type: 'watch', users: ['9'] });
      expect(await client.next('error')).toMatchObject({ code: 'forbidden' });
      client.send({ type: 'tail' });
      expect(await client.next('error')).toMatchObject({ code: 'forbidden' });
      client.cut();
    }
  });

  it('take each of several static tokens, in jwt mode', async () => {
    await start({ ...jwt, adminToken: `${FIRST}, ${SECOND}`, metricsToken: `${METRICS},${METRICS}-2` });
    for (const token of [FIRST, SECOND]) expect(await allowed(token)).toEqual(names);
    for (const token of [METRICS, `${METRICS}-2`]) expect(await allowed(token)).toEqual(['metrics']);
    for (const token of [`${FIRST},${SECOND}`, `${FIRST},`]) expect(await allowed(token)).toEqual([]);
  });

  it('take each of several static tokens, in open mode', async () => {
    await start({ adminToken: `${FIRST},${SECOND}`, metricsToken: METRICS });
    expect(await allowed()).toEqual(['entry', 'friends', 'friends’ presence', 'block', 'heartbeat']);
    for (const token of [FIRST, SECOND]) expect(await allowed(token)).toEqual(names);
    expect(await allowed(METRICS)).toEqual(['metrics']);
    expect(await allowed('another-token-altogether')).toEqual([]);
  });

  it('leave all but the metrics open with a metrics token alone', async () => {
    await start({ metricsToken: METRICS });
    const rest = names.filter((name) => name !== 'metrics');
    expect(await allowed()).toEqual(rest);
    expect(await allowed('whatever-token-it-is')).toEqual(rest);
    expect(await allowed(METRICS)).toEqual(['metrics']);
  });

  it('have the changes of an admin logged with the token, and no other request (H27)', async () => {
    await start({ ...jwt, adminToken: `${FIRST},${SECOND}` });
    const tokens = [SECOND, await tokenFor('auth0|ops', { scopes: ['roster'] }), await tokenFor('9')];
    for (const token of tokens) await allowed(token);
    const audits = lines.filter(({ msg }) => String(msg).startsWith('audit'));
    const change = (token: string, method: string, path: string, status: number) => ({ token, method, path, status });
    const edits = (token: string) => [
      change(token, 'PUT', '/v1/users/9/friends/8', 204),
      change(token, 'POST', '/v1/friends/import', 200),
      change(token, 'DELETE', '/v1/users/9/friends/8', 204),
    ];
    expect(audits).toMatchObject([
      ...edits('HUB_ADMIN_TOKEN 2'),
      change('HUB_ADMIN_TOKEN 2', 'PUT', '/v1/users/9/blocks/7', 204),
      change('HUB_ADMIN_TOKEN 2', 'DELETE', '/v1/users/9/sessions/none', 404),
      ...edits('auth0|ops'),
    ]);
    expect(JSON.stringify(lines)).not.toContain(SECOND);
  });
});

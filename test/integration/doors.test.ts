/** Every route of the hub with every scope: which tokens it lets in, and none that the contract does not name. */
import { afterEach, expect, it } from 'vitest';
import { scopes, type Scope } from '../../server/auth/identity.ts';
import { ask } from '../support/ask.ts';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';

/** What a token may be: a scope without a user, the user in the path, or another user. */
type Bearer = Scope | 'self' | 'stranger';
const bearers: readonly Bearer[] = [...scopes, 'self', 'stranger'];

const readers = ['observe', 'admin', 'read'] as const;
/** Whom each route lets in (S18, H20, H28 to H37). */
const doors: Readonly<Record<string, readonly Bearer[]>> = {
  'GET /v1/presence/{user}': [...readers, 'self'],
  'GET /v1/presence': readers,
  'POST /v1/presence': [...readers, 'self'],
  'POST /v1/heartbeat': ['admin', 'self'],
  'GET /v1/users/{user}/friends/presence': [...readers, 'self'],
  'GET /v1/counts': readers,
  'GET /v1/users/{user}/friends': [...readers, 'roster', 'self'],
  'PUT /v1/users/{user}/friends': ['admin', 'roster'],
  'POST /v1/users/{user}/friends/refresh': ['admin', 'roster'],
  'PUT /v1/users/{user}/friends/{friend}': ['admin', 'roster'],
  'DELETE /v1/users/{user}/friends/{friend}': ['admin', 'roster', 'self'],
  'POST /v1/friends/import': ['admin', 'roster'],
  'PUT /v1/users/{user}/blocks/{other}': ['admin', 'self'],
  'DELETE /v1/users/{user}/blocks/{other}': ['admin', 'self'],
  'GET /v1/users/{user}/explain': ['admin', 'read'],
  'DELETE /v1/users/{user}/sessions/{session}': ['admin'],
  'GET /v1/users/{user}/export': ['admin', 'read', 'self'],
  'GET /v1/users/{user}/history': [...readers, 'self'],
  'GET /v1/users/{user}/uptime': [...readers, 'self'],
  'GET /v1/webhooks': ['admin', 'read'],
  'POST /v1/webhooks/{rule}/test': ['admin'],
  'POST /v1/webhooks/{rule}/replay': ['admin'],
  'GET /metrics': ['admin', 'metrics', 'read'],
  'DELETE /v1/users/{user}': ['admin'],
  ...Object.fromEntries(
    ['/healthz', '/readyz', '/openapi.json', '/asyncapi.json'].map((path) => [`GET ${path}`, bearers]),
  ),
};
const bodies: Readonly<Record<string, unknown>> = {
  'POST /v1/presence': { users: ['9'] },
  'POST /v1/heartbeat': { user: '9' },
  'PUT /v1/users/{user}/friends': { friends: ['8'] },
  'POST /v1/friends/import': { edges: [['9', '8']] },
};

onBothEngines('the doors', (transport) => {
  let hub: TestHub;
  afterEach(() => hub.stop());
  const tokenOf = (bearer: Bearer): Promise<string> => {
    if (bearer === 'self' || bearer === 'stranger') return tokenFor(bearer === 'self' ? '9' : '5');
    return tokenFor(null, { scopes: [bearer] });
  };
  const statusOf = async (door: string, token: string | undefined): Promise<number> => {
    const [method = '', path = ''] = door.split(' ');
    const body = bodies[door];
    const asked = { ...(token !== undefined && { token }), ...(body !== undefined && { body }) };
    const filled = path.replace('{user}', '9').replaceAll(/\{\w+\}/g, '8');
    return (await ask(hub.addresses.http, method, filled, asked)).status;
  };

  it('are all known, and each admits only the right callers (S18, H20)', { timeout: 60_000 }, async () => {
    hub = await startTestHub({ transport, auth: 'jwt', jwtSecret: TEST_SECRET });
    const { body } = await ask(hub.addresses.http, 'GET', '/openapi.json');
    const { paths } = body as { paths: Record<string, Record<string, unknown>> };
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods)
        .filter((method) => /^(get|put|post|delete)$/.test(method))
        .map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(Object.keys(doors).sort()).toEqual(described.sort());
    for (const [door, wanted] of Object.entries(doors)) {
      const admitted: Bearer[] = [];
      for (const bearer of bearers) {
        if (![401, 403].includes(await statusOf(door, await tokenOf(bearer)))) admitted.push(bearer);
      }
      expect([door, admitted.sort()]).toEqual([door, [...wanted].sort()]);
      expect([door, await statusOf(door, undefined)]).toEqual([door, wanted === bearers ? expect.any(Number) : 401]);
    }
  });
});

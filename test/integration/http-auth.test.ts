/** PROTOCOL.md section 5, "Who may", through real sockets: every row of the table for everybody who may come. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask, type Asked } from '../support/ask.ts';
import { onBothEngines, startTestHub, type TestHub } from '../support/hub.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';

const ADMIN = 'an-admin-token-for-tests';

/** Every route, as 42 would call it for itself, for its friend 7 and for a stranger. */
const own = {
  entry: ['GET', '/v1/presence/42'],
  list: ['GET', '/v1/presence?users=42,7'],
  'posted list': ['POST', '/v1/presence', { users: ['42', '7'] }],
  'a friend’s entry': ['GET', '/v1/presence/7'],
  'friend list': ['GET', '/v1/users/42/friends'],
  'friends’ presence': ['GET', '/v1/users/42/friends/presence'],
  heartbeat: ['POST', '/v1/heartbeat', { user: '42' }],
  block: ['PUT', '/v1/users/42/blocks/9'],
  unblock: ['DELETE', '/v1/users/42/blocks/9'],
  'drop of a friend': ['DELETE', '/v1/users/42/friends/8'],
  'one-way drop of a friend': ['DELETE', '/v1/users/42/friends/8?oneway=true'],
} as const;
const strangers = {
  'a stranger’s entry': ['GET', '/v1/presence/9'],
  'the entry of one never seen': ['GET', '/v1/presence/never-seen'],
  'a follower’s entry': ['GET', '/v1/presence/5'],
  'a list with one stranger': ['GET', '/v1/presence?users=42,7,9'],
  'a list with one never seen': ['POST', '/v1/presence', { users: ['42', 'never-seen'] }],
  'a stranger’s friend list': ['GET', '/v1/users/9/friends'],
  'a friend’s friend list': ['GET', '/v1/users/7/friends'],
  'a stranger’s friends’ presence': ['GET', '/v1/users/9/friends/presence'],
} as const;
const foreign = {
  'a heartbeat for another': ['POST', '/v1/heartbeat', { user: '7' }],
  'a block of another’s': ['PUT', '/v1/users/7/blocks/9'],
  'an unblock of another’s': ['DELETE', '/v1/users/7/blocks/9'],
} as const;
const admins = {
  'a new friend': ['PUT', '/v1/users/42/friends/6'],
  'a new one-way friend': ['PUT', '/v1/users/42/friends/6?oneway=true'],
  'a replaced list': ['PUT', '/v1/users/6/friends', { friends: [] }],
  'a drop from another’s list': ['DELETE', '/v1/users/6/friends/10'],
  import: ['POST', '/v1/friends/import', { edges: [['6', '10']] }],
  explanation: ['GET', '/v1/users/42/explain'],
  'the end of a session': ['DELETE', '/v1/users/42/sessions/none'],
  metrics: ['GET', '/metrics'],
} as const;
const free = {
  health: ['GET', '/healthz'],
  readiness: ['GET', '/readyz'],
  description: ['GET', '/openapi.json'],
  messages: ['GET', '/asyncapi.json'],
} as const;

type Row = readonly [method: string, path: string, body?: unknown];
const all: Readonly<Record<string, Row>> = { ...own, ...strangers, ...foreign, ...admins, ...free };

onBothEngines('who may over HTTP', (transport) => {
  let hub: TestHub;
  const call = ([method, path, body]: Row, asked: Asked = {}) =>
    ask(hub.addresses.http, method, path, { ...asked, ...(body !== undefined && { body }) });
  const statuses = async (token?: string) => {
    const found: Record<string, number> = {};
    for (const [name, row] of Object.entries(all)) {
      found[name] = (await call(row, token === undefined ? {} : { token })).status;
    }
    return found;
  };
  /** What is expected where these are allowed and all else gets `otherwise`. */
  const expected = (allowed: readonly object[], otherwise: number): Record<string, number> => {
    const names = new Set(allowed.flatMap((rows) => Object.keys(rows)));
    const statusOf = (name: string, [method]: Row): number => {
      if (!names.has(name)) return otherwise;
      if (name === 'the end of a session') return 404; // allowed, and there is none
      return method === 'GET' || method === 'POST' ? 200 : 204;
    };
    return Object.fromEntries(Object.entries(all).map(([name, row]) => [name, statusOf(name, row)]));
  };
  const befriend = async (token?: string) => {
    const edges = [
      ['42', '7'],
      ['42', '8'],
      ['5', '42'],
    ];
    const asked = token === undefined ? {} : { token };
    expect((await call(['POST', '/v1/friends/import?oneway=true', { edges }], asked)).status).toBe(200);
  };

  describe('in jwt mode', () => {
    beforeAll(async () => {
      hub = await startTestHub({ transport, auth: 'jwt', jwtSecret: TEST_SECRET, adminToken: ADMIN });
      await befriend(ADMIN);
    });
    afterAll(() => hub.stop());

    it('asks for a token everywhere but at what is free, and says how (H18)', async () => {
      expect(await statuses()).toEqual(expected([free], 401));
      expect(await call(own.entry)).toMatchObject({
        headers: { 'www-authenticate': 'Bearer', 'content-type': 'application/problem+json' },
        body: { detail: 'authorization: the token is missing, wrong or has expired' },
      });
    });

    it('lets a user do what is its own (H20)', async () => {
      expect(await statuses(await tokenFor('42'))).toEqual(expected([own, free], 403));
      await befriend(ADMIN);
    });

    it('lets an observer read anyone, and nothing else (H20)', async () => {
      const { heartbeat, block, unblock, ...rest } = own;
      const { 'drop of a friend': drop, 'one-way drop of a friend': oneway, ...reads } = rest;
      expect([heartbeat, block, unblock, drop, oneway]).not.toContain(undefined);
      expect(await statuses(await tokenFor(null, { scopes: ['observe'] }))).toEqual(
        expected([reads, strangers, free], 403),
      );
    });

    it.each([
      ['of the settings', () => ADMIN],
      ['by scope', () => tokenFor('ops', { scopes: ['admin'] })],
    ])('lets an admin %s do all (H20)', async (_which, token) => {
      expect(await statuses(await token())).toEqual(expected([all], 0));
      await befriend(ADMIN);
    });

    it('refuses a stranger with the same answer as one never seen (H20)', async () => {
      const token = await tokenFor('42');
      const answers = await Promise.all(
        [strangers['a stranger’s entry'], strangers['the entry of one never seen']].map((row) => call(row, { token })),
      );
      const [known, unknown] = answers.map(({ status, body }) => ({ status, body }));
      expect(known).toEqual(unknown);
    });

    it('lets nobody read a friend once unfriended', async () => {
      const token = await tokenFor('31');
      await call(['PUT', '/v1/users/31/friends/32'], { token: ADMIN });
      expect((await call(['GET', '/v1/presence/32'], { token })).status).toBe(200);
      await call(['DELETE', '/v1/users/32/friends/31'], { token: await tokenFor('32') });
      expect((await call(['GET', '/v1/presence/32'], { token })).status).toBe(403);
    });

    it('says 401 before 400, 400 before 403, and 403 before it reads a body', async () => {
      const token = await tokenFor('42');
      const bad: Row = ['GET', '/v1/presence/a%20b'];
      expect([(await call(bad)).status, (await call(bad, { token })).status]).toEqual([401, 400]);
      expect((await call(['PUT', '/v1/users/9/friends', 'no list'], { token })).status).toBe(403);
      expect((await call(['PUT', '/v1/users/9/friends', 'no list'], { token: ADMIN })).status).toBe(400);
      expect((await call(['PUT', '/v1/users/9/blocks/9'], { token })).status).toBe(400);
    });

    it('takes a token of any scheme’s spelling, and none of another scheme', async () => {
      const token = await tokenFor('42');
      const status = async (authorization: string) => (await call(own.entry, { headers: { authorization } })).status;
      expect(await status(`bearer ${token}`)).toBe(200);
      expect(await status(`Basic ${token}`)).toBe(401);
      expect(await status(`Bearer ${token}, Bearer ${token}`)).toBe(401);
      expect(await status('Bearer ')).toBe(401);
    });

    it('takes no token out of the address', async () => {
      const token = await tokenFor('42');
      expect((await call(['GET', `/v1/presence/42?token=${token}&access_token=${token}`])).status).toBe(401);
    });

    it('answers HEAD like GET', async () => {
      expect((await call(['HEAD', '/v1/presence/42'])).status).toBe(401);
      expect((await call(['HEAD', '/v1/presence/9'], { token: await tokenFor('42') })).status).toBe(403);
      expect((await call(['HEAD', '/v1/presence/42'], { token: await tokenFor('42') })).status).toBe(200);
    });

    it('counts who was turned down, and why', async () => {
      const refused = async () => {
        const text = String((await call(admins.metrics, { token: ADMIN })).body);
        const of = (reason: string) => Number(new RegExp(`refused_total{reason="${reason}"} (\\d+)`).exec(text)?.[1]);
        return [of('unauthenticated'), of('forbidden')];
      };
      const [unauthenticated, forbidden] = (await refused()) as [number, number];
      await call(own.entry);
      await call(strangers['a stranger’s entry'], { token: await tokenFor('42') });
      expect(await refused()).toEqual([unauthenticated + 1, forbidden + 1]);
    });
  });

  describe('with the time of a token', () => {
    beforeAll(async () => {
      hub = await startTestHub({ transport, auth: 'jwt', jwtSecret: TEST_SECRET, adminToken: ADMIN });
    });
    afterAll(() => hub.stop());

    it('refuses it from the moment that it has expired', async () => {
      const token = await tokenFor('42', { expiresInS: 60, clock: hub.clock });
      hub.clock.pass(59_999);
      expect((await call(own.entry, { token })).status).toBe(200);
      hub.clock.pass(1);
      expect((await call(own.entry, { token })).status).toBe(401);
    });

    it.each([
      ['a long lease', { ttlMs: 60_000 }],
      ['the usual lease', {}],
    ])('lets %s of a heartbeat end with it (H6)', async (_which, fields) => {
      const token = await tokenFor('43', { expiresInS: 10, clock: hub.clock });
      const status = async () =>
        ((await call(['GET', '/v1/presence/43'], { token: ADMIN })).body as { status: string }).status;
      await call(['POST', '/v1/heartbeat', { user: '43', ...fields }], { token });
      hub.clock.pass(9_900);
      await hub.looked();
      expect(await status()).toBe('online');
      hub.clock.pass(200);
      await hub.until(async () => (await status()) === 'offline');
    });

    it('leaves a lease that ends before it as it is', async () => {
      const token = await tokenFor('44', { expiresInS: 60, clock: hub.clock });
      await call(['POST', '/v1/heartbeat', { user: '44', ttlMs: 1_000 }], { token });
      hub.clock.pass(1_100);
      await hub.until(
        async () =>
          ((await call(['GET', '/v1/presence/44'], { token })).body as { status: string }).status === 'offline',
      );
    });
  });

  it('answers 503 with Retry-After if the keys cannot be fetched', async () => {
    hub = await startTestHub({ transport, auth: 'jwt', jwksUrl: 'http://127.0.0.1:1/keys' });
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const token = `${part({ alg: 'RS256', kid: 'k' })}.${part({ sub: '42' })}.${'x'.repeat(342)}`;
    expect(await call(own.entry, { token })).toMatchObject({
      status: 503,
      headers: { 'retry-after': '1' },
      body: { detail: 'authorization: the token cannot be checked now: try again' },
    });
    expect((await call(free.health, { token })).status).toBe(200);
    await hub.stop();
  });

  describe('in open mode', () => {
    beforeAll(async () => {
      hub = await startTestHub({ transport });
      await befriend();
    });
    afterAll(() => hub.stop());

    it('lets everyone do all, and looks at no token', async () => {
      expect(await statuses()).toEqual(expected([all], 0));
      await befriend();
      expect(await statuses('whatever')).toEqual(expected([all], 0));
    });
  });

  describe('in open mode with an admin token', () => {
    beforeAll(async () => {
      hub = await startTestHub({ transport, adminToken: ADMIN });
      await befriend(ADMIN);
    });
    afterAll(() => hub.stop());

    it('keeps friend lists and metrics for the admin, asks for the token there, and leaves all else open (H19)', async () => {
      const { 'drop of a friend': drop, 'one-way drop of a friend': oneway, ...open } = own;
      expect([drop, oneway]).not.toContain(undefined);
      expect(await statuses()).toEqual(expected([open, strangers, foreign, free], 401));
    });

    it('lets the admin do all (H19)', async () => {
      expect(await statuses(ADMIN)).toEqual(expected([all], 0));
      await befriend(ADMIN);
    });

    it('refuses a wrong token wherever one is looked at', async () => {
      expect(await statuses(`${ADMIN}x`)).toEqual(expected([free], 401));
    });
  });
});

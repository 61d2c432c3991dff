/** Who calls: from a request's token to an identity or an answer. */
import { describe, expect, it } from 'vitest';
import { Callers, type Caller } from '../../../../server/adapters/http/callers.ts';
import { createOpenWithTokens, openAuthenticator, type Authenticator } from '../../../../server/auth/authenticator.ts';
import { everyone, everyoneButAdmin, type Identity, type Scope } from '../../../../server/auth/identity.ts';
import type { HttpRequest } from '../../../../server/sockets/port.ts';
import type { RefusalReason } from '../../../../shared/reasons.ts';
import { TestClock } from '../../../support/clock.ts';

const ADMIN_TOKEN = 'an-admin-token-for-tests';
const messages = { perS: 1, burst: 3 };

const bearerOf = (user: string | null, ...scopes: Scope[]): Identity => ({
  user,
  scopes: new Set(scopes),
  expiresAtMs: null,
  isOpen: false,
});

/** Tokens are names: of users, of a scope, or of what is wrong. */
const named: Authenticator = {
  withoutToken: null,
  verify: async (token) => {
    if (token === 'bad') return { ok: false, kind: 'refused', fault: 'signature', why: 'its signature is wrong' };
    if (token === 'late')
      return { ok: false, kind: 'unavailable', fault: 'busy', why: 'not verified', retryInMs: 4_001 };
    if (token === 'unknown') return { ok: false, kind: 'unavailable', fault: 'keys', why: 'no keys', retryInMs: 9_001 };
    if (token === 'admin' || token === 'observe') return { ok: true, identity: bearerOf(null, token) };
    return { ok: true, identity: bearerOf(token) };
  },
};

function openWithAdmin(): Authenticator {
  const made = createOpenWithTokens(ADMIN_TOKEN, null);
  if (!made.ok) throw new Error(made.problem);
  return made.value;
}

function stage(authenticator: Authenticator) {
  const refused: RefusalReason[] = [];
  const explained: string[] = [];
  const clock = new TestClock();
  const callers = new Callers({
    authenticator,
    messages,
    clock,
    onRefused: (reason) => void refused.push(reason),
    explainRefusal: (reason) => void explained.push(reason),
  });
  return { callers, refused, explained, clock };
}

function requestOf(authorization?: string, remoteAddress = '192.0.2.1'): HttpRequest {
  const headers = new Map(authorization === undefined ? [] : [['authorization', authorization]]);
  return { method: 'GET', path: '/', query: '', headers, remoteAddress, body: '' };
}

function statusOf(caller: Caller): number | Identity {
  return caller.ok ? caller.identity : caller.reply.status;
}

describe('open mode', () => {
  it('takes everyone for an admin at once, and looks at no token', () => {
    const { callers } = stage(openAuthenticator);
    expect(callers.identify(requestOf(), false)).toEqual({ ok: true, identity: everyone });
    expect(callers.identify(requestOf('Bearer whatever'), false)).toEqual({ ok: true, identity: everyone });
  });

  it('counts by address, an IPv6 one with its neighbours, and leaves bulk work alone', () => {
    const { callers, refused, clock } = stage(openAuthenticator);
    const call = (address: string, isBulk = false) =>
      statusOf(callers.identify(requestOf(undefined, address), isBulk) as Caller);
    for (let i = 0; i < 3; i++) expect(call(`2001:db8::${i}`)).toBe(everyone);
    expect(call('2001:db8::9')).toBe(429);
    expect(call('2001:db8:1::9')).toBe(everyone);
    for (let i = 0; i < 10; i++) expect(call('2001:db8::1', true)).toBe(everyone);
    expect(refused).toEqual(['messages']);
    clock.pass(2_000);
    expect(call('2001:db8::1')).toBe(everyone);
  });
});

describe('open mode with an admin token', () => {
  it('takes who brings none for everyone but the admin, at once', () => {
    const { callers } = stage(openWithAdmin());
    expect(callers.identify(requestOf(), false)).toEqual({ ok: true, identity: everyoneButAdmin });
    expect(callers.identify(requestOf('Basic eDp5'), false)).toEqual({ ok: true, identity: everyoneButAdmin });
  });

  it('takes the token, and refuses another with 401', async () => {
    const { callers, refused } = stage(openWithAdmin());
    expect(statusOf(await callers.identify(requestOf(`bearer ${ADMIN_TOKEN}`), false))).toEqual({
      ...everyone,
      tokenName: 'HUB_ADMIN_TOKEN 1',
    });
    expect(statusOf(await callers.identify(requestOf('Bearer another-token-for-tests'), false))).toBe(401);
    expect(refused).toEqual(['unauthenticated']);
  });

  it('requires a token if callers without one may not do it', () => {
    const { callers, refused } = stage(openWithAdmin());
    expect(callers.refuse(everyoneButAdmin)).toMatchObject({
      status: 401,
      headers: { 'www-authenticate': 'Bearer' },
    });
    expect(refused).toEqual(['unauthenticated']);
  });
});

describe('jwt mode', () => {
  it('asks for a token at once, and says the same of a bad one', async () => {
    const { callers } = stage(named);
    const without = callers.identify(requestOf(), false);
    const refusal = {
      ok: false,
      reply: {
        status: 401,
        headers: {
          'content-type': 'application/problem+json',
          'cache-control': 'no-store',
          'www-authenticate': 'Bearer',
        },
        body: '{"type":"/docs/errors/unauthenticated","title":"Unauthorized","status":401,"detail":"authorization: the token is missing, wrong or has expired"}',
      },
    };
    expect(without).toEqual(refusal);
    expect(await callers.identify(requestOf('Bearer bad'), false)).toEqual(refusal);
  });

  it('explains what was missing and what is not allowed', async () => {
    const { callers, explained } = stage(named);
    await callers.identify(requestOf(), false);
    callers.refuse(bearerOf('42'));
    expect(explained).toEqual(['missing', 'forbidden']);
  });

  it('says 503 and when to come back if it cannot be checked', async () => {
    const { callers, refused } = stage(named);
    const caller = await callers.identify(requestOf('Bearer unknown'), false);
    expect(caller).toMatchObject({ ok: false, reply: { status: 503, headers: { 'retry-after': '10' } } });
    expect(refused).toEqual(['unavailable']);
  });

  it('counts by user, whatever the address, and bulk work too', async () => {
    const { callers } = stage(named);
    const call = async (token: string, address: string, isBulk: boolean) =>
      statusOf(await callers.identify(requestOf(`Bearer ${token}`, address), isBulk));
    for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.3']) {
      expect(await call('42', address, true)).toMatchObject({ user: '42' });
    }
    expect(await call('42', '192.0.2.4', true)).toBe(429);
    expect(await call('7', '192.0.2.4', false)).toMatchObject({ user: '7' });
  });

  it('never limits an admin', async () => {
    const { callers } = stage(named);
    for (let i = 0; i < 10; i++) {
      expect((await callers.identify(requestOf('Bearer admin'), false)).ok).toBe(true);
    }
  });

  it('counts by address those without a good token, and lets good ones of that address be', async () => {
    const { callers, refused } = stage(named);
    const call = async (authorization?: string) => statusOf(await callers.identify(requestOf(authorization), false));
    const attempts = [await call(), await call('Bearer bad'), await call(), await call('Bearer bad'), await call()];
    expect(attempts).toEqual([401, 401, 401, 429, 429]);
    expect(await call('Bearer observe')).toMatchObject({ user: null });
    expect(await call('Bearer 42')).toMatchObject({ user: '42' });
    expect(refused).toEqual(['unauthenticated', 'unauthenticated', 'unauthenticated', 'messages', 'messages']);
  });

  it('counts by address those who are no user', async () => {
    const { callers } = stage(named);
    const call = async (address: string) =>
      statusOf(await callers.identify(requestOf('Bearer observe', address), false));
    for (let i = 0; i < 3; i++) expect(await call('192.0.2.1')).toMatchObject({ user: null });
    expect(await call('192.0.2.1')).toBe(429);
    expect(await call('192.0.2.2')).toMatchObject({ user: null });
  });

  it('says 429 and when to come back if a token was not verified, because too many bad ones came', async () => {
    const { callers, refused } = stage(named);
    const caller = await callers.identify(requestOf('Bearer late'), false);
    expect(caller).toMatchObject({ ok: false, reply: { status: 429, headers: { 'retry-after': '5' } } });
    expect(refused).toEqual(['messages']);
  });

  it('says so to a caller whose token does not allow it, whatever it asked for', () => {
    const { callers, refused } = stage(named);
    expect(callers.refuse(bearerOf('42'))).toMatchObject({ status: 403 });
    expect(refused).toEqual(['forbidden']);
  });
});

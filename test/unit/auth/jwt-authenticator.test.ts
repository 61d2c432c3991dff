/** A table of attempts to get in with a token that a secret signed, and the settings that stop a start. */
import { createHmac, generateKeyPairSync } from 'node:crypto';
import { SignJWT, UnsecuredJWT, type JWTPayload } from 'jose';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Authenticator } from '../../../server/auth/authenticator.ts';
import { createJwtAuthenticator, type JwtOptions } from '../../../server/auth/jwt-authenticator.ts';
import { TestClock } from '../../support/clock.ts';

const SECRET = '0123456789abcdef0123456789abcdef';
const ISSUER = 'https://login.example.com/';
const AUDIENCE = 'presence';
const ADMIN_TOKEN = 'correct-horse-battery';
const HERE = '192.0.2.1';
const badTokens = { perS: 200, burst: 2000 };

let clock: TestClock;
let authenticator: Authenticator;

beforeEach(() => {
  clock = new TestClock();
  authenticator = make({ secret: SECRET, issuer: ISSUER, audience: AUDIENCE, adminToken: ADMIN_TOKEN });
});

function make(options: Omit<JwtOptions, 'clock' | 'badTokens'>): Authenticator {
  const made = createJwtAuthenticator({ ...options, badTokens, clock });
  if (!made.ok) throw new Error(made.problem);
  return made.value;
}

const nowS = () => clock.wallMs / 1000;
const goodClaims = (): JWTPayload => ({ sub: '42', iss: ISSUER, aud: AUDIENCE, exp: nowS() + 60 });

function sign(claims: JWTPayload, { secret = SECRET, alg = 'HS256' } = {}): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg }).sign(Buffer.from(secret));
}

/** A token whose parts are as given, whatever jose would say of them. */
function forge(header: object, claims: object, signature: (input: string) => string = hmac): string {
  const input = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${input}.${signature(input)}`;
}
const hmac = (input: string) => createHmac('sha256', SECRET).update(input).digest('base64url');

describe('a good token', () => {
  it('makes its bearer the user of its sub, until its exp', async () => {
    expect(await authenticator.verify(await sign(goodClaims()), HERE)).toEqual({
      ok: true,
      identity: { user: '42', scopes: new Set(), expiresAtMs: clock.wallMs + 60_000, isOpen: false, tokenName: '42' },
    });
  });

  it('needs no exp, and never runs out then', async () => {
    const { exp: _none, ...claims } = goodClaims();
    const token = await sign(claims);
    clock.pass(10 * 365 * 86_400_000);
    expect(await authenticator.verify(token, HERE)).toMatchObject({ ok: true, identity: { expiresAtMs: null } });
  });

  it('may be for several audiences', async () => {
    const token = await sign({ ...goodClaims(), aud: ['other', AUDIENCE] });
    expect(await authenticator.verify(token, HERE)).toMatchObject({ ok: true });
  });

  it('may be of any issuer and audience if none is set', async () => {
    const token = await sign({ sub: '42', iss: 'x', aud: 'y' });
    expect(await make({ secret: SECRET }).verify(token, HERE)).toMatchObject({ ok: true });
  });

  it.each(['HS256', 'HS384', 'HS512'])('may be signed with %s (S4)', async (alg) => {
    expect(await authenticator.verify(await sign(goodClaims(), { alg }), HERE)).toMatchObject({ ok: true });
  });

  it('that becomes valid within 5 minutes is undecided, and good from 5 s before that moment on (S6)', async () => {
    const token = await sign({ ...goodClaims(), exp: nowS() + 900, nbf: nowS() + 300 });
    for (let leftS = 295; leftS > 0; leftS -= 5) {
      expect(await authenticator.verify(token, HERE)).toEqual({
        ok: false,
        kind: 'unavailable',
        fault: 'early',
        why: `it is not valid yet: its nbf is ${leftS + 5} s ahead of the hub’s clock; correct the clock of the issuer or of the hub`,
        retryInMs: Math.min(15_000, leftS * 1000),
      });
      clock.pass(5_000);
    }
    expect(await authenticator.verify(token, HERE)).toMatchObject({ ok: true });
  });

  it('may begin up to 5 s ahead of our clock (S6)', async () => {
    const token = await sign({ ...goodClaims(), nbf: nowS() + 5 });
    expect(await authenticator.verify(token, HERE)).toMatchObject({ ok: true });
  });

  it('is good until the millisecond of its exp, the second time as the first (S6)', async () => {
    const token = await sign(goodClaims());
    clock.pass(59_999);
    expect(await authenticator.verify(token, HERE)).toMatchObject({ ok: true });
    expect(await authenticator.verify(token, HERE)).toMatchObject({ ok: true });
    clock.pass(1);
    expect(await authenticator.verify(token, HERE)).toEqual({
      ok: false,
      kind: 'refused',
      fault: 'expired',
      why: 'it expired 0 s ago by the hub’s clock',
    });
  });

  it('is remembered as itself: another one beside it stays another', async () => {
    const seven = await sign({ ...goodClaims(), sub: '7' });
    await authenticator.verify(await sign(goodClaims()), HERE);
    expect(await authenticator.verify(seven, HERE)).toMatchObject({ ok: true, identity: { user: '7' } });
    expect(await authenticator.verify(seven, HERE)).toMatchObject({ ok: true, identity: { user: '7' } });
  });
});

describe('an attempt is refused', () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

  it.each<[string, () => string | Promise<string>, string]>([
    ['with nothing', () => '', 'it is not a readable signed token'],
    ['with words', () => 'let me in', 'it is not a readable signed token'],
    ['with two parts', () => 'a.b', 'it is not a readable signed token'],
    ['with parts that are no JSON', () => 'a.b.c', 'it is not a readable signed token'],
    ['with a list as claims', () => forge({ alg: 'HS256' }, []), 'it is not a readable signed token'],
    ['with alg none', () => new UnsecuredJWT(goodClaims()).encode(), 'its algorithm is "none"'],
    ['with alg none and a signature', () => forge({ alg: 'none' }, goodClaims()), 'its algorithm is "none"'],
    ['with alg None', () => forge({ alg: 'None' }, goodClaims()), 'its algorithm is "None"'],
    ['with an alg of 1,000 characters', () => forge({ alg: 'x'.repeat(1000) }, goodClaims()), `"${'x'.repeat(63)}…,`],
    ['without an alg', () => forge({}, goodClaims()), 'it is not a readable signed token'],
    [
      'with RS256',
      () => new SignJWT(goodClaims()).setProtectedHeader({ alg: 'RS256' }).sign(privateKey),
      'its algorithm is "RS256", and the hub takes HS256, HS384, HS512',
    ],
    [
      'with a key of its own in the header',
      () =>
        new SignJWT(goodClaims())
          .setProtectedHeader({
            alg: 'HS256',
            jwk: { kty: 'oct', k: Buffer.from('x'.repeat(32)).toString('base64url') } as never,
          })
          .sign(Buffer.from('x'.repeat(32))),
      'its signature is wrong',
    ],
    ['with a wrong key', () => sign(goodClaims(), { secret: SECRET.toUpperCase() }), 'its signature is wrong'],
    ['without a signature', () => forge({ alg: 'HS256' }, goodClaims(), () => ''), 'its signature is wrong'],
    [
      'with claims changed after the signing',
      async () => {
        const [header, , signature] = (await sign(goodClaims())).split('.');
        const claims = Buffer.from(JSON.stringify({ ...goodClaims(), sub: '7' })).toString('base64url');
        return [header, claims, signature].join('.');
      },
      'its signature is wrong',
    ],
    [
      'from another issuer',
      () => sign({ ...goodClaims(), iss: 'https://evil.example' }),
      'its iss is "https://evil.example": HUB_JWT_ISSUER is ',
    ],
    ['without an issuer', () => sign({ sub: '42', aud: AUDIENCE }), 'its iss is missing'],
    [
      'for another audience',
      () => sign({ ...goodClaims(), aud: 'billing' }),
      'its aud is "billing": HUB_JWT_AUDIENCE is ',
    ],
    ['without an audience', () => sign({ sub: '42', iss: ISSUER }), 'its aud is missing'],
    ['expired', () => sign({ ...goodClaims(), exp: nowS() - 60 }), 'it expired 60 s ago'],
    ['expired this moment', () => sign({ ...goodClaims(), exp: nowS() }), 'it expired 0 s ago'],
    [
      'with a text as exp',
      () => forge({ alg: 'HS256' }, { ...goodClaims(), exp: '9999999999' }),
      'its exp does not match',
    ],
    ['more than 5 minutes early', () => sign({ ...goodClaims(), nbf: nowS() + 301 }), 'its nbf is 301 s ahead'],
    ['with a text as nbf', () => forge({ alg: 'HS256' }, { ...goodClaims(), nbf: 'soon' }), 'its nbf is not a number'],
    ['without a sub or scope', () => sign({ iss: ISSUER, aud: AUDIENCE }), 'it has no sub, and no scope'],
    [
      'with a number as sub',
      () => forge({ alg: 'HS256' }, { ...goodClaims(), sub: 42 }),
      'its sub is the number 42: it must be a string',
    ],
    ['with a sub that is no user id', () => sign({ ...goodClaims(), sub: 'a b' }), 'its sub is "a b", which is not'],
    [
      'with a critical extension',
      () => forge({ alg: 'HS256', crit: ['x'], x: 1 }, goodClaims()),
      'it is not a readable signed token',
    ],
    ['8 KiB and a byte long', () => 'x'.repeat(8193), 'it has 8193 characters'],
    ['good but 9 KiB long', () => sign({ ...goodClaims(), pad: 'x'.repeat(9000) }), 'characters'],
    ['with what is nearly the admin token', () => `${ADMIN_TOKEN}!`, 'it is not a readable signed token'],
  ])('%s (S4)', async (_what, attempt, why) => {
    const token = await attempt();
    const verdict = await authenticator.verify(token, HERE);
    expect(verdict).toMatchObject({ ok: false, kind: 'refused', why: expect.stringContaining(why) as unknown });
    // Of the token itself nothing but its algorithm, its key id and signed claims may be logged.
    if (token.length > 20) expect(JSON.stringify(verdict)).not.toContain(token.slice(-20));
  });

  it('with HMAC under the public key, if the setting is an issuer’s keys', async () => {
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const token = await sign(goodClaims(), { secret: pem });
    const withKeys = make({ jwksUrl: 'http://127.0.0.1:9/keys' });
    expect(await withKeys.verify(token, HERE)).toMatchObject({
      kind: 'refused',
      why: 'its algorithm is "HS256", and the hub takes RS256, PS256, ES256, EdDSA',
    });
  });

  it('the second time as the first', async () => {
    const token = await sign(goodClaims(), { secret: SECRET.toUpperCase() });
    await authenticator.verify(token, HERE);
    expect(await authenticator.verify(token, HERE)).toMatchObject({ ok: false });
  });
});

describe('the admin token', () => {
  it('makes its bearer admin and no user', async () => {
    expect(await authenticator.verify(ADMIN_TOKEN, HERE)).toEqual({
      ok: true,
      identity: {
        user: null,
        scopes: new Set(['admin']),
        expiresAtMs: null,
        isOpen: false,
        tokenName: 'HUB_ADMIN_TOKEN 1',
      },
    });
  });

  it('opens nothing if none is set', async () => {
    expect(await make({ secret: SECRET }).verify(ADMIN_TOKEN, HERE)).toMatchObject({ ok: false });
  });
});

describe('without a token', () => {
  it('nobody is anybody', () => {
    expect(authenticator.withoutToken).toBeNull();
  });
});

describe('the start is stopped', () => {
  it.each<[string, Omit<JwtOptions, 'clock' | 'badTokens'>, RegExp]>([
    ['by neither secret nor keys', {}, /set HUB_JWT_SECRET or HUB_JWKS_URL/],
    ['by both', { secret: SECRET, jwksUrl: 'https://x/keys' }, /HUB_JWT_SECRET and HUB_JWKS_URL are both set/],
    ['by a secret of 31 bytes', { secret: SECRET.slice(1) }, /^HUB_JWT_SECRET has 31 bytes/],
    ['by no secret', { secret: '' }, /^HUB_JWT_SECRET has 0 bytes/],
    ['by keys in a file', { jwksUrl: 'file:///etc/keys.json' }, /^HUB_JWKS_URL must/],
    ['by keys nowhere', { jwksUrl: 'login.example.com/keys' }, /^HUB_JWKS_URL must/],
    ['by a password for the keys', { jwksUrl: 'https://a:b@x/keys' }, /^HUB_JWKS_URL must/],
    ['by a short admin token', { secret: SECRET, adminToken: 'fifteen-chars-1' }, /^HUB_ADMIN_TOKEN must/],
  ])('%s, and the sentence shows no secret', (_what, options, problem) => {
    const made = createJwtAuthenticator({ ...options, badTokens, clock });
    expect(made).toEqual({ ok: false, problem: expect.stringMatching(problem) as unknown });
    const hidden = [options.secret, options.adminToken].find((one) => one !== undefined && one !== '');
    if (hidden !== undefined) expect(JSON.stringify(made)).not.toContain(hidden);
  });

  it('not by a secret of 32 bytes in fewer letters', () => {
    expect(createJwtAuthenticator({ secret: 'é'.repeat(16), badTokens, clock })).toMatchObject({ ok: true });
  });
});

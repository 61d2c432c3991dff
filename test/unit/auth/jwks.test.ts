/** Tokens checked with an issuer's keys, which a real server hands out, rotates, withdraws and stops handing out. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Authenticator, Verdict } from '../../../server/auth/authenticator.ts';
import { KEYS_COOLDOWN_MS, KEYS_MAX_AGE_MS, KEYS_RETRY_MS } from '../../../server/auth/jwks.ts';
import { createJwtAuthenticator } from '../../../server/auth/jwt-authenticator.ts';
import { TestClock } from '../../support/clock.ts';

interface Key {
  readonly jwk: JWK;
  readonly privateKey: CryptoKey;
  readonly alg: string;
}

const HERE = '192.0.2.1';
const REFUSED = { ok: false, kind: 'refused', fault: 'key', why: expect.stringContaining('no key') as string };
const unavailable = (retryInMs: number) => ({
  ok: false,
  kind: 'unavailable',
  fault: 'keys',
  why: 'the keys that would check it can’t be fetched now',
  retryInMs,
});

let old: Key;
let fresh: Key;
beforeAll(async () => {
  [old, fresh] = await Promise.all([createKey('RS256', 'old'), createKey('RS256', 'fresh')]);
});

async function createKey(alg: string, kid?: string): Promise<Key> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = await exportJWK(publicKey);
  return { jwk: kid === undefined ? jwk : { ...jwk, kid }, privateKey, alg };
}

let server: Server;
let handsOut: readonly Key[];
let answersWith: 'keys' | 'an error' | 'no JSON' | 'a redirect' | 'the end of the connection' | 'an endless answer';
let fetches: number;
let failures: string[];
let clock: TestClock;
let authenticator: Authenticator;

beforeEach(async () => {
  handsOut = [old];
  answersWith = 'keys';
  fetches = 0;
  failures = [];
  clock = new TestClock();
  server = createServer((request, response) => {
    fetches += 1;
    if (answersWith === 'the end of the connection') request.socket.destroy();
    else if (answersWith === 'an error') response.writeHead(500).end(keySet());
    else if (answersWith === 'a redirect') response.writeHead(302, { location: '/elsewhere' }).end();
    else if (answersWith === 'no JSON') response.end('<html>');
    else if (answersWith === 'an endless answer') flood(response);
    else response.end(keySet());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  authenticator = createAuthenticator();
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** Writes until the other end has had enough. */
function flood(response: ServerResponse): void {
  response.write(' '.repeat(65_536), (error) => {
    // Node.js 26 calls this for a closed connection before it marks the response as destroyed.
    if (!error && !response.destroyed) flood(response);
  });
}

const keySet = () => JSON.stringify({ keys: handsOut.map(({ jwk }) => jwk) });

function createAuthenticator(): Authenticator {
  const made = createJwtAuthenticator({
    jwksUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`,
    badTokens: { perS: 200, burst: 2000 },
    clock,
    onKeysFailure: (why) => failures.push(why),
  });
  if (!made.ok) throw new Error(made.problem);
  return made.value;
}

let serial = 0;
/** A token never seen before, so that no memory of tokens answers in place of the keys. */
function sign(key: Key, header: { readonly kid?: string } = {}): Promise<string> {
  const kid = header.kid ?? key.jwk.kid;
  const claims = { sub: '42', jti: String((serial += 1)) };
  return new SignJWT(claims)
    .setProtectedHeader({ alg: key.alg, ...(kid !== undefined && { kid }) })
    .sign(key.privateKey);
}
const attempt = async (key: Key, header?: { readonly kid?: string }): Promise<Verdict> =>
  authenticator.verify(await sign(key, header), HERE);

describe('a key set', () => {
  it.each(['RS256', 'PS256', 'ES256', 'EdDSA'])('lets in a token signed with %s (S4)', async (alg) => {
    const key = await createKey(alg, 'it');
    handsOut = [old, key];
    expect(await attempt(key)).toMatchObject({ ok: true, identity: { user: '42' } });
  });

  it.each(['RS512', 'ES384'])('refuses a token signed with %s, though the key is there', async (alg) => {
    const key = await createKey(alg, 'it');
    handsOut = [key];
    expect(await attempt(key)).toMatchObject({
      ok: false,
      why: `its algorithm is "${alg}", and the hub takes RS256, PS256, ES256, EdDSA`,
    });
  });

  it('is fetched once for many tokens, those that come at once too', async () => {
    const verdicts = await Promise.all(Array.from({ length: 20 }, () => attempt(old)));
    verdicts.push(await attempt(old));
    expect(verdicts.every(({ ok }) => ok)).toBe(true);
    expect(fetches).toBe(1);
  });

  it('refuses a token that another key signed in the name of one of its own', async () => {
    expect(await attempt(fresh, { kid: 'old' })).toMatchObject({ ok: false, fault: 'signature' });
  });

  it('refuses a token if its key for it can’t be used', async () => {
    handsOut = [{ ...old, jwk: { kty: 'RSA', kid: 'old', n: 'AQAB', e: 'AQAB' } }];
    expect(await attempt(old)).toMatchObject({ ok: false, kind: 'refused' });
  });

  it('finds the key of a token that names none', async () => {
    const [one, other, third] = await Promise.all([createKey('ES256'), createKey('ES256'), createKey('ES256')]);
    handsOut = [one, other];
    expect(await attempt(other)).toMatchObject({ ok: true });
    clock.pass(KEYS_COOLDOWN_MS);
    expect(await attempt(third)).toMatchObject({ ok: false, kind: 'refused', fault: 'signature' });
  });
});

describe('a rotation', () => {
  it('is noticed by the first token of the new key', async () => {
    await attempt(old);
    handsOut = [old, fresh];
    clock.pass(KEYS_COOLDOWN_MS);
    expect(await attempt(fresh)).toMatchObject({ ok: true });
    expect(await attempt(old)).toMatchObject({ ok: true });
    expect(fetches).toBe(2);
  });

  it('ends tokens of the old key once the keys are fetched again, at most 10 minutes later (S4)', async () => {
    await attempt(old);
    handsOut = [fresh];
    clock.pass(KEYS_MAX_AGE_MS - 1);
    expect(await attempt(old)).toMatchObject({ ok: true });
    clock.pass(1);
    expect(await attempt(old)).toEqual(REFUSED);
    expect(await attempt(fresh)).toMatchObject({ ok: true });
  });

  it('ends a token of the old key that was let in before, a minute after that at most', async () => {
    const token = await sign(old);
    clock.pass(1);
    await authenticator.verify(await sign(old), HERE);
    clock.pass(KEYS_MAX_AGE_MS - 1);
    expect(await authenticator.verify(token, HERE)).toMatchObject({ ok: true });
    handsOut = [fresh];
    clock.pass(59_999);
    expect(await attempt(fresh)).toMatchObject({ ok: true });
    expect(await authenticator.verify(token, HERE)).toMatchObject({ ok: true });
    clock.pass(1);
    // A key that is not known may be a new one, until the keys are fetched again.
    expect(await authenticator.verify(token, HERE)).toMatchObject({ kind: 'unavailable' });
    clock.pass(KEYS_COOLDOWN_MS);
    expect(await authenticator.verify(token, HERE)).toEqual(REFUSED);
  });

  it('leaves a token of the new key undecided while the keys may not be fetched again', async () => {
    await attempt(old);
    handsOut = [old, fresh];
    clock.pass(1_000);
    expect(await attempt(fresh)).toEqual(unavailable(KEYS_COOLDOWN_MS - 1_000));
    clock.pass(KEYS_COOLDOWN_MS - 1_000);
    expect(await attempt(fresh)).toMatchObject({ ok: true });
    expect(fetches).toBe(2);
  });

  it.each<[string, string | undefined]>([
    ['without key ids', undefined],
    ['with key ids', 'it'],
  ])('%s is noticed while others bring forged tokens, and no more is fetched than may be', async (_, kid) => {
    const [before, after, forged] = await Promise.all([
      createKey('ES256', kid === undefined ? kid : 'before'),
      createKey('ES256', kid === undefined ? kid : 'after'),
      createKey('ES256'),
    ]);
    handsOut = [before];
    await attempt(before);
    handsOut = [after];
    let waitedMs = 0;
    for (; waitedMs <= 25_000; waitedMs += 500) {
      await attempt(forged, { kid: `made-up-${waitedMs}` });
      await attempt(forged);
      const verdict = await attempt(after);
      if (verdict.ok) break;
      expect(verdict).toMatchObject({ kind: 'unavailable' });
      clock.pass(500);
    }
    expect(waitedMs).toBe(KEYS_COOLDOWN_MS);
    expect(fetches).toBe(2);
  });

  it('is not asked for again and again by made-up key ids, which are refused once the keys are newer than they', async () => {
    const madeUp = Array.from({ length: 30 }, (_unused, i) => `made-up-${i}`);
    expect(await attempt(fresh, { kid: 'made-up-0' })).toEqual(REFUSED);
    for (const kid of madeUp.slice(1)) expect(await attempt(fresh, { kid })).toEqual(unavailable(KEYS_COOLDOWN_MS));
    expect(fetches).toBe(1);
    clock.pass(KEYS_COOLDOWN_MS);
    for (const kid of madeUp) expect(await attempt(fresh, { kid })).toEqual(REFUSED);
    expect(fetches).toBe(2);
  });

  it('remembers no more than a fixed number of made-up key ids', async () => {
    await attempt(old);
    const madeUp = Array.from({ length: 1_200 }, (_unused, i) => `made-up-${i}`);
    for (const kid of madeUp) await attempt(fresh, { kid });
    clock.pass(KEYS_COOLDOWN_MS);
    await attempt(fresh, { kid: 'another' });
    expect(await attempt(fresh, { kid: 'made-up-1199' })).toEqual(REFUSED);
    // Forgotten, so it counts as new.
    expect(await attempt(fresh, { kid: 'made-up-0' })).toEqual(unavailable(KEYS_COOLDOWN_MS));
  });
});

describe('an issuer that is not there', () => {
  it.each(['an error', 'no JSON', 'a redirect', 'the end of the connection'] as const)(
    'with %s for an answer, makes a token neither good nor bad',
    async (answer) => {
      answersWith = answer;
      expect(await attempt(old)).toEqual(unavailable(KEYS_RETRY_MS));
      expect(failures).toEqual([expect.stringContaining('HUB_JWKS_URL')]);
    },
  );

  it('with an endless answer is given up', async () => {
    answersWith = 'an endless answer';
    expect(await attempt(old)).toEqual(unavailable(KEYS_RETRY_MS));
    expect(failures).toEqual([expect.stringContaining('longer than')]);
  });

  it('is asked once a second, and used as soon as it is back', async () => {
    answersWith = 'an error';
    for (let i = 0; i < 10; i += 1) expect(await attempt(old)).toEqual(unavailable(KEYS_RETRY_MS));
    expect(fetches).toBe(1);
    answersWith = 'keys';
    clock.pass(KEYS_RETRY_MS);
    expect(await attempt(old)).toMatchObject({ ok: true });
  });

  it('leaves its keys in use, however long it is away', async () => {
    await attempt(old);
    answersWith = 'the end of the connection';
    for (let hour = 0; hour < 5; hour += 1) {
      clock.pass(3_600_000);
      expect(await attempt(old)).toMatchObject({ ok: true });
    }
    expect(failures.length).toBeGreaterThan(0);
  });

  it('leaves a token of a key never seen undecided until it is back', async () => {
    await attempt(old);
    answersWith = 'an error';
    clock.pass(KEYS_COOLDOWN_MS);
    expect(await attempt(fresh)).toEqual(unavailable(KEYS_RETRY_MS));
    expect(await attempt(fresh)).toEqual(unavailable(KEYS_RETRY_MS));
    expect(await attempt(old)).toMatchObject({ ok: true });
    answersWith = 'keys';
    handsOut = [old, fresh];
    clock.pass(KEYS_RETRY_MS);
    expect(await attempt(fresh)).toMatchObject({ ok: true });
  });
});

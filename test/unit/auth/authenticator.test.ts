/** The open modes, the admin token, and where a token stands in a header. */
import { describe, expect, it } from 'vitest';
import {
  createOpenWithTokens,
  openAuthenticator,
  readBearer,
  type Authenticator,
} from '../../../server/auth/authenticator.ts';
import { mayAdmin, mayClaim, mayWatchFriendsOf } from '../../../server/auth/policy.ts';

const ADMIN_TOKEN = 'correct-horse-battery';
const HERE = '192.0.2.1';

function openWithAdmin(): Authenticator {
  const made = createOpenWithTokens(ADMIN_TOKEN, null);
  if (!made.ok) throw new Error(made.problem);
  return made.value;
}

describe('open mode', () => {
  it('makes everyone admin and any user, without a token and with any', async () => {
    const verdict = await openAuthenticator.verify('whatever', HERE);
    expect(verdict).toEqual({ ok: true, identity: openAuthenticator.withoutToken });
    expect(mayAdmin(openAuthenticator.withoutToken!)).toBe(true);
    expect(mayClaim(openAuthenticator.withoutToken!, '42')).toBe(true);
  });
});

describe('open mode with an admin token', () => {
  it('lets one without a token be any user and watch anyone, and be no admin', () => {
    const anybody = openWithAdmin().withoutToken!;
    expect(mayClaim(anybody, '42')).toBe(true);
    expect(mayWatchFriendsOf(anybody, '42')).toBe(true);
    expect(mayAdmin(anybody)).toBe(false);
  });

  it('makes the bearer of the token admin (S7)', async () => {
    const verdict = await openWithAdmin().verify(ADMIN_TOKEN, HERE);
    expect(verdict.ok && mayAdmin(verdict.identity) && mayClaim(verdict.identity, '42')).toBe(true);
  });

  it.each([
    ['another of its length', 'correct-horse-batterx'],
    ['its beginning', 'correct-horse-batter'],
    ['it and more', `${ADMIN_TOKEN}x`],
    ['nothing', ''],
    ['a megabyte', 'x'.repeat(1_000_000)],
  ])('refuses %s, and does not say what came', async (_what, token) => {
    expect(await openWithAdmin().verify(token, HERE)).toEqual({
      ok: false,
      kind: 'refused',
      fault: 'admin',
      why: 'it is not HUB_ADMIN_TOKEN',
    });
  });

  it.each([
    ['short'],
    ['fifteen-chars-1'],
    ['sixteen chars and a space'],
    ['sixteen-chars-ünd'],
    ['sixteen-characters\n'],
  ])('does not start with %j as the token (S7)', (token) => {
    expect(createOpenWithTokens(token, null)).toEqual({
      ok: false,
      problem: expect.stringMatching(/^HUB_ADMIN_TOKEN must/) as unknown,
    });
  });
});

describe('the token of a header', () => {
  it.each<[string | undefined, string | undefined]>([
    ['Bearer a.b.c', 'a.b.c'],
    ['bearer a.b.c', 'a.b.c'],
    ['  BEARER   a.b.c  ', 'a.b.c'],
    ['Bearer a, Bearer b', 'a, Bearer b'],
    [undefined, undefined],
    ['', undefined],
    ['Bearer', undefined],
    ['Bearer  ', undefined],
    ['Bearera.b.c', undefined],
    ['Basic dXNlcjpwYXNz', undefined],
    ['a.b.c', undefined],
  ])('%j is %j', (header, token) => {
    expect(readBearer(header)).toBe(token);
  });
});

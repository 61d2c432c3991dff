/** Who a token's claims speak of. */
import { describe, expect, it } from 'vitest';
import { identityOf } from '../../../server/auth/identity.ts';

describe('the user of a token (S5)', () => {
  it('is its sub', () => {
    expect(identityOf({ sub: '42' })).toEqual({
      user: '42',
      scopes: new Set(),
      expiresAtMs: null,
      isOpen: false,
      tokenName: '42',
    });
  });

  it.each([['nothing'], ['auth0|7'], [''], ['..'], [42], [null], [['42']]])(
    'makes no identity when sub is %j and there is no scope',
    (sub) => {
      expect(identityOf(sub === 'nothing' ? {} : { sub })).toBeUndefined();
    },
  );

  it.each([['nothing'], ['auth0|7'], [42]])('is nobody when sub is %j, and the scope counts', (sub) => {
    const claims = sub === 'nothing' ? {} : { sub };
    expect(identityOf({ ...claims, scope: 'observe' })).toMatchObject({ user: null, scopes: new Set(['observe']) });
  });
});

describe('the scopes of a token (S5)', () => {
  it.each<[string, Record<string, unknown>, string[]]>([
    ['a text with one', { scope: 'observe' }, ['observe']],
    ['a text with both among others', { scope: 'openid admin  email observe' }, ['admin', 'observe']],
    ['the narrower scopes', { scope: 'metrics roster read' }, ['metrics', 'read', 'roster']],
    ['a list named scopes', { scopes: ['admin', 'x'] }, ['admin']],
    ['a list named scp', { scp: ['observe'] }, ['observe']],
    ['a text named scp', { scp: 'observe' }, ['observe']],
    ['several claims at once', { scope: 'observe', scp: ['admin'] }, ['admin', 'observe']],
    ['another case', { scope: 'Admin ADMIN' }, []],
    ['a longer word', { scope: 'admins observe:all' }, []],
    ['commas', { scope: 'admin,observe' }, []],
    ['what is neither text nor list', { scope: { admin: true }, scopes: 1, scp: [['admin'], null] }, []],
  ])('are read from %s', (_what, claims, scopes) => {
    expect([...(identityOf({ sub: '42', ...claims })?.scopes ?? ['none'])].sort()).toEqual(scopes);
  });
});

describe('the end of a token', () => {
  it.each<[unknown, number | null]>([
    [1_767_225_600, 1_767_225_600_000],
    [1_767_225_600.5, 1_767_225_600_500],
    [1e300, Number.MAX_SAFE_INTEGER],
    [Infinity, Number.MAX_SAFE_INTEGER],
    [undefined, null],
  ])('is, for an exp of %s, at %s', (exp, expiresAtMs) => {
    expect(identityOf({ sub: '42', exp })?.expiresAtMs).toBe(expiresAtMs);
  });
});

import { describe, expect, test } from 'vitest';
import { parseRules, publicUrl, ruleOfSettings, type Rule } from '../../../server/webhooks/rules.ts';

const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
const mail = { name: 'mail', url: 'https://shop.example/hook', secret };

function read(...rules: object[]): readonly Rule[] {
  const parsed = parseRules(JSON.stringify(rules));
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.value;
}

function problemOf(...rules: unknown[]): string {
  const parsed = parseRules(JSON.stringify(rules));
  return parsed.ok ? 'none' : parsed.problem;
}

test('a rule with only a name, a URL and a secret wants every change of status of every user at once', () => {
  const [rule] = read(mail);
  expect(rule?.includesUser('42')).toBe(true);
  expect([...(rule?.on ?? [])]).toEqual(['online', 'away', 'busy', 'offline']);
  expect(rule).toMatchObject({ name: 'mail', afterMs: 0, events: 'status', secrets: [Buffer.alloc(24, 7)] });
});

test('users are ids, or prefixes that end in a star', () => {
  const [rule] = read({ ...mail, users: ['42', 'bot-*'] });
  expect(['42', 'bot-', 'bot-7', '421', 'robot-1'].filter((user) => rule?.includesUser(user))).toEqual([
    '42',
    'bot-',
    'bot-7',
  ]);
});

test('an empty list of users is nobody, and a star alone is everybody', () => {
  expect(read({ ...mail, users: [] })[0]?.includesUser('42')).toBe(false);
  expect(read({ ...mail, users: ['*'] })[0]?.includesUser('42')).toBe(true);
});

test('several secrets are separated by spaces', () => {
  const next = `whsec_${Buffer.alloc(64, 9).toString('base64')}`;
  expect(read({ ...mail, secret: `${secret}  ${next}` })[0]?.secrets).toHaveLength(2);
});

test('the address in logs has no user info, query or fragment', () => {
  const [rule] = read({ ...mail, url: 'https://u:p@shop.example:8443/a/b?key=s#f' });
  expect(rule && publicUrl(rule.url)).toBe('https://shop.example:8443/a/b');
});

describe('a file is refused with the rule and the field', () => {
  test.each([
    [[7], 'rule 1 must be an object'],
    [[{ ...mail, name: 'a b' }], 'rule 1: name must be 1 to 64 characters'],
    [[mail, mail], 'two rules are named "mail"'],
    [[{ ...mail, url: 'ftp://shop.example' }], 'rule 1: url must be an http:// or https:// URL'],
    [[{ ...mail, url: 'http://a%zz@shop.example' }], 'rule 1: url'],
    [[{ ...mail, url: 7 }], 'rule 1: url'],
    [[{ name: 'a', url: 'http://a' }], 'rule 1: secret must be whsec_'],
    [[{ ...mail, secret: 'whsec_c2hvcnQ=' }], 'rule 1: secret must be whsec_'],
    [[{ ...mail, secret: `${secret} x` }], 'rule 1: secret must be whsec_'],
    [[mail, { ...mail, name: 'b', users: ['a*b'] }], 'rule 2: users.0 must be a list of user ids'],
    [[{ ...mail, on: ['gone'] }], 'rule 1: on.0 must be a list of online, away, busy, offline'],
    [[{ ...mail, on: [] }], 'rule 1: on must name at least one status'],
    [[{ ...mail, on: ['invisible'] }], 'rule 1: on.0'],
    [[{ ...mail, afterMs: -1 }], 'rule 1: afterMs must be a whole number from 0 to'],
    [[{ ...mail, afterMs: 1.5 }], 'rule 1: afterMs'],
    [[{ ...mail, events: 'some' }], 'rule 1: events must be "status" or "all"'],
    [[{ ...mail, user: '42' }], 'rule 1 has an unknown field "user"'],
  ])('%j', (rules, problem) => {
    expect(problemOf(...rules)).toContain(problem);
    expect(problemOf(...rules)).not.toContain(secret);
  });

  test('if it is not JSON, not a list, or too long', () => {
    expect(parseRules('{')).toMatchObject({ problem: expect.stringContaining('not JSON') as string });
    expect(parseRules('{}')).toMatchObject({ problem: expect.stringContaining('must be a list') as string });
    const many = Array.from({ length: 101 }, (_, n) => ({ ...mail, name: `r${n}` }));
    expect(problemOf(...many)).toContain('at most 100');
  });
});

describe('the rule of the two settings', () => {
  test('is for all users', () => {
    const rule = ruleOfSettings('http://127.0.0.1:9/x', secret);
    expect(rule).toMatchObject({ ok: true, value: { name: 'default', afterMs: 0, events: 'status' } });
  });

  test.each([
    ['shop.example', secret, 'HUB_WEBHOOK_URL must be'],
    ['https://shop.example', null, 'HUB_WEBHOOK_SECRET is not'],
    ['https://shop.example', 'abc', 'HUB_WEBHOOK_SECRET must be whsec_'],
  ])('%s with %s names the wrong setting', (url, given, problem) => {
    expect(ruleOfSettings(url, given)).toMatchObject({ problem: expect.stringContaining(problem) as string });
  });
});

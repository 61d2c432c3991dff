import { describe, expect, test } from 'vitest';
import { isSameTarget, parseTargets, type Target } from '../../../../server/adapters/poll/targets.ts';

const good = { user: '42', url: 'tcp://127.0.0.1:7' };

function targetsIn(value: unknown): readonly Target[] {
  const parsed = parseTargets(JSON.stringify(value));
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.value;
}

function problemIn(value: unknown): string {
  const parsed = parseTargets(typeof value === 'string' ? value : JSON.stringify(value));
  if (parsed.ok) throw new Error('it was taken');
  return parsed.problem;
}

describe('a file of targets (P1)', () => {
  test('may be a list, or an object that holds one, with a byte order mark or without', () => {
    expect(targetsIn([good])).toEqual(targetsIn({ targets: [good] }));
    expect(parseTargets(`\uFEFF${JSON.stringify([good])}`)).toMatchObject({ ok: true });
    expect(targetsIn([])).toEqual([]);
  });

  test('has defaults for all but user and url', () => {
    expect(targetsIn([good])).toEqual([
      {
        user: '42',
        device: 'poll',
        url: 'tcp://127.0.0.1:7',
        endpoint: { kind: 'tcp', host: '127.0.0.1', port: 7 },
        address: '127.0.0.1:7',
        everyMs: 10_000,
        timeoutMs: 2_000,
        failures: 3,
      },
    ]);
  });

  test('has a default timeout that is no longer than the time between two polls', () => {
    expect(targetsIn([{ ...good, everyMs: 500 }])[0]?.timeoutMs).toBe(500);
  });

  test('may have a user twice with two devices, but not twice with one', () => {
    expect(targetsIn([good, { ...good, device: 'desk' }])).toHaveLength(2);
    expect(problemIn([good, { user: '7', url: good.url }, { ...good, url: 'tcp://127.0.0.1:8', device: 'poll' }])).toBe(
      'targets[2] has the user 42 and the device "poll" of targets[0]: give one of them another device, or remove it',
    );
  });

  test.each([
    ['nope', /^it is not JSON.*the file must hold a JSON list/],
    ['', /^it is not JSON/],
    ['[\n  {},\n  oops secret\n]', /^it is not JSON( \(line 3\))?; the file must hold/],
    ['{}', /the file must hold a JSON list/],
    ['null', /the file must hold a JSON list/],
    [{ targets: [], every: 1 }, /it has "every" beside "targets": remove it/],
    [[good, 7], /^targets\[1\] is the number 7: it must be an object with user and url$/],
    [[good, [good]], /^targets\[1\] is a list/],
    [[null], /^targets\[0\] is null/],
    [[{ ...good, everyms: 1 }], /^targets\[0\] has a field "everyms": remove it; the fields are user, url, device/],
    [[{ url: good.url }], /^targets\[0\]\.user is missing: it must be 1 to 128 characters out of/],
    [[{ ...good, user: 42 }], /^targets\[0\]\.user is the number 42: it must be 1 to 128 characters .* in quotes$/],
    [[{ ...good, user: 'a b' }], /^targets\[0\]\.user is "a b"/],
    [[{ ...good, device: '' }], /^targets\[0\]\.device is "": it must be 1 to 64 characters/],
    [[{ ...good, device: 'a\nb' }], /^targets\[0\]\.device is "a\\nb"/],
    [[{ ...good, everyMs: 99 }], /^targets\[0\]\.everyMs is the number 99: it must be a whole number from 100 to 864/],
    [[{ ...good, everyMs: '1000' }], /^targets\[0\]\.everyMs is "1000": it must be a whole number/],
    [[{ ...good, everyMs: 1000.5 }], /^targets\[0\]\.everyMs is the number 1000\.5/],
    [[{ ...good, timeoutMs: 49 }], /^targets\[0\]\.timeoutMs is the number 49: it must be a whole number from 50 to 6/],
    [
      [{ ...good, everyMs: 1000, timeoutMs: 1001 }],
      /^targets\[0\]\.timeoutMs is 1001, longer than its everyMs of 1000: give at most 1000, or a longer everyMs$/,
    ],
    [[{ ...good, failures: 0 }], /^targets\[0\]\.failures is the number 0: it must be a whole number from 1 to 100$/],
    [[{ ...good, failures: true }], /^targets\[0\]\.failures is true/],
    [[{ user: '42' }], /^targets\[0\]\.url \(of the user 42\) is missing: it must be tcp:\/\/host:port, http/],
    [[{ user: '42', url: 7 }], /^targets\[0\]\.url \(of the user 42\) is the number 7/],
  ])('is refused in words that say where and what would do: %j', (value, problem) => {
    expect(problemIn(value)).toMatch(problem);
  });
});

describe('the url of a target', () => {
  test.each([
    ['tcp://example.org:60001', 'example.org', 60001, 'example.org:60001'],
    ['TCP://Example.ORG:80/', 'example.org', 80, 'example.org:80'],
    ['tcp://[::1]:9', '::1', 9, '[::1]:9'],
    ['tcp://bücher.example:443', 'xn--bcher-kva.example', 443, 'xn--bcher-kva.example:443'],
  ])('%s is a TCP endpoint', (url, host, port, address) => {
    expect(targetsIn([{ user: '1', url }])[0]).toMatchObject({ endpoint: { kind: 'tcp', host, port }, address });
  });

  test.each([
    ['http://example.org', 'example.org:80'],
    ['https://example.org/alive?x=1', 'example.org:443'],
    ['http://[::1]:8080/', '[::1]:8080'],
    ['https://name:secret@example.org/', 'example.org:443'],
  ])('%s is an HTTP endpoint whose address holds no secret', (url, address) => {
    const [target] = targetsIn([{ user: '1', url }]);
    expect(target?.endpoint.kind).toBe('http');
    expect(target?.address).toBe(address);
  });

  test.each([
    'tcp://example.org',
    'tcp://example.org:0',
    'tcp://example.org:65536',
    'tcp://example.org:1:2',
    'tcp://:7',
    'tcp://a b:7',
    'tcp://user@example.org:7',
    'tcp://example.org:7/path',
    'tcp://[::1:7',
    'http://',
    'http://example.org:0/',
    'http:example.org',
    'http://%zz@example.org/',
    'ftp://example.org/',
    'example.org:7',
    '',
  ])('%j is refused', (url) => {
    expect(problemIn([{ user: '1', url }])).toContain('is of another form: it must be tcp://host:port');
  });

  test('is not repeated if it is refused, since it may hold a password', () => {
    expect(problemIn([{ user: '1', url: 'ftp://name:secret@example.org/' }])).not.toContain('secret');
  });
});

describe('a target', () => {
  test('is the same only if all that the file can say is', () => {
    const [target] = targetsIn([good]) as [Target];
    expect(isSameTarget(target, { ...target })).toBe(true);
    const others = [
      { user: '7' },
      { device: 'desk' },
      { url: 'tcp://a:1' },
      { everyMs: 1 },
      { timeoutMs: 1 },
      { failures: 9 },
    ];
    for (const other of others) expect(isSameTarget(target, { ...target, ...other })).toBe(false);
  });
});

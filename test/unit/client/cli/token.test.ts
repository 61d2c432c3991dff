/** Where a command's token comes from, how a file gets a fresh one in time, and that no line ever says a token. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { comeBackAfter, fullJitterMs, slowJitterMs } from '../../../../client/cli/hub/backoff.ts';
import { FreshTokenWait, TokenRenewal } from '../../../../client/cli/hub/token-renewal.ts';
import { describeRefusal, expiryOf, noToken, readToken, type TokenSource } from '../../../../client/cli/hub/token.ts';
import { tokenFor } from '../../../support/tokens.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'presence-hub-'));
  file = join(folder, 'token');
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(folder, { recursive: true });
});

const source = (...args: Parameters<typeof readToken>): TokenSource => {
  const read = readToken(...args);
  if (!read.ok) throw new Error(read.problem);
  return read.value;
};
const fromFile = (text: string): TokenSource => {
  writeFileSync(file, text);
  return source({ 'token-file': file }, {});
};
/** What a hub signs is of no interest here: nobody checks it. */
const expiring = (inS: number, mark = ''): string =>
  `e30.${Buffer.from(JSON.stringify({ exp: Date.now() / 1000 + inS, mark })).toString('base64url')}.x`;

describe('a token', () => {
  it('is nobody’s where none is given', () => {
    expect(source({}, { PRESENCE_HUB_TOKEN: '' })).toEqual(noToken);
  });

  it('comes from the flag before the environment', () => {
    expect(source({ token: 'flag' }, { PRESENCE_HUB_TOKEN: 'env' }).read()).toEqual({ ok: true, value: 'flag' });
    expect(source({}, { PRESENCE_HUB_TOKEN: ' env\n' }).read()).toEqual({ ok: true, value: 'env' });
  });

  it('comes from a file as it stands whenever it is read', () => {
    const token = fromFile('first\n');
    expect(token.read()).toEqual({ ok: true, value: 'first' });
    writeFileSync(file, 'second\n');
    expect(token.read()).toEqual({ ok: true, value: 'second' });
    writeFileSync(file, '\n');
    expect(token.read()).toEqual({ ok: false, problem: `--token-file is "${file}": it is empty` });
    rmSync(file);
    expect(token.read()).toMatchObject({ ok: false, problem: expect.stringContaining('ENOENT') as string });
  });

  it.each(['a b', 'grün', 'a\u0000b', 'x'.repeat(8_193)])('that can’t be one is refused unsaid: %j', (text) => {
    const read = readToken({ token: text }, {});
    expect(read.ok).toBe(false);
    expect(read.ok ? '' : read.problem).not.toContain(text);
  });

  it('says when it runs out, where it says so', async () => {
    const token = await tokenFor('42', { expiresInS: 60, clock: { now: () => ({ wallMs: 5_000, monoMs: 0 }) } });
    expect(expiryOf(token)).toBe(65_000);
    expect(expiryOf(await tokenFor('42', { expiresInS: null }))).toBeUndefined();
    for (const text of ['', 'opaque', 'a.b.c', 'a..c', `a.${Buffer.from('[1]').toString('base64url')}.c`]) {
      expect(expiryOf(text)).toBeUndefined();
    }
  });
});

describe('a refusal', () => {
  it.each([
    ['unauthenticated', { token: 'tok-en' }, 'the hub does not take the token of --token (no): give a fresh one'],
    ['forbidden', { token: 'tok-en' }, 'the hub does not allow that (no): the token of --token must be the user’s own'],
    ['unauthenticated', {}, 'the hub asks for a token (no): give one with --token-file FILE'],
    ['forbidden', {}, 'the hub does not allow that (no): where it needs a token, give one with --token-file FILE'],
  ] as const)('%s with %j says what to do, without the token', (refusal, flags, says) => {
    const line = describeRefusal(refusal, source(flags, {}), 'no');
    expect(line).toContain(says);
    expect(line).not.toContain('tok-en');
  });

  it('names the file to put a fresh one into', () => {
    expect(describeRefusal('unauthenticated', fromFile('tok-en'), 'no')).toBe(
      `the hub does not take the token of ${file} (no): put a fresh one there`,
    );
  });
});

describe('a token file', () => {
  it('is looked into before the token runs out, and a fresh one is handed over once', () => {
    vi.useFakeTimers({ now: 1_000_000 });
    const token = fromFile(expiring(60));
    const renewal = new TokenRenewal(token);
    const fresh: string[] = [];
    renewal.start(expiring(60), (one) => fresh.push(one));
    const next = expiring(600, 'next');
    writeFileSync(file, next);
    vi.advanceTimersByTime(59_000);
    expect(fresh).toEqual([next]);
    renewal.stop();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('that comes late is still found in the last second', () => {
    vi.useFakeTimers({ now: 1_000_000 });
    const first = expiring(60);
    const renewal = new TokenRenewal(fromFile(first));
    const fresh: string[] = [];
    renewal.start(first, (one) => fresh.push(one));
    vi.advanceTimersByTime(57_500);
    rmSync(file);
    vi.advanceTimersByTime(1_000);
    expect(fresh).toEqual([]);
    writeFileSync(file, expiring(60, 'late'));
    vi.advanceTimersByTime(1_000);
    expect(fresh).toHaveLength(1);
    renewal.stop();
  });

  it('is not looked into where the token does not say when it runs out, or is no file’s', () => {
    vi.useFakeTimers({ now: 1_000_000 });
    new TokenRenewal(fromFile('opaque')).start('opaque', () => undefined);
    new TokenRenewal(source({ token: expiring(9) }, {})).start(expiring(9), () => undefined);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is waited for a minute once the hub has taken a token of it, and not before', () => {
    vi.useFakeTimers({ now: 1_000_000 });
    const wait = new FreshTokenWait(fromFile('one'));
    expect(wait.refused()).toBe(false);
    wait.taken();
    expect(wait.refused()).toBe(true);
    vi.advanceTimersByTime(59_000);
    expect(wait.refused()).toBe(true);
    vi.advanceTimersByTime(1_000);
    expect(wait.refused()).toBe(false);
    const given = new FreshTokenWait(source({ token: 'one' }, {}));
    given.taken();
    expect(given.refused()).toBe(false);
  });
});

describe('coming back', () => {
  it.each([
    [1008, 'never'],
    [4400, 'never'],
    [4403, 'never'],
    [4401, 'renewed'],
    [1013, 'slowly'],
    [4429, 'slowly'],
    [1012, 'soon'],
    [4408, 'soon'],
    [1006, 'soon'],
  ])('after %d: %s', (code, how) => {
    expect(comeBackAfter(code)).toBe(how);
  });

  it('slowly is never at once, and ten times as long as soon', () => {
    expect([slowJitterMs(0, () => 0), slowJitterMs(0, () => 0.999)]).toEqual([2_500, 4_997]);
    expect([slowJitterMs(99, () => 0), slowJitterMs(99, () => 1)]).toEqual([60_000, 120_000]);
    expect(fullJitterMs(0, () => 0.999)).toBe(499);
  });
});

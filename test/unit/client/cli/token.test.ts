/** Where a command's token comes from, how a file gets a fresh one in time, and that no line ever says a token. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  describeRefusal,
  expiryOf,
  getTokenFrom,
  noToken,
  readToken,
  type TokenSource,
} from '../../../../client/cli/hub/token.ts';
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
  it('is nobody’s if none is given', () => {
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

  it('shows when it expires, if the token says so', async () => {
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
    ['unauthenticated', { token: 'tok-en' }, 'the hub rejects the token of --token (no): give a new one'],
    ['forbidden', { token: 'tok-en' }, 'the hub does not allow that (no): the token of --token must be the user’s own'],
    ['unauthenticated', {}, 'the hub requires a token (no): give one with --token-file FILE'],
    ['forbidden', {}, 'the hub does not allow that (no): if it requires a token, give one with --token-file FILE'],
  ] as const)('%s with %j says what to do, without the token', (refusal, flags, says) => {
    const line = describeRefusal(refusal, source(flags, {}), 'no');
    expect(line).toContain(says);
    expect(line).not.toContain('tok-en');
  });

  it('names the file to put a fresh one into', () => {
    expect(describeRefusal('unauthenticated', fromFile('tok-en'), 'no')).toBe(
      `the hub rejects the token of ${file} (no): put a new one there`,
    );
  });
});

describe('a fresh token', () => {
  const answerOf = (promise: Promise<boolean>) => {
    let answer: boolean | undefined;
    void promise.then((is) => (answer = is));
    return () => answer;
  };
  beforeEach(() => void vi.useFakeTimers({ now: 1_000_000, toFake: ['Date', 'performance', 'setTimeout'] }));

  it('is waited for until a minute after the old one has expired', async () => {
    for (const isLate of [false, true]) {
      const old = expiring(2);
      const token = fromFile(old);
      token.accepted();
      const answer = answerOf(token.renewed(old));
      await vi.advanceTimersByTimeAsync(61_000);
      expect(answer()).toBeUndefined();
      if (!isLate) writeFileSync(file, expiring(60, 'next'));
      await vi.advanceTimersByTimeAsync(2_000);
      expect(answer()).toBe(!isLate);
    }
  });

  it('is waited for a moment only while the old one is good, for a lost connection needs it', async () => {
    const old = expiring(60);
    const token = fromFile(old);
    token.accepted();
    const answer = answerOf(token.renewed(old));
    await vi.advanceTimersByTimeAsync(4_000);
    expect(answer()).toBeUndefined();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(answer()).toBe(false);
  });

  it('ends with what asked for it', async () => {
    const old = expiring(-1);
    const token = fromFile(old);
    token.accepted();
    const controller = new AbortController();
    const answer = answerOf(token.renewed(old, controller.signal));
    controller.abort();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(answer()).toBe(false);
  });

  it('is what the SDK gets: the old one at first, and the fresh one if it asks for it', async () => {
    const token = fromFile(expiring(60));
    const getToken = getTokenFrom(token)!;
    token.accepted();
    expect(await getToken({ refresh: false })).toBe(expiring(60));
    const next = expiring(600, 'next');
    const asked = getToken({ refresh: true });
    writeFileSync(file, next);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await asked).toBe(next);
    rmSync(file);
    await expect(getToken({ refresh: false })).rejects.toThrow('ENOENT');
  });

  it('is not waited for if the hub has taken none of the file yet, or there is no file', async () => {
    const token = fromFile('one');
    expect([token.isRenewable, await token.renewed('one')]).toEqual([false, false]);
    const given = source({ token: 'one' }, {});
    given.accepted();
    expect([given.isRenewable, await given.renewed('one')]).toEqual([false, false]);
    expect(getTokenFrom(noToken)).toBeUndefined();
  });
});

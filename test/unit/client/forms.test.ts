/** What the SDK repeats of the contract, which it may import as types alone, held to the contract itself. */
import { describe, expect, it, vi } from 'vitest';
import { inChunks, MAX_CHARS, MAX_IDS } from '../../../client/sdk/link/chunks.ts';
import { isFinal, isPaced, waitMs } from '../../../client/sdk/link/reconnect-policy.ts';
import { readIds, readMyStatus, readUser } from '../../../client/sdk/link/read.ts';
import { refreshInMs, Tokens } from '../../../client/sdk/link/tokens.ts';
import { closeCodes } from '../../../shared/reasons.ts';
import { isUserId, text as textForm } from '../../../shared/ids.ts';
import { MAX_IDS_PER_MESSAGE, MAX_WS_MESSAGE_BYTES } from '../../../shared/limits.ts';
import { sessionStatuses } from '../../../shared/status.ts';
import { tokenFor } from '../../support/tokens.ts';

const takes = (read: () => unknown): boolean => {
  try {
    read();
    return true;
  } catch {
    return false;
  }
};

describe('the SDK takes what the contract takes', () => {
  it.each(['42', 'a', '.', '..', '...', '.a', 'a b', '', 'ä', 'a@b.c:d-e_f', 'x'.repeat(128), 'x'.repeat(129), 'a\n'])(
    'user id %j',
    (id) => {
      expect(takes(() => readUser(id, 'user'))).toBe(isUserId(id));
      expect(takes(() => readIds([id]))).toBe(isUserId(id));
    },
  );

  it.each(['', 'x'.repeat(140), 'x'.repeat(141), '😀'.repeat(70), '😀'.repeat(71)])('text %j', (text) => {
    expect(takes(() => readMyStatus({ text }))).toBe(textForm.safeParse(text).success);
  });

  it('no text with half of an emoji', () => {
    for (const text of ['😀'.slice(0, 1), `a${'😀'.slice(1)}`]) expect(takes(() => readMyStatus({ text }))).toBe(false);
  });

  it('says how to write an id that is a number', () => {
    expect(() => readUser(42, 'user')).toThrow('user must be a string: "42", not the number 42');
    expect(() => readIds([42 as unknown as string])).toThrow('each id must be a string: "42", not the number 42');
  });

  it('every status of a session, and no other', () => {
    for (const status of sessionStatuses) expect(takes(() => readMyStatus({ status }))).toBe(true);
    for (const status of ['offline', '', 'Online'])
      expect(takes(() => readMyStatus({ status: status as 'online' }))).toBe(false);
  });

  it('as many ids a message as the hub, in messages that are not too large for it', () => {
    expect(MAX_IDS).toBe(MAX_IDS_PER_MESSAGE);
    const long = Array.from({ length: 2_500 }, (_, i) => String(i).padStart(128, 'x'));
    const short = Array.from({ length: 2_500 }, (_, i) => String(i));
    for (const ids of [long, short]) {
      const chunks = inChunks(ids);
      expect(chunks.flat()).toEqual(ids);
      for (const users of chunks) {
        expect(users.length).toBeLessThanOrEqual(MAX_IDS);
        const message = JSON.stringify({ type: 'watch', id: 2 ** 31, users, since: 2 ** 52 });
        expect(message.length).toBeLessThanOrEqual(MAX_WS_MESSAGE_BYTES);
      }
    }
    expect(inChunks(short)).toHaveLength(3);
    expect(MAX_CHARS).toBeLessThan(MAX_WS_MESSAGE_BYTES);
    expect(inChunks([])).toEqual([]);
  });

  it('every close code, as final or not', () => {
    const final = Object.values(closeCodes).filter(({ code }) => isFinal(code));
    expect(final.map(({ code }) => code).sort()).toEqual([1008, 1009, 4400, 4403]);
    const paced = Object.values(closeCodes).filter(({ code }) => isPaced(code));
    expect([...new Set(paced.map(({ code }) => code))].sort()).toEqual([1013, 4429]);
  });
});

describe('the wait before the next try', () => {
  it('is anywhere from nothing to a bound that doubles up to half a minute', () => {
    expect(waitMs(1006, 0, 0)).toBe(0);
    expect([0, 1, 2, 6, 7, 5_000].map((failures) => waitMs(1006, failures, 1))).toEqual([
      500, 1_000, 2_000, 30_000, 30_000, 30_000,
    ]);
  });

  it('is never short if the hub has no room', () => {
    expect([waitMs(1013, 0, 0), waitMs(4429, 0, 1)]).toEqual([2_500, 5_000]);
    expect([waitMs(1013, 99, 0), waitMs(4429, 99, 1)]).toEqual([30_000, 60_000]);
  });
});

describe('a token is refreshed', () => {
  const clock = { now: () => ({ wallMs: 1_000_000, monoMs: 0 }) };

  it.each([
    [3600, 3_540_000],
    [10, 8_000],
    [-5, -4_000],
  ])('that runs out in %d s, in %d ms', async (expiresInS, ms) => {
    expect(refreshInMs(await tokenFor('42', { clock, expiresInS }), 1_000_000)).toBeCloseTo(ms);
  });

  it('and sent to the hub only if it is another one', async () => {
    vi.useFakeTimers({ now: 1_000_000 });
    const first = await tokenFor('42', { clock, expiresInS: 10 });
    const second = await tokenFor('42', { clock, expiresInS: 3600 });
    let given = first;
    const sent: string[] = [];
    const tokens = new Tokens(
      () => given,
      (token) => sent.push(token),
      () => undefined,
    );
    await tokens.give(false);
    await vi.advanceTimersByTimeAsync(8_500);
    expect(sent).toEqual([]);
    given = second;
    await vi.advanceTimersByTimeAsync(1_500);
    expect(sent).toEqual([second]);
    tokens.stop();
    vi.useRealTimers();
  });

  it.each(['', 'abc', 'a.b.c', 'a.bnVsbA.c'])('never, where it does not say when: %j', (token) => {
    expect(refreshInMs(token, 0) > 0).toBe(false);
  });

  it('never, without `exp`', async () => {
    expect(refreshInMs(await tokenFor('42', { clock, expiresInS: null }), 0) > 0).toBe(false);
  });
});

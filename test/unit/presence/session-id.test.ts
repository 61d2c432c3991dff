/** The ids of sessions: they are found again, and reveal nothing about how many sessions there were. */
import { describe, expect, it } from 'vitest';
import { decrypt, encrypt, SessionIds, type SessionIdKey } from '../../../server/presence/sessions/session-id.ts';

const KEY: SessionIdKey = [0x00010203, 0x04050607, 0x08090a0b, 0x0c0d0e0f];
const numbers = [1, 2, 3, 35, 36, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER];

describe('the cipher', () => {
  it('is XTEA, as its published test vectors say', () => {
    const vectors = [
      [KEY, [0x41424344, 0x45464748], [0x497df3d0, 0x72612cb5]],
      [KEY, [0x41414141, 0x41414141], [0xe78f2d13, 0x744341d8]],
      [
        [0, 0, 0, 0],
        [0x41424344, 0x45464748],
        [0xa0390589, 0xf8b8efa5],
      ],
    ] as const;
    for (const [key, clear, secret] of vectors) {
      expect(encrypt(clear, key)).toEqual(secret);
      expect(decrypt(secret, key)).toEqual(clear);
    }
  });
});

describe('the id of a session', () => {
  const ids = new SessionIds('hub-1', KEY);

  it('leads back to its number', () => {
    expect(numbers.map((no) => ids.noOf(ids.of(no)))).toEqual(numbers);
  });

  it('names the node, and is of one length whatever the number (W25)', () => {
    for (const no of numbers) expect(ids.of(no)).toMatch(/^hub-1\.[0-9a-f]{16}$/);
    for (const no of numbers) expect(ids.ofObserver(no)).toMatch(/^hub-1\.[0-9a-f]{16}$/);
  });

  it('reveals neither the order nor the distance of two numbers: about half of all bits change from one to the next', () => {
    const bits = (id: string): bigint => BigInt(`0x${id.slice('hub-1.'.length)}`);
    const changed: number[] = [];
    let isLater = 0;
    for (let no = 1; no <= 1000; no++) {
      const [one, next] = [bits(ids.of(no)), bits(ids.of(no + 1))];
      changed.push((one ^ next).toString(2).replaceAll('0', '').length);
      if (next > one) isLater++;
    }
    const mean = changed.reduce((sum, count) => sum + count, 0) / changed.length;
    expect(mean).toBeGreaterThan(31);
    expect(mean).toBeLessThan(33);
    expect(Math.min(...changed)).toBeGreaterThan(10);
    expect(isLater).toBeGreaterThan(400);
    expect(isLater).toBeLessThan(600);
  });

  it('is another one under another key, and never the same as an observer’s', () => {
    const others = new SessionIds('hub-1', [1, 2, 3, 4]);
    const made = numbers.flatMap((no) => [ids.of(no), others.of(no), ids.ofObserver(no)]);
    expect(new Set(made).size).toBe(made.length);
  });

  it('of an observer, of another node, or in any other form is no session’s', () => {
    const id = ids.of(7);
    const wrong = [ids.ofObserver(7), new SessionIds('hub-2', KEY).of(7), `${id}0`, id.slice(0, -1), id.toUpperCase()];
    for (const text of [...wrong, '', 'hub-1.', 'hub-1.7', ` ${id}`]) expect(ids.noOf(text), text).toBeUndefined();
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { device, instant, isDevice, isUserId, text, userId, userIds } from '../../../shared/ids.ts';

describe('a user id (I1)', () => {
  it.each(['42', '042', 'a', 'A.b_c@d:e-f', '...', '.a', '-1'])('may be %s', (id) => {
    expect(isUserId(id)).toBe(true);
    expect(userId.parse(id)).toBe(id);
  });

  it('may be 128 characters long', () => {
    expect(isUserId('x'.repeat(128))).toBe(true);
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['one dot, which a path would swallow', '.'],
    ['two dots', '..'],
    ['129 characters long', 'x'.repeat(129)],
    ['with a space around it', ' 42'],
    ['with a line end behind it', '42\n'],
    ['with a slash', 'a/b'],
    ['with a letter that is not ASCII', 'é'],
    ['with an emoji', '🙂'],
    ['with a percent sign', '%41'],
  ])('may not be %s', (_what, id) => {
    expect(isUserId(id)).toBe(false);
    expect(userId.safeParse(id).success).toBe(false);
  });

  it('is text, so 042 and 42 are two users and 42 as a number is none', () => {
    expect(userId.parse('042')).not.toBe(userId.parse('42'));
    expect(userId.safeParse(42).success).toBe(false);
  });

  it('that is a number is answered with how to write it, if it can be known', () => {
    const said = (user: unknown) => userId.safeParse(user).error?.issues.map(({ message }) => message);
    expect(said(42)).toEqual(['must be a string: "42", not the number 42']);
    expect(said(2 ** 60)).toEqual(['must be a string, not a number']);
    expect(said(null)).toEqual([expect.stringContaining('must be 1 to 128 characters')]);
  });

  it('holds exactly the 67 characters of the contract', () => {
    const allowed = Array.from({ length: 0x10000 }, (_, unit) => String.fromCharCode(unit)).filter((character) =>
      isUserId(`x${character}`),
    );
    expect(allowed.join('')).toBe('-.0123456789:@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz');
    expect(allowed).toHaveLength(67);
  });
});

describe('a device (I2)', () => {
  it.each(['w', 'Ada’s phone 🙂', '日本'])('may be %s', (label) => {
    expect(isDevice(label)).toBe(true);
    expect(device.parse(label)).toBe(label);
  });

  it('may be 64 characters long', () => {
    expect(isDevice('x'.repeat(64))).toBe(true);
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['65 characters long', 'x'.repeat(65)],
    ['with a tab', 'a\tb'],
    ['with a line end', 'a\nb'],
    ['with a NUL', 'a\0'],
    ['with a DEL', 'a\u007f'],
    ['with a C1 control character', 'a\u0085'],
    ['with half of a surrogate pair', 'a\ud83d'],
  ])('may not be %s', (_what, label) => {
    expect(isDevice(label)).toBe(false);
    expect(device.safeParse(label).success).toBe(false);
  });
});

describe('a text (I3)', () => {
  it('is counted in UTF-16 units: 140 are taken, 141 are not', () => {
    expect(text.safeParse('x'.repeat(140)).success).toBe(true);
    expect(text.safeParse('x'.repeat(141)).success).toBe(false);
  });

  it('counts an emoji twice', () => {
    expect(text.safeParse('🙂'.repeat(70)).success).toBe(true);
    expect(text.safeParse('🙂'.repeat(70) + 'x').success).toBe(false);
  });

  it('may not hold half of a surrogate pair', () => {
    for (const half of ['\ud83d', 'a\ude42b']) expect(text.safeParse(half).success).toBe(false);
  });

  it('may be empty and may hold anything else', () => {
    for (const any of ['', ' ', '<b>', '\n', '\0']) expect(text.parse(any)).toBe(any);
  });
});

describe('a list of ids', () => {
  const many = (count: number) => Array.from({ length: count }, (_, i) => String(i));

  it('has from 1 to 1000', () => {
    expect(userIds.safeParse([]).success).toBe(false);
    expect(userIds.parse(many(1000))).toHaveLength(1000);
    expect(userIds.safeParse(many(1001)).success).toBe(false);
  });

  it('counts duplicates once, so it may have more than 1000 elements', () => {
    expect(userIds.parse([...many(1000), ...many(1000)])).toEqual(many(1000));
    expect(userIds.safeParse([...many(1000), ...many(1001)]).success).toBe(false);
  });

  it('is a set in the order first named', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('7', '9', '042', '42'), { minLength: 1, maxLength: 20 }), (ids) => {
        expect(userIds.parse(ids)).toEqual(ids.filter((id, i) => ids.indexOf(id) === i));
      }),
    );
  });

  it('is refused as a whole if one of them is not an id', () => {
    expect(userIds.safeParse(['7', '.', '9']).success).toBe(false);
  });
});

describe('an instant', () => {
  it.each([0, 1767225600001, 2 ** 53 - 1])('may be %d', (at) => expect(instant.parse(at)).toBe(at));

  it.each([-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, '1', null])('may not be %s', (at) => {
    expect(instant.safeParse(at).success).toBe(false);
  });
});

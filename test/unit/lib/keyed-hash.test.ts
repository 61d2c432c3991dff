import { describe, expect, it } from 'vitest';
import { hashInto } from '../../../server/lib/collections/keyed-hash.ts';

/** The first of the published vectors of HalfSipHash-2-4 with 64 bits: key 00 01 … 07, text 00 01 … of growing length. */
const vectors = [
  '218d1f59b9b83cc8',
  'be552412f8387315',
  '064f39ef7c50eb57',
  'ce0f1a45f7060679',
  'd5e78a175be52ea1',
  'cb9d7c3f2f3db580',
  'ce3e91358aa2bc25',
];

describe('the keyed hash', () => {
  const out = new Uint32Array(2);
  const key = [0x03020100, 0x07060504] as const;
  const hex = (text: string): string => {
    hashInto(out, text, key);
    return Buffer.from(out.buffer).toString('hex');
  };

  it('is HalfSipHash-2-4', () => {
    for (const [length, vector] of vectors.entries()) {
      const text = String.fromCharCode(...Array.from({ length }, (_, i) => i));
      expect(hex(text)).toBe(vector);
    }
  });
});

/**
 * A hash of short texts under a secret key, 64 bits in two halves: HalfSipHash-2-4. Whoever does not know the key can make
 * no two texts alike. No object is made for it: 0.1 µs for an id.
 */

/** Two secret whole numbers below 2^32. */
export type HashKey = readonly [number, number];

let v0 = 0;
let v1 = 0;
let v2 = 0;
let v3 = 0;

/** Puts the two halves into `out`. Of each UTF-16 unit the lower byte counts, so texts are to be of one byte a unit. */
export function hashInto(out: Uint32Array, text: string, [k0, k1]: HashKey): void {
  v0 = k0;
  v1 = k1 ^ 0xee;
  v2 = 0x6c796765 ^ k0;
  v3 = 0x74656462 ^ k1;
  const length = text.length;
  const whole = length - (length % 4);
  for (let i = 0; i < whole; i += 4) take(wordAt(text, i));
  let last = length << 24;
  for (let i = whole; i < length; i++) last |= (text.charCodeAt(i) & 0xff) << (8 * (i - whole));
  take(last);
  v2 ^= 0xee;
  for (let i = 0; i < 4; i++) round();
  out[0] = v1 ^ v3;
  v1 ^= 0xdd;
  for (let i = 0; i < 4; i++) round();
  out[1] = v1 ^ v3;
}

function wordAt(text: string, i: number): number {
  return (
    (text.charCodeAt(i) & 0xff) |
    ((text.charCodeAt(i + 1) & 0xff) << 8) |
    ((text.charCodeAt(i + 2) & 0xff) << 16) |
    ((text.charCodeAt(i + 3) & 0xff) << 24)
  );
}

function take(word: number): void {
  v3 ^= word;
  round();
  round();
  v0 ^= word;
}

function round(): void {
  v0 = (v0 + v1) | 0;
  v1 = rotated(v1, 5) ^ v0;
  v0 = rotated(v0, 16);
  v2 = (v2 + v3) | 0;
  v3 = rotated(v3, 8) ^ v2;
  v0 = (v0 + v3) | 0;
  v3 = rotated(v3, 7) ^ v0;
  v2 = (v2 + v1) | 0;
  v1 = rotated(v1, 13) ^ v2;
  v2 = rotated(v2, 16);
}

function rotated(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

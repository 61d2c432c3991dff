/**
 * A hash of short texts under a secret key, 64 bits in two halves: HalfSipHash-2-4. Without the key, a sender cannot
 * construct two texts with the same hash. Allocates no object: 0.1 µs for an id.
 */

/** Two secret unsigned 32-bit numbers. */
export type HashKey = readonly [number, number];

/**
 * Writes the two halves to `out`. Only the lower byte of each UTF-16 unit counts, so texts must have one byte per unit.
 */
export function hashInto(out: Uint32Array, text: string, [k0, k1]: HashKey): void {
  // All variables are local, because a 32-bit number that outlives the call would be an object.
  let v0 = k0 | 0;
  let v1 = k1 ^ 0xee;
  let v2 = 0x6c796765 ^ k0;
  let v3 = 0x74656462 ^ k1;
  const words = text.length >>> 2;
  for (let step = 0; step < words + 3; step++) {
    const isText = step <= words;
    const word = step < words ? wordAt(text, 4 * step) : step === words ? lastOf(text, 4 * words) : 0;
    v3 ^= word;
    if (step === words + 1) {
      v2 ^= 0xee;
    } else if (step === words + 2) {
      out[0] = v1 ^ v3;
      v1 ^= 0xdd;
    }
    for (let rounds = isText ? 2 : 4; rounds > 0; rounds--) {
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
    v0 ^= word;
  }
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

/** The bytes after the last whole word, below the length. */
function lastOf(text: string, from: number): number {
  let last = text.length << 24;
  for (let i = from; i < text.length; i++) last |= (text.charCodeAt(i) & 0xff) << (8 * (i - from));
  return last;
}

function rotated(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

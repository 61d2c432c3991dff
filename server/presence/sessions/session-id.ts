/**
 * Session ids: the name of the node, which is new in each run, and the encrypted number of the session. Numbers count
 * up over all users, so an unencrypted id would reveal how many sessions, even of invisible users, began since another
 * one. No session stores its id.
 */

/** 128 secret bits, as four unsigned 32-bit numbers. */
export type SessionIdKey = readonly [number, number, number, number];

/** Two unsigned 32-bit numbers. */
type Block = readonly [number, number];

/** Separates the numbers of observers from those of sessions, which stay below 2^53. */
const OBSERVER_BIT = 0x80000000;
const HALF = /^[0-9a-f]{16}$/;
const ROUNDS = 32;
const DELTA = 0x9e3779b9;

export class SessionIds {
  readonly #node: string;
  readonly #key: SessionIdKey;

  constructor(node: string, key: SessionIdKey) {
    this.#node = node;
    this.#key = key;
  }

  of(no: number): string {
    return this.#idOf(Math.floor(no / 2 ** 32), no >>> 0);
  }

  /** Returns an id for an observer, which has no session. It looks like a session id. */
  ofObserver(no: number): string {
    return this.#idOf((Math.floor(no / 2 ** 32) | OBSERVER_BIT) >>> 0, no >>> 0);
  }

  /** Returns the number in an id of this node; undefined for any other text. */
  noOf(id: string): number | undefined {
    const name = `${this.#node}.`;
    const hex = id.slice(name.length);
    if (!id.startsWith(name) || !HALF.test(hex)) return undefined;
    const secret: Block = [Number.parseInt(hex.slice(0, 8), 16), Number.parseInt(hex.slice(8), 16)];
    const [high, low] = decrypt(secret, this.#key);
    const no = high * 2 ** 32 + low;
    return Number.isSafeInteger(no) ? no : undefined;
  }

  #idOf(high: number, low: number): string {
    const [a, b] = encrypt([high, low], this.#key);
    return `${this.#node}.${hexOf(a)}${hexOf(b)}`;
  }
}

/**
 * XTEA, a block cipher of 64 bits. Every number has one id, and ids reveal neither the order of two numbers nor their
 * distance. Exported for its test vectors.
 */
export function encrypt([high, low]: Block, key: SessionIdKey): Block {
  let a = high;
  let b = low;
  let sum = 0;
  for (let round = 0; round < ROUNDS; round++) {
    a = (a + (mix(b) ^ (sum + (key[sum & 3] ?? 0)))) | 0;
    sum = (sum + DELTA) | 0;
    b = (b + (mix(a) ^ (sum + (key[(sum >>> 11) & 3] ?? 0)))) | 0;
  }
  return [a >>> 0, b >>> 0];
}

export function decrypt([high, low]: Block, key: SessionIdKey): Block {
  let a = high;
  let b = low;
  let sum = Math.imul(DELTA, ROUNDS);
  for (let round = 0; round < ROUNDS; round++) {
    b = (b - (mix(a) ^ (sum + (key[(sum >>> 11) & 3] ?? 0)))) | 0;
    sum = (sum - DELTA) | 0;
    a = (a - (mix(b) ^ (sum + (key[sum & 3] ?? 0)))) | 0;
  }
  return [a >>> 0, b >>> 0];
}

function mix(half: number): number {
  return (((half << 4) ^ (half >>> 5)) + half) | 0;
}

/** Two digits per byte. Each change has an id, and `toString` with `padStart` takes twice as long (1 µs an id). */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

function hexOf(half: number): string {
  return `${hexOfByte(half >>> 24)}${hexOfByte(half >>> 16)}${hexOfByte(half >>> 8)}${hexOfByte(half)}`;
}

function hexOfByte(bits: number): string {
  return HEX[bits & 0xff] as string;
}

/**
 * A map that forgets values that were not used for a while, and never exceeds its maximum size. It is for values per
 * stranger, which must not grow with the number of strangers. Knows nothing of the values.
 */

interface RecentMapOptions {
  /** A value may be forgotten after this time without use, and is forgotten after twice this time. */
  readonly keepMs: number;
  readonly capacity: number;
}

export class RecentMap<K, V> {
  readonly #keepMs: number;
  readonly #maxOfEach: number;
  // Two generations. The old one holds values that were not used since the young one began, and is dropped as a whole.
  #young = new Map<K, V>();
  #old = new Map<K, V>();
  #turnsAtMs = -Infinity;

  constructor({ keepMs, capacity }: RecentMapOptions) {
    this.#keepMs = keepMs;
    this.#maxOfEach = Math.ceil(capacity / 2);
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** Returns the value of the key, and creates it if there is none. */
  get(key: K, monoMs: number, make: () => V): V {
    if (monoMs >= this.#turnsAtMs) this.#turn(monoMs);
    const known = this.#young.get(key);
    if (known !== undefined) return known;
    const value = this.#old.get(key) ?? make();
    this.#old.delete(key);
    if (this.#young.size >= this.#maxOfEach) this.#turn(monoMs);
    this.#young.set(key, value);
    return value;
  }

  #turn(monoMs: number): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#turnsAtMs = monoMs + this.#keepMs;
  }
}

/**
 * A map that forgets what has not been used for a while, and never holds more than its bound. A user of it keeps one value
 * for each stranger, so it must not grow with their number. Knows nothing of the values.
 */

interface RecentMapOptions {
  /** A value that was not used for this long may be forgotten, and is forgotten after twice this time. */
  readonly keepMs: number;
  readonly capacity: number;
}

export class RecentMap<K, V> {
  readonly #keepMs: number;
  readonly #maxOfEach: number;
  // Two generations: nothing in the old one was used since the young one began. It is dropped as a whole.
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

  /** The value of the key, made if there is none. */
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

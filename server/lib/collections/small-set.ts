/**
 * A set that is a plain array while it is small. Most users have a few watchers, and most connections watch some
 * dozens. A `Set` of 50 takes 1.3 kB; an array takes 0.5. A few sets have a hundred thousand items, and a removal from
 * those must not search all of them. Keeps the order of insertion.
 */

/** Up to this size, searching the array costs less than a lookup in a `Set` with its cache misses. */
const SMALL = 128;

export class SmallSet<T> {
  /** Null until an item is added, because most sets never get one. */
  #items: T[] | Set<T> | null = null;

  get size(): number {
    const items = this.#items;
    if (items === null) return 0;
    return Array.isArray(items) ? items.length : items.size;
  }

  has(item: T): boolean {
    const items = this.#items;
    if (items === null) return false;
    return Array.isArray(items) ? items.includes(item) : items.has(item);
  }

  /** @returns false if it was there already. */
  add(item: T): boolean {
    if (this.has(item)) return false;
    this.addNew(item);
    return true;
  }

  /** Adds an item without a search. The caller must know that it is not in the set. */
  addNew(item: T): void {
    const items = this.#items;
    if (items === null) this.#items = [item];
    else if (!Array.isArray(items)) items.add(item);
    else if (items.length < SMALL) items.push(item);
    else this.#items = new Set(items).add(item);
  }

  /**
   * Fills an empty set with items that are all different. A small array is kept and not copied, so that it is exactly
   * as large as needed.
   */
  fill(items: T[]): void {
    this.#items = items.length <= SMALL ? items : new Set(items);
  }

  /** @returns false if it was not there. */
  delete(item: T): boolean {
    const items = this.#items;
    if (items === null) return false;
    if (!Array.isArray(items)) return items.delete(item);
    const at = items.indexOf(item);
    if (at >= 0) items.splice(at, 1);
    return at >= 0;
  }

  clear(): void {
    this.#items = null;
  }

  /**
   * Returns an iterator that stays valid for a long time while items come and go. It visits every item that stays in
   * the set, and perhaps others. It copies at most a small set.
   */
  walk(): Iterator<T> {
    const items = this.#items;
    // A `Set` is never converted back, and its own iterator stays valid.
    return Array.isArray(items) ? items.slice().values() : this[Symbol.iterator]();
  }

  [Symbol.iterator](): Iterator<T> {
    return (this.#items ?? NONE)[Symbol.iterator]() as Iterator<T>;
  }
}

const NONE: readonly never[] = [];

/**
 * A set that is a plain array while it is small. Most users have a few watchers and most connections watch some dozens, and
 * a `Set` of 50 weighs 1.3 kB where an array has 0.5; a few have a hundred thousand, and a removal there must not search
 * them all. Keeps the order in which items came. Used by fan-out for both ends of a watch.
 */

/** Up to here a search through the array costs less than a `Set`'s look-up with its cache misses. */
const SMALL = 128;

export class SmallSet<T> {
  /** Null while it has never held anything: most of them don't. */
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

  /** @returns false where it was there already. */
  add(item: T): boolean {
    if (this.has(item)) return false;
    this.addNew(item);
    return true;
  }

  /** Adds what the caller knows not to be in it, without a search. */
  addNew(item: T): void {
    const items = this.#items;
    if (items === null) this.#items = [item];
    else if (!Array.isArray(items)) items.add(item);
    else if (items.length < SMALL) items.push(item);
    else this.#items = new Set(items).add(item);
  }

  /** Whether it holds an item that, as the caller knows, could only have come last: without a search. */
  hasAsLast(item: T): boolean {
    const items = this.#items;
    if (items === null) return false;
    return Array.isArray(items) ? items[items.length - 1] === item : items.has(item);
  }

  /** Fills an empty one with items that are all different. Takes the array over where it is small: exactly as large as needed. */
  fill(items: T[]): void {
    this.#items = items.length <= SMALL ? items : new Set(items);
  }

  /** @returns false where it was not there. */
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
   * An iterator that may be used over a long time, while items come and go: comes by all that stay in the set, and perhaps by
   * others. Copies no more than a small set.
   */
  walk(): Iterator<T> {
    const items = this.#items;
    // Once it is a `Set`, it stays one, and the iterator of that is as good as this.
    return Array.isArray(items) ? items.slice().values() : this[Symbol.iterator]();
  }

  [Symbol.iterator](): Iterator<T> {
    return (this.#items ?? NONE)[Symbol.iterator]() as Iterator<T>;
  }
}

const NONE: readonly never[] = [];

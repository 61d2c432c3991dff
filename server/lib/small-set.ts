/**
 * A set that is a plain array while it is small. Most users have one or two watchers, and an empty `Set` weighs 200
 * bytes; a few have a hundred thousand, and a removal there must not search them all.
 */

const SMALL = 16;

export class SmallSet<T> {
  #items: T[] | Set<T> = [];

  get size(): number {
    return Array.isArray(this.#items) ? this.#items.length : this.#items.size;
  }

  has(item: T): boolean {
    return Array.isArray(this.#items) ? this.#items.includes(item) : this.#items.has(item);
  }

  /** @returns false where it was there already. */
  add(item: T): boolean {
    if (this.has(item)) return false;
    if (Array.isArray(this.#items) && this.#items.length === SMALL) this.#items = new Set(this.#items);
    if (Array.isArray(this.#items)) this.#items.push(item);
    else this.#items.add(item);
    return true;
  }

  /** @returns false where it was not there. */
  delete(item: T): boolean {
    if (!Array.isArray(this.#items)) return this.#items.delete(item);
    const at = this.#items.indexOf(item);
    if (at >= 0) this.#items.splice(at, 1);
    return at >= 0;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#items[Symbol.iterator]();
  }
}

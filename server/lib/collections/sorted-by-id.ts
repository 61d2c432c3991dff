/**
 * Items in the order of their ids, for a million items that come and go. A list of short sorted lists: an insert moves
 * a few hundred references instead of a million. Compares ids by code unit, which is byte order for ASCII. Knows
 * nothing else of its items.
 *
 * With a million items in memory, an insert or a delete takes 1.5 to 2 µs (2026-11-29, Node 20.20).
 */
interface Identified {
  readonly id: string;
}

const MOST_IN_CHUNK = 512;
/** Two neighbors are merged if they have no more than this together, so that few items leave few chunks. */
const FEW_IN_CHUNKS = MOST_IN_CHUNK / 2;

export class SortedById<T extends Identified> {
  /** None of them is empty. */
  readonly #chunks: T[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds an item, or replaces the one with its id. */
  add(item: T): void {
    const chunkNo = this.#chunkNoOf(item.id);
    const chunk = this.#chunks[chunkNo];
    if (chunk === undefined) {
      this.#chunks.push([item]);
      this.#size++;
      return;
    }
    const place = placeOf(chunk, item.id);
    if (chunk[place]?.id === item.id) {
      chunk[place] = item;
      return;
    }
    chunk.splice(place, 0, item);
    this.#size++;
    if (chunk.length > MOST_IN_CHUNK) this.#chunks.splice(chunkNo + 1, 0, chunk.splice(MOST_IN_CHUNK / 2));
  }

  delete(id: string): void {
    const chunkNo = this.#chunkNoOf(id);
    const chunk = this.#chunks[chunkNo];
    if (chunk === undefined) return;
    const place = placeOf(chunk, id);
    if (chunk[place]?.id !== id) return;
    chunk.splice(place, 1);
    this.#size--;
    const next = this.#chunks[chunkNo + 1];
    if (next !== undefined && chunk.length + next.length <= FEW_IN_CHUNKS) {
      chunk.push(...next);
      this.#chunks.splice(chunkNo + 1, 1);
    } else if (chunk.length === 0) {
      this.#chunks.splice(chunkNo, 1);
    }
  }

  /** The items from this id on, in order. Valid until the next change. */
  *from(id: string): Generator<T> {
    let chunkNo = this.#chunkNoOf(id);
    let place = placeOf(this.#chunks[chunkNo] ?? [], id);
    for (; chunkNo < this.#chunks.length; chunkNo++, place = 0) {
      const chunk = this.#chunks[chunkNo] as T[];
      for (; place < chunk.length; place++) yield chunk[place] as T;
    }
  }

  /** The last chunk that begins at or before the id; the first one if there is none. */
  #chunkNoOf(id: string): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#chunks[middle]?.[0] as T).id <= id) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** The place of the first item whose id is not before this one. */
function placeOf(chunk: readonly Identified[], id: string): number {
  let low = 0;
  let high = chunk.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((chunk[middle] as Identified).id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

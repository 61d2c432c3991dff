/**
 * A map by string for millions of keys. One `Map` that grows to a million stalls up to 80 ms when it resizes its table;
 * 256 small ones resize one at a time. Only what the hub uses of `Map` is here.
 */

const SHARDS = 256;

export class ShardedMap<V> {
  readonly #shards: readonly Map<string, V>[] = Array.from({ length: SHARDS }, () => new Map<string, V>());
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): V | undefined {
    return this.#shardOf(key).get(key);
  }

  set(key: string, value: V): void {
    const shard = this.#shardOf(key);
    const before = shard.size;
    shard.set(key, value);
    this.#size += shard.size - before;
  }

  delete(key: string): boolean {
    const had = this.#shardOf(key).delete(key);
    if (had) this.#size--;
    return had;
  }

  *values(): IterableIterator<V> {
    for (const shard of this.#shards) yield* shard.values();
  }

  /** FNV-1a over the last eight units: ids mostly differ at their end. */
  #shardOf(key: string): Map<string, V> {
    let hash = 0x811c9dc5;
    for (let i = Math.max(0, key.length - 8); i < key.length; i++) {
      hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
    }
    return this.#shards[(hash ^ (hash >>> 16)) & (SHARDS - 1)] as Map<string, V>;
  }
}

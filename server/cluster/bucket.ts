/**
 * Assigns each user to a bucket. All keys of a bucket share one hash slot of a Redis Cluster. Pure. Must give the same
 * result on every node and in every release, because keys of running clusters depend on it.
 */
import { crc32 } from 'node:zlib';

/** Number of buckets of a new cluster. */
export const BUCKETS = 256;
const SLOTS = 16_384;

export function bucketOf(user: string, buckets: number): number {
  return crc32(user) % buckets;
}

/**
 * Returns a hash tag per bucket. Bucket i gets the smallest number whose slot is in the i-th of B equal ranges.
 * Masters usually hold ranges of equal size, so each of them has the same number of buckets, give or take one.
 */
export function bucketTags(buckets: number): readonly string[] {
  const tags: string[] = [];
  for (let candidate = 0, found = 0; found < buckets; candidate++) {
    const tag = String(candidate);
    const range = Math.floor((hashSlot(tag) * buckets) / SLOTS);
    if (tags[range] !== undefined) continue;
    tags[range] = tag;
    found++;
  }
  return tags;
}

/** The hash slot of a tag in a Redis Cluster: CRC-16/XMODEM. */
export function hashSlot(tag: string): number {
  let crc = 0;
  for (let i = 0; i < tag.length; i++) {
    crc ^= tag.charCodeAt(i) << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
    crc &= 0xffff;
  }
  return crc % SLOTS;
}

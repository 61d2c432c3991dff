/**
 * Chooses one of several nodes for an item by rendezvous hashing. All nodes that know the same candidates choose the same
 * one, and items move only away from a node that ended or to a new node. Pure.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** Characters of a digest, 48 bits: among 100,000 items, two are equal in one of 50,000 clusters. */
export const DIGEST_CHARS = 8;

/** Identifies an item in messages between nodes: shorter than most items, and does not reveal the item. */
export function digestOf(item: string): string {
  return createHash('sha1').update(item).digest('base64url').slice(0, DIGEST_CHARS);
}

/** Returns undefined without candidates. */
export function chooseOwner(digest: string, candidates: readonly string[]): string | undefined {
  let owner: string | undefined;
  let highest = -1;
  const itemHash = crc32(digest);
  for (const inc of candidates) {
    const weight = mix(crc32(inc) ^ itemHash);
    if (weight < highest || (weight === highest && owner !== undefined && inc < owner)) continue;
    highest = weight;
    owner = inc;
  }
  return owner;
}

/** The finalizer of MurmurHash3. A CRC alone is linear, so it would favor some nodes. */
function mix(hash: number): number {
  let h = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

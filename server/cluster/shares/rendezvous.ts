/**
 * Chooses one of several nodes for an item, so that all nodes that know the same candidates choose the same one, and
 * items move only from a node that is gone or to a node that is new (rendezvous hashing). Pure.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** Characters of a digest: 48 bits, so that two of 100,000 items are equal once in 50,000 clusters. */
export const DIGEST_CHARS = 8;

/** What stands for an item between nodes: shorter than most items, and it reveals nothing. */
export function digestOf(item: string): string {
  return createHash('sha1').update(item).digest('base64url').slice(0, DIGEST_CHARS);
}

/** The candidate for an item, given by its digest. Undefined without candidates. */
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

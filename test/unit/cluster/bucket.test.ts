/** Buckets: every node and every release must find the same one. */
import { describe, expect, it } from 'vitest';
import { bucketOf, bucketTags, BUCKETS, hashSlot } from '../../../server/cluster/bucket.ts';

describe('a bucket', () => {
  it('follows from the id alone', () => {
    expect(bucketOf('42', 256)).toBe(0x3224b088 % 256); // CRC-32 of "42"
    expect(bucketOf('42', 256)).toBe(bucketOf('42', 256));
  });

  it('is as large as the others', () => {
    const sizes = Array.from({ length: 16 }, () => 0);
    for (let i = 0; i < 16_000; i++) sizes[bucketOf(`user-${i}`, 16)]!++;
    for (const size of sizes) expect(Math.abs(size - 1000)).toBeLessThan(200);
  });
});

describe('the tags', () => {
  it('use the hash slots of Redis', () => {
    expect(hashSlot('123456789')).toBe(0x31c3 % 16_384); // the check value of CRC-16/XMODEM
    expect(hashSlot('foo')).toBe(12_182); // CLUSTER KEYSLOT foo
  });

  it.each([1, 2, 3, 5, 6, 16, 64])('are spread evenly over %i masters', (masters) => {
    const counts = Array.from({ length: masters }, () => 0);
    for (const tag of bucketTags(BUCKETS)) counts[Math.floor((hashSlot(tag) * masters) / 16_384)]!++;
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(2);
  });
});

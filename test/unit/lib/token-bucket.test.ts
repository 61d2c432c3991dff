import { describe, expect, test } from 'vitest';
import { TokenBucket, type Level, type Rate } from '../../../server/lib/time/token-bucket.ts';

const rate: Rate = { perS: 10, burst: 5 };

function takeMany(bucket: TokenBucket, count: number, monoMs: number): Level[] {
  return Array.from({ length: count }, () => bucket.take(rate, monoMs));
}

describe('a token bucket', () => {
  test('takes its burst at once, then is over', () => {
    const bucket = new TokenBucket(rate, 0);
    expect(takeMany(bucket, 5, 0)).toEqual(Array<Level>(5).fill('within'));
    expect(bucket.isOver).toBe(false);
    expect(takeMany(bucket, 2, 0)).toEqual(['over', 'over']);
    expect(bucket.isOver).toBe(true);
  });

  test('fills with time, and no further than its burst', () => {
    const bucket = new TokenBucket(rate, 0);
    takeMany(bucket, 5, 0);
    expect(takeMany(bucket, 2, 100)).toEqual(['within', 'over']);
    expect(takeMany(bucket, 6, 60_000)).toEqual([...Array<Level>(5).fill('within'), 'over']);
  });

  test('a steady use at the rate is within it for ever', () => {
    const bucket = new TokenBucket(rate, 0);
    for (let at = 0; at < 100_000; at += 100) expect(bucket.take(rate, at)).toBe('within');
  });

  test('is over until its debt is paid, and owes no more than a burst', () => {
    const bucket = new TokenBucket(rate, 0);
    takeMany(bucket, 1000, 0);
    expect(bucket.take(rate, 200)).toBe('over');
    expect(takeMany(bucket, 1, 1000)).toEqual(['within']);
  });

  test('what is dear uses more at once, and owes no more than a burst either', () => {
    const bucket = new TokenBucket(rate, 0);
    expect(bucket.take(rate, 0, 5)).toBe('within');
    expect(bucket.take(rate, 0, 100)).toBe('over');
    expect(bucket.take(rate, 500)).toBe('over');
    expect(bucket.take(rate, 1000)).toBe('within');
  });

  test('says how long to wait for one more', () => {
    const bucket = new TokenBucket(rate, 0);
    expect(bucket.waitMs(rate)).toBe(0);
    takeMany(bucket, 5, 0);
    expect(bucket.waitMs(rate)).toBe(100);
    takeMany(bucket, 1, 0);
    expect(bucket.waitMs(rate)).toBe(200);
  });

  test('a rate that grows with what the connection carries counts from now on', () => {
    const bucket = new TokenBucket(rate, 0);
    takeMany(bucket, 5, 0);
    const wider: Rate = { perS: 100, burst: 50 };
    expect(bucket.take(wider, 100)).toBe('within');
    expect(bucket.waitMs(wider)).toBe(0);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { observedBetween, quantile, rate } from '../../../../../client/ui/metrics/between.ts';

describe('a rate', () => {
  it('is the increase a second', () => {
    expect(rate(100, 150, 2000)).toBe(25);
    expect(rate(100, 100, 1000)).toBe(0);
  });

  it('counts from zero if the hub was restarted', () => {
    expect(rate(1000, 30, 1000)).toBe(30);
  });

  it('is unknown if no time has passed', () => {
    expect(rate(1, 2, 0)).toBeNull();
    expect(rate(1, 2, -5)).toBeNull();
  });
});

describe('a quantile of a histogram', () => {
  it('lies on a straight line within its bucket', () => {
    expect(
      quantile(0.5, [
        [1, 0],
        [2, 10],
        [Infinity, 10],
      ]),
    ).toBe(1.5);
    expect(
      quantile(0.99, [
        [1, 99],
        [2, 100],
        [Infinity, 100],
      ]),
    ).toBe(1);
    expect(
      quantile(0.25, [
        [4, 100],
        [Infinity, 100],
      ]),
    ).toBe(1);
  });

  it('is the last finite bound if it is beyond that', () => {
    expect(
      quantile(0.99, [
        [1, 1],
        [Infinity, 100],
      ]),
    ).toBe(1);
  });

  it('is unknown if nothing was observed', () => {
    expect(quantile(0.5, [])).toBeNull();
    expect(
      quantile(0.5, [
        [1, 0],
        [Infinity, 0],
      ]),
    ).toBeNull();
  });

  it('is of what was observed between two scrapes, and of all since a new start', () => {
    expect(
      observedBetween(
        [
          [1, 5],
          [Infinity, 8],
        ],
        [
          [1, 5],
          [Infinity, 9],
        ],
      ),
    ).toEqual([
      [1, 0],
      [Infinity, 1],
    ]);
    expect(
      observedBetween(
        [
          [1, 5],
          [Infinity, 8],
        ],
        [
          [1, 1],
          [Infinity, 2],
        ],
      ),
    ).toEqual([
      [1, 1],
      [Infinity, 2],
    ]);
    expect(
      observedBetween(
        [],
        [
          [1, 1],
          [Infinity, 2],
        ],
      ),
    ).toEqual([
      [1, 1],
      [Infinity, 2],
    ]);
  });

  it('grows with its part and stays within the bounds, whatever was counted', () => {
    const counts = fc.array(fc.nat(50), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(counts, (grown) => {
        let sum = 0;
        const buckets = grown.map(
          (count, index) => [index === grown.length - 1 ? Infinity : index + 1, (sum += count)] as const,
        );
        const parts = [0.01, 0.5, 0.9, 0.99, 1].map((part) => quantile(part, buckets));
        if (sum === 0) return parts.every((value) => value === null);
        return parts.every(
          (value, index) =>
            value !== null &&
            value >= 0 &&
            value <= grown.length - 1 &&
            (index === 0 || value >= (parts[index - 1] ?? 0)),
        );
      }),
    );
  });
});

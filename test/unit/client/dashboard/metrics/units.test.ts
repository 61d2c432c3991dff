import { describe, expect, it } from 'vitest';
import { formatValue } from '../../../../../client/ui/metrics/units.ts';

describe('a number for a person', () => {
  it.each([
    [0, 'count', '0'],
    [1234, 'count', '1,234'],
    [9999, 'count', '9,999'],
    [12_345, 'count', '12.3 k'],
    [999_600, 'count', '1 M'],
    [1_234_567, 'count', '1.23 M'],
    [0.5, 'perSecond', '0.5/s'],
    [99.96, 'perSecond', '100/s'],
    [123.4, 'perSecond', '123/s'],
    [0, 'seconds', '0 ms'],
    [0.000_05, 'seconds', '50 µs'],
    [0.001_23, 'seconds', '1.23 ms'],
    [0.25, 'seconds', '250 ms'],
    [0.9999, 'seconds', '1 s'],
    [12.34, 'seconds', '12.3 s'],
    [70_254_592, 'bytes', '67 MiB'],
    [3 * 2 ** 30, 'bytes', '3 GiB'],
    [null, 'count', '–'],
    [undefined, 'seconds', '–'],
    [NaN, 'perSecond', '–'],
  ] as const)('%s as %s is %s', (value, unit, said) => {
    expect(formatValue(value, unit)).toBe(said);
  });
});

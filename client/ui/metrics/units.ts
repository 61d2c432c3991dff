/** Formats numbers for people: three significant digits and a unit. Pure. */

export type Unit = 'count' | 'perSecond' | 'seconds' | 'bytes';

const NONE = '–';

export function formatValue(value: number | null | undefined, unit: Unit): string {
  if (value === null || value === undefined || Number.isNaN(value)) return NONE;
  switch (unit) {
    case 'count':
      return formatCount(value);
    case 'perSecond':
      return `${formatCount(value)}/s`;
    case 'seconds':
      return formatSeconds(value);
    case 'bytes':
      return formatBytes(value);
    default:
      return unit satisfies never;
  }
}

/** Shows integers below 10,000 in full. */
function formatCount(value: number): string {
  const size = Math.abs(value);
  if (size >= 999_500) return `${threeDigits(value / 1e6)} M`;
  if (size >= 10_000) return `${threeDigits(value / 1e3)} k`;
  if (size >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString('en-US');
  return threeDigits(value);
}

function formatSeconds(value: number): string {
  if (value === 0) return '0 ms';
  if (Math.abs(value) < 0.0000995) return `${threeDigits(value * 1e6)} µs`;
  return Math.abs(value) < 0.9995 ? `${threeDigits(value * 1000)} ms` : `${threeDigits(value)} s`;
}

function formatBytes(value: number): string {
  const MiB = 2 ** 20;
  if (value >= 1000 * MiB) return `${threeDigits(value / 2 ** 30)} GiB`;
  return value >= MiB ? `${threeDigits(value / MiB)} MiB` : `${threeDigits(value / 1024)} KiB`;
}

/** Shows at most three significant digits, two of them after the decimal point. */
function threeDigits(value: number): string {
  const size = Math.abs(value);
  const text = value.toFixed(size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2);
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

import { describe, expect, it } from 'vitest';
import { parsePrometheusText } from '../../../../../client/ui/metrics/prometheus-text.ts';

describe('the Prometheus text format', () => {
  it('reads plain and labelled samples and leaves comments and times out', () => {
    const text = '# HELP a what\n# TYPE a counter\na 3\nb{x="1",y="two"} 4.5 1767225600000\n\nc{} 0\n';
    expect(parsePrometheusText(text)).toEqual([
      { name: 'a', labels: {}, value: 3 },
      { name: 'b', labels: { x: '1', y: 'two' }, value: 4.5 },
      { name: 'c', labels: {}, value: 0 },
    ]);
  });

  it('reads braces, commas, quotes, backslashes and line ends within a label', () => {
    const [sample] = parsePrometheusText(String.raw`a{x="1,}{\"\\\n",y=""} 1`);
    expect(sample?.labels).toEqual({ x: '1,}{"\\\n', y: '' });
  });

  it('reads infinities and what is no number, and numbers in any notation', () => {
    const values = parsePrometheusText('a +Inf\na -Inf\na NaN\na 1e-3\na -7').map(({ value }) => value);
    expect(values).toEqual([Infinity, -Infinity, NaN, 0.001, -7]);
  });

  it('skips what is no sample', () => {
    expect(parsePrometheusText('a\n{x="1"} 2\na one\n1a 2\n<html>')).toEqual([]);
  });
});

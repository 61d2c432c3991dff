/**
 * Shows the counts of a `Histogram` on request. prom-client's own histogram would create an object for each
 * observation. This one implements only what a registry requires of a metric.
 */
import type { Metric } from 'prom-client';
import type { Histogram } from '../lib/histogram.ts';

interface Sample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

export function delayHistogram(name: string, help: string, delays: Histogram): Metric {
  const get = (): unknown => ({ name, help, type: 'histogram', aggregator: 'sum', values: samplesOf(name, delays) });
  return { name, help, type: 'histogram', labelNames: [], get } as unknown as Metric;
}

function samplesOf(name: string, { boundsMs, counts, sumMs, count }: Histogram): Sample[] {
  let upTo = 0;
  const buckets = [...boundsMs.map((ms) => ms / 1000), '+Inf'].map((le, i) => {
    upTo += counts[i] ?? 0;
    return { metricName: `${name}_bucket`, labels: { le }, value: upTo };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels: {}, value: sumMs / 1000 },
    { metricName: `${name}_count`, labels: {}, value: count },
  ];
}

/**
 * The metrics of all workers in one answer, because a scrape reaches any one of them. Each series has the label `worker`.
 * A worker that does not answer in time is missing.
 */
import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue, type Registry } from 'prom-client';
import type { WorkerContext } from '../workers/worker-context.ts';

type Series = MetricObjectWithValues<MetricValue<string>>[];

/** The part of a registry that answers a scrape. */
type Scraped = Pick<Registry, 'contentType' | 'metrics'>;

export function metricsOfWorkers(own: Registry, worker: Pick<WorkerContext, 'number' | 'ask' | 'onAsked'>): Scraped {
  own.setDefaultLabels({ worker: String(worker.number) });
  worker.onAsked('metrics', () => own.getMetricsAsJSON());
  return {
    contentType: own.contentType,
    metrics: async () => {
      const [mine, others] = await Promise.all([own.getMetricsAsJSON(), worker.ask('metrics')]);
      // No two workers have a series in common, so nothing is added up.
      return AggregatorRegistry.aggregate([mine, ...(others as Series[])]).metrics();
    },
  };
}

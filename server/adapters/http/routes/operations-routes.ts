/** Routes for monitoring: liveness, readiness and metrics. They reveal no secrets. */
import { mayReadMetrics } from '../../../auth/policy.ts';
import { json, problem } from '../reply.ts';
import { aboutNobody, route, type Route } from '../route.ts';

export interface OperationsOptions {
  /** Descriptions of what fails now; empty if all is well. */
  readonly failures: () => readonly string[];
  /** Prometheus text and its content type. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
}

export function operationsRoutes({ failures, metrics }: OperationsOptions): Route[] {
  return [
    { access: 'anyone', method: 'GET', path: '/healthz', answer: () => json('{"status":"ok"}') },
    {
      access: 'anyone',
      method: 'GET',
      path: '/readyz',
      answer: () => {
        const failing = failures();
        return failing.length === 0 ? json('{"status":"ready"}') : problem('not_ready', failing.join('; '));
      },
    },
    route({
      method: 'GET',
      path: '/metrics',
      isBulk: true,
      about: aboutNobody,
      may: mayReadMetrics,
      answer: async () => {
        const { contentType, text } = await metrics();
        return { status: 200, headers: { 'content-type': contentType, 'cache-control': 'no-store' }, body: text };
      },
    }),
  ];
}

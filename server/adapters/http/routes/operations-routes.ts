/** Routes for monitoring: liveness, readiness and metrics. They reveal no secrets. */
import { mayReadMetrics } from '../../../auth/policy.ts';
import { json, problem } from '../reply.ts';
import { aboutNobody, route, type Route } from '../route.ts';

export interface OperationsOptions {
  /** Descriptions of what fails now; empty if all is well. */
  readonly failures: () => readonly string[];
  /** Whether the hub reaches the Redis of its cluster; null without a cluster. */
  readonly redis: () => 'up' | 'away' | null;
  /** Prometheus text and its content type. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
}

export function operationsRoutes({ failures, redis, metrics }: OperationsOptions): Route[] {
  return [
    { access: 'anyone', method: 'GET', path: '/healthz', answer: () => json('{"status":"ok"}') },
    {
      access: 'anyone',
      method: 'GET',
      path: '/readyz',
      answer: () => {
        const failing = failures();
        const reaches = redis();
        const ready = { status: 'ready', ...(reaches !== null && { redis: reaches }) };
        return failing.length === 0 ? json(JSON.stringify(ready)) : problem('not_ready', failing.join('; '));
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

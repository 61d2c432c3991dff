/** Metrics of webhooks: events by rule and result, and the queue of each rule. */
import { Counter, Gauge, type Registry } from 'prom-client';

export interface WebhookSource {
  /** Events by rule and result since the start. */
  readonly results: ReadonlyMap<string, Readonly<Record<string, number>>>;
  states(): readonly { readonly name: string; readonly queued: number }[];
}

export function registerWebhooks(registry: Registry, source: WebhookSource): void {
  const events: Counter = new Counter({
    name: 'presence_hub_webhook_events_total',
    help: 'Webhook events by result; failed: an attempt, which is repeated; replaced: by a later event of the user; dropped: no room',
    labelNames: ['rule', 'result'],
    registers: [registry],
    collect: () => {
      events.reset();
      for (const [rule, byResult] of source.results) {
        for (const [result, count] of Object.entries(byResult)) events.inc({ rule, result }, count);
      }
    },
  });
  const queue: Gauge = new Gauge({
    name: 'presence_hub_webhook_queue',
    help: 'Webhook events that wait or are on their way',
    labelNames: ['rule'],
    registers: [registry],
    collect: () => {
      queue.reset();
      for (const { name, queued } of source.states()) queue.set({ rule: name }, queued);
    },
  });
}

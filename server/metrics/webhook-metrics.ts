/** Metrics of webhooks: events by rule and result, and the queue of each rule. */
import { Counter, Gauge, type Registry } from 'prom-client';

export interface WebhookSource {
  /** Events by rule and result since the start. */
  readonly results: ReadonlyMap<string, Readonly<Record<string, number>>>;
  /** @throws errors of the queue. */
  states(): Promise<readonly { readonly name: string; readonly queued: number; readonly dead: number }[]>;
  /** @throws errors of the queue. */
  overdueMs(rule: string): Promise<number>;
}

interface QueueReading {
  readonly rule: string;
  readonly queued: number;
  readonly dead: number;
  readonly overdueMs: number;
}

/** `source` is null if no setting asks for webhooks: the metrics then have no series. */
export function registerWebhooks(registry: Registry, source: WebhookSource | null): void {
  const events: Counter = new Counter({
    name: 'presence_hub_webhook_events_total',
    help: 'Webhook events by result; failed: an attempt, which is repeated; replaced: by a later event of the user; dropped: no room',
    labelNames: ['rule', 'result'],
    registers: [registry],
    collect: () => {
      events.reset();
      for (const [rule, byResult] of source?.results ?? []) {
        for (const [result, count] of Object.entries(byResult)) events.inc({ rule, result }, count);
      }
    },
  });
  const gauge = (name: string, help: string, valueOf: (reading: QueueReading) => number): void => {
    const instrument: Gauge = new Gauge({
      name,
      help,
      labelNames: ['rule'],
      registers: [registry],
      collect: async () => {
        const readings = await readQueues(source);
        instrument.reset();
        for (const reading of readings) instrument.set({ rule: reading.rule }, valueOf(reading));
      },
    });
  };
  gauge('presence_hub_webhook_queue', 'Webhook events that wait or are on their way', ({ queued }) => queued);
  gauge(
    'presence_hub_webhook_dead',
    'Webhook events that were not delivered in time, and can be replayed',
    ({ dead }) => dead,
  );
  gauge(
    'presence_hub_webhook_overdue_seconds',
    'For how long the oldest webhook event that is due has waited for its delivery; 0 if none is due',
    ({ overdueMs }) => overdueMs / 1000,
  );
}

/** Nothing if storage fails: the other metrics must still be readable then, because they report the failure. */
async function readQueues(source: WebhookSource | null): Promise<readonly QueueReading[]> {
  try {
    const readings: QueueReading[] = [];
    for (const { name, queued, dead } of (await source?.states()) ?? []) {
      readings.push({ rule: name, queued, dead, overdueMs: (await source?.overdueMs(name)) ?? 0 });
    }
    return readings;
  } catch {
    return [];
  }
}

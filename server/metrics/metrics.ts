/**
 * The metrics registry. Each module counts with plain numbers, and the registry reads them on request, so that no hot
 * path calls it. The names are part of the contract (PROTOCOL.md section 5).
 */
import { memoryUsage } from 'node:process';
import { Counter, Gauge, Registry } from 'prom-client';
import type { BadFrameReason, RefusalReason } from '../../shared/reasons.ts';
import type { Histogram } from '../lib/histogram.ts';
import { registerCluster, type ClusterSource } from './cluster-metrics.ts';
import { delayHistogram } from './delay-histogram.ts';
import { registerWebhooks, type WebhookSource } from './webhook-metrics.ts';
import type { AdapterName } from '../presence/sessions/session.ts';

interface MetricsSources {
  readonly sessions: () => Readonly<Record<AdapterName, number>>;
  /** Open connections of the adapters that have connections. */
  readonly connections: () => Readonly<Partial<Record<AdapterName, number>>>;
  readonly heartbeats: () => Readonly<Record<AdapterName, number>>;
  readonly changes: () => number;
  readonly deliveries: () => number;
  readonly parsedFrames: () => number;
  readonly badFrames: () => Readonly<Record<BadFrameReason, number>>;
  readonly refusals: () => Readonly<Record<RefusalReason, number>>;
  readonly droppedLogLines: () => number;
  readonly delivery: Histogram;
  readonly lapse: Histogram;
  readonly loopLag: Histogram;
  /** Null if no setting asks for webhooks. */
  readonly webhooks: WebhookSource | null;
  /** Null if the hub is not in a cluster. */
  readonly cluster: ClusterSource | null;
}

type Labelled = () => Readonly<Partial<Record<string, number>>>;

export function createMetrics(sources: MetricsSources): Registry {
  const registry = new Registry();
  const gauge = (name: string, help: string, label: string, read: Labelled): void => {
    const instrument: Gauge = new Gauge({
      name,
      help,
      labelNames: [label],
      registers: [registry],
      collect: () => {
        for (const [value, count] of Object.entries(read())) instrument.set({ [label]: value }, count ?? 0);
      },
    });
  };
  // Modules hold the totals, and prom-client can only add, so its counters are reset at each reading.
  const counter = (name: string, help: string, label: string, read: Labelled): void => {
    const instrument: Counter = new Counter({
      name,
      help,
      labelNames: [label],
      registers: [registry],
      collect: () => {
        instrument.reset();
        for (const [value, count] of Object.entries(read())) instrument.inc({ [label]: value }, count ?? 0);
      },
    });
  };
  const total = (name: string, help: string, read: () => number): void => {
    const instrument: Counter = new Counter({
      name,
      help,
      registers: [registry],
      collect: () => {
        instrument.reset();
        instrument.inc(read());
      },
    });
  };
  gauge('presence_hub_sessions', 'Sessions, including those in their grace period', 'adapter', sources.sessions);
  gauge('presence_hub_connections', 'Open connections', 'adapter', sources.connections);
  counter('presence_hub_heartbeats_total', 'Valid heartbeats', 'adapter', sources.heartbeats);
  total('presence_hub_changes_total', 'Changes of entries', sources.changes);
  total('presence_hub_deliveries_total', 'Changed entries sent to watchers', sources.deliveries);
  total(
    'presence_hub_parsed_frames_total',
    'TCP frames that needed full parsing: nearly all have a known form, and cost a tenth',
    sources.parsedFrames,
  );
  counter('presence_hub_bad_frames_total', 'TCP frames that were skipped', 'reason', sources.badFrames);
  counter('presence_hub_refused_total', 'Refusals', 'reason', sources.refusals);
  registry.registerMetric(droppedLines(sources));
  registerDelays(registry, sources);
  registerMemory(registry);
  if (sources.cluster !== null) registerCluster(registry, sources.cluster);
  registerWebhooks(registry, sources.webhooks ?? { results: new Map(), states: () => [] });
  return registry;
}

function droppedLines({ droppedLogLines }: MetricsSources): Counter {
  const name = 'presence_hub_log_lines_dropped_total';
  const help = 'Log lines dropped because the reader of stderr did not read';
  const collect = (): void => {
    instrument.reset();
    instrument.inc(droppedLogLines());
  };
  const instrument: Counter = new Counter({ name, help, registers: [], collect });
  return instrument;
}

function registerDelays(
  registry: Registry,
  { delivery, lapse, loopLag }: Pick<MetricsSources, 'delivery' | 'lapse' | 'loopLag'>,
): void {
  registry.registerMetric(
    delayHistogram(
      'presence_hub_delivery_delay_seconds',
      'From a change to its notification: the oldest change of each flush',
      delivery,
    ),
  );
  registry.registerMetric(
    delayHistogram(
      'presence_hub_lapse_delay_seconds',
      'From the end of a lease to its notification, if someone was notified',
      lapse,
    ),
  );
  registry.registerMetric(
    delayHistogram('presence_hub_event_loop_lag_seconds', 'How late the event loop ran timers that were due', loopLag),
  );
}

function registerMemory(registry: Registry): void {
  registry.registerMetric(
    new Gauge({
      name: 'process_resident_memory_bytes',
      help: 'Memory that the process holds',
      registers: [],
      collect() {
        this.set(memoryUsage.rss());
      },
    }),
  );
}

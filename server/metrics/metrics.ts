/**
 * The metrics registry. Each module counts with plain numbers, and the registry reads them on request, so that no hot
 * path calls it. The names are part of the contract (PROTOCOL.md section 5).
 */
import { Registry } from 'prom-client';
import type { BadFrameReason, RefusalReason } from '../../shared/reasons.ts';
import type { Histogram } from '../lib/histogram.ts';
import { registerCluster, type ClusterSource } from './cluster-metrics.ts';
import type { AdapterName } from '../presence/sessions/session.ts';
import type { Extension } from '../presence/sessions/leases.ts';
import { Instruments } from './instruments.ts';
import { registerProcess } from './process-metrics.ts';
import { registerStorage, type StorageSource } from './storage-metrics.ts';
import type { Transitions } from './transitions.ts';
import { registerWebhooks, type WebhookSource } from './webhook-metrics.ts';

type ByAdapter = () => Readonly<Record<AdapterName, number>>;

export interface MetricsSources {
  readonly sessions: ByAdapter;
  /** Open connections of the adapters that have connections. */
  readonly connections: () => Readonly<Partial<Record<AdapterName, number>>>;
  readonly heartbeats: ByAdapter;
  readonly changes: () => number;
  readonly deliveries: () => number;
  readonly parsedFrames: () => number;
  readonly badFrames: () => Readonly<Record<BadFrameReason, number>>;
  readonly refusals: () => Readonly<Record<RefusalReason, number>>;
  /** How much of a limit of the whole hub is used, from 0 to 1. */
  readonly limitsUsed: () => Readonly<Record<'connections' | 'sessions_total', number>>;
  readonly droppedLogLines: () => number;
  readonly delivery: Histogram;
  readonly heartbeatDelay: Histogram;
  readonly lapse: Histogram;
  readonly loopLag: Histogram;
  readonly transitions: Pick<Transitions, 'entries'>;
  readonly resyncs: () => Readonly<Record<'slow_reader' | 'viewer', number>>;
  readonly resumes: () => Readonly<Record<'changes' | 'snapshot', number>>;
  readonly massLapses: ByAdapter;
  readonly extendedLeases: () => Readonly<Record<Extension, number>>;
  readonly stalled: () => { readonly count: number; readonly totalMs: number };
  readonly isStale: () => boolean;
  readonly storage: StorageSource;
  /** Null if no setting asks for webhooks. */
  readonly webhooks: WebhookSource | null;
  /** Null if the hub is not in a cluster. */
  readonly cluster: ClusterSource | null;
}

export function createMetrics(sources: MetricsSources): Registry {
  const registry = new Registry();
  const make = new Instruments(registry);
  registerTraffic(make, sources);
  registerTruth(make, sources);
  registerDelays(make, sources);
  registerStorage(make, sources.storage);
  registerProcess(make);
  registerWebhooks(registry, sources.webhooks);
  if (sources.cluster !== null) registerCluster(registry, sources.cluster);
  return registry;
}

/** What comes in, what goes out, and what is turned away. */
function registerTraffic(make: Instruments, sources: MetricsSources): void {
  const { sessions, connections, heartbeats, changes, deliveries, transitions } = sources;
  make.gaugeBy('presence_hub_sessions', 'Sessions, including those in their grace period', 'adapter', sessions);
  make.gaugeBy('presence_hub_connections', 'Open connections', 'adapter', connections);
  make.totalBy('presence_hub_heartbeats_total', 'Valid heartbeats', 'adapter', heartbeats);
  make.total('presence_hub_changes_total', 'Changes of entries', changes);
  make.totals(
    'presence_hub_transitions_total',
    'Changes of shown statuses; cause: as webhooks and history name it',
    ['from', 'to', 'cause'],
    () => transitions.entries(),
  );
  make.total('presence_hub_deliveries_total', 'Changed entries sent to watchers', deliveries);
  make.total(
    'presence_hub_parsed_frames_total',
    'TCP frames that needed full parsing: nearly all have a known form, and cost a tenth',
    sources.parsedFrames,
  );
  make.totalBy('presence_hub_bad_frames_total', 'TCP frames that were skipped', 'reason', sources.badFrames);
  make.totalBy('presence_hub_refused_total', 'Refusals', 'reason', sources.refusals);
  make.gaugeBy(
    'presence_hub_limit_used_ratio',
    'How much of HUB_MAX_CONNECTIONS (or of the file descriptors) and of HUB_MAX_SESSIONS_TOTAL is used, from 0 to 1',
    'limit',
    sources.limitsUsed,
  );
  make.totalBy(
    'presence_hub_resumes_total',
    'Watches with a since; answer: what changed after it, or a snapshot because the hub was not sure',
    'answer',
    sources.resumes,
  );
  make.totalBy(
    'presence_hub_resyncs_total',
    'Times that a connection was sent everything again; reason: changes for a slow reader were dropped, or its viewer changed',
    'reason',
    sources.resyncs,
  );
  make.total(
    'presence_hub_log_lines_dropped_total',
    'Log lines dropped because the reader of stderr did not read',
    sources.droppedLogLines,
  );
}

/** Registers the metrics of doubt: stale data, stalls, mass lapses and extended leases. */
function registerTruth(make: Instruments, { isStale, stalled, massLapses, extendedLeases }: MetricsSources): void {
  make.gauge('presence_hub_stale', '1 while some watcher may have been notified that what it sees is stale', () =>
    isStale() ? 1 : 0,
  );
  make.total(
    'presence_hub_stalls_total',
    'Times that the hub did not read its sockets for 250 ms or more: every lease was extended by as long',
    () => stalled().count,
  );
  make.total('presence_hub_stall_seconds_total', 'How long these lasted', () => stalled().totalMs / 1000);
  make.totalBy(
    'presence_hub_mass_lapses_total',
    'Times that many sessions expired at once, so that their end was held back',
    'adapter',
    massLapses,
  );
  make.totalBy(
    'presence_hub_extended_leases_total',
    'Sessions that lived on after their lease; reason: a mass lapse was doubted, or input of their source was not read yet',
    'reason',
    extendedLeases,
  );
}

function registerDelays(make: Instruments, { delivery, heartbeatDelay, lapse, loopLag }: MetricsSources): void {
  make.delays(
    'presence_hub_delivery_delay_seconds',
    'From a change to its notification: the oldest change of each flush',
    delivery,
  );
  make.delays(
    'presence_hub_heartbeat_delay_seconds',
    'From the arrival of a heartbeat that changed something, with its wait in the hub, to its notification: the oldest of each flush',
    heartbeatDelay,
  );
  make.delays(
    'presence_hub_lapse_delay_seconds',
    'From the end of a lease to its notification, if someone was notified',
    lapse,
  );
  make.delays('presence_hub_event_loop_lag_seconds', 'How late the event loop ran timers that were due', loopLag);
}

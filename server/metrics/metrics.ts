/**
 * The instruments: what the rooms count by themselves, read when somebody asks. Nothing is registered on a hot path: a
 * count there is a plain number. The names are part of the contract (PROTOCOL.md section 5).
 */
import { Counter, Gauge, Registry } from 'prom-client';
import type { BadFrameReason } from '../../shared/codes.ts';
import type { AdapterName } from '../presence/session.ts';

export interface MetricsSources {
  readonly sessions: () => Readonly<Record<AdapterName, number>>;
  /** Open connections, of the adapters that have any. */
  readonly connections: () => Readonly<Partial<Record<AdapterName, number>>>;
  readonly heartbeats: () => Readonly<Record<AdapterName, number>>;
  readonly changes: () => number;
  readonly deliveries: () => number;
  readonly badFrames: () => Readonly<Record<BadFrameReason, number>>;
}

/** One counter or gauge: its help, its label, and where its numbers are. */
type Reading = () => Readonly<Partial<Record<string, number>>> | number;

export function createMetrics(sources: MetricsSources): Registry {
  const registry = new Registry();
  const gauge = (name: string, help: string, label: string, read: Reading): void => {
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
  const counter = (name: string, help: string, label: string | undefined, read: Reading): void => {
    const instrument: Counter = new Counter({
      name,
      help,
      labelNames: label === undefined ? [] : [label],
      registers: [registry],
      collect: () => {
        // The rooms hold the totals; prom-client only adds, so it starts anew at each reading.
        instrument.reset();
        const now = read();
        if (label === undefined || typeof now === 'number') instrument.inc(Number(now));
        else for (const [value, count] of Object.entries(now)) instrument.inc({ [label]: value }, count ?? 0);
      },
    });
  };
  gauge('presence_hub_sessions', 'Sessions, those in their grace included', 'adapter', sources.sessions);
  gauge('presence_hub_connections', 'Open connections', 'adapter', sources.connections);
  counter('presence_hub_heartbeats_total', 'Valid heartbeats', 'adapter', sources.heartbeats);
  counter('presence_hub_changes_total', 'Changes of entries', undefined, sources.changes);
  counter('presence_hub_deliveries_total', 'Entries told to watchers as changes', undefined, sources.deliveries);
  counter('presence_hub_bad_frames_total', 'TCP frames that were skipped', 'reason', sources.badFrames);
  return registry;
}

/**
 * The table of plots: the title and unit of each measure, and how its values follow from a scrape and the previous one.
 * Pure. A new plot is a new row here.
 */
import { observedBetween, quantile, rate } from './between.ts';
import type { Reading } from './reading.ts';
import type { Unit } from './units.ts';

export type Values = ReadonlyMap<string, number | null>;

export interface Measure {
  readonly id: string;
  readonly title: string;
  readonly unit: Unit;
  /** What is plotted, in one sentence. */
  readonly about: string;
  /** Shows series only after they were not zero, because there are many and most never happen. */
  readonly isSparse?: true;
  readonly read: (reading: Reading, before: Reading | undefined) => Values;
}

const gaugeBy =
  (name: string, label: string): Measure['read'] =>
  (reading) =>
    reading.by(name, label);

const rateBy =
  (name: string, label: string): Measure['read'] =>
  (reading, before) => {
    const earlier = before?.by(name, label);
    // A label that is new since the last scrape started at zero.
    const rateOf = (value: string, now: number): number | null =>
      earlier === undefined || before === undefined ? null : rate(earlier.get(value) ?? 0, now, reading.at - before.at);
    return new Map([...reading.by(name, label)].map(([value, now]) => [value, rateOf(value, now)]));
  };

const rateOf =
  (name: string, series: string): Measure['read'] =>
  (reading, before) => {
    const [now, earlier] = [reading.total(name), before?.total(name)];
    if (now === undefined) return new Map();
    const isKnown = before !== undefined && earlier !== undefined;
    return new Map([[series, isKnown ? rate(earlier, now, reading.at - before.at) : null]]);
  };

const gaugeOf =
  (name: string, series: string): Measure['read'] =>
  (reading) => {
    const value = reading.total(name);
    return value === undefined ? new Map() : new Map([[series, value]]);
  };

const quantilesOf =
  (name: string): Measure['read'] =>
  (reading, before) => {
    if (!reading.has(`${name}_bucket`)) return new Map();
    const observed = before === undefined ? [] : observedBetween(before.buckets(name), reading.buckets(name));
    return new Map([
      ['p50', quantile(0.5, observed)],
      ['p99', quantile(0.99, observed)],
    ]);
  };

export const measures: readonly Measure[] = [
  {
    id: 'sessions',
    title: 'Sessions',
    unit: 'count',
    about: 'by adapter, including those in their grace period',
    read: gaugeBy('presence_hub_sessions', 'adapter'),
  },
  {
    id: 'connections',
    title: 'Connections',
    unit: 'count',
    about: 'open sockets, by adapter',
    read: gaugeBy('presence_hub_connections', 'adapter'),
  },
  {
    id: 'heartbeats',
    title: 'Heartbeats',
    unit: 'perSecond',
    about: 'valid ones per second, by adapter',
    read: rateBy('presence_hub_heartbeats_total', 'adapter'),
  },
  {
    id: 'changes',
    title: 'Changes',
    unit: 'perSecond',
    about: 'of entries, per second',
    read: rateOf('presence_hub_changes_total', 'changes'),
  },
  {
    id: 'deliveries',
    title: 'Deliveries',
    unit: 'perSecond',
    about: 'entries sent to watchers per second',
    read: rateOf('presence_hub_deliveries_total', 'deliveries'),
  },
  {
    id: 'delivery-delay',
    title: 'Delivery delay',
    unit: 'seconds',
    about: 'from a change to the sockets',
    read: quantilesOf('presence_hub_delivery_delay_seconds'),
  },
  {
    id: 'lapse-delay',
    title: 'Lapse delay',
    unit: 'seconds',
    about: 'from expiry to notification',
    read: quantilesOf('presence_hub_lapse_delay_seconds'),
  },
  {
    id: 'loop-lag',
    title: 'Event-loop lag',
    unit: 'seconds',
    about: 'how late timers ran',
    read: quantilesOf('presence_hub_event_loop_lag_seconds'),
  },
  {
    id: 'memory',
    title: 'Memory',
    unit: 'bytes',
    about: 'resident, of the process',
    read: gaugeOf('process_resident_memory_bytes', 'resident'),
  },
  {
    id: 'parsed-frames',
    title: 'Parsed frames',
    unit: 'perSecond',
    about: 'TCP frames that needed full parsing, per second',
    read: rateOf('presence_hub_parsed_frames_total', 'parsed'),
  },
  {
    id: 'bad-frames',
    title: 'Bad frames',
    unit: 'perSecond',
    about: 'TCP frames skipped per second, by reason',
    isSparse: true,
    read: rateBy('presence_hub_bad_frames_total', 'reason'),
  },
  {
    id: 'refusals',
    title: 'Refusals',
    unit: 'perSecond',
    about: 'refused per second, by reason',
    isSparse: true,
    read: rateBy('presence_hub_refused_total', 'reason'),
  },
];

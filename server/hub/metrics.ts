/** Connects the metrics to the parts that count. */
import type { BadFrameReason } from '../../shared/reasons.ts';
import type { Admission } from '../admission.ts';
import type { TcpXml } from '../adapters/tcp-xml/tcp-xml.ts';
import type { WsJson } from '../adapters/ws-json/ws-json.ts';
import type { Delays } from '../fanout/delivery/delays.ts';
import type { Fanout } from '../fanout/fanout.ts';
import type { Intake } from '../intake.ts';
import { StallClock } from '../lib/time/stall-clock.ts';
import { LoopLag } from '../metrics/loop-lag.ts';
import { createMetrics, type MetricsSources } from '../metrics/metrics.ts';
import type { Transitions } from '../metrics/transitions.ts';
import type { ChangeListener } from '../presence/change.ts';
import { shownStatusOf } from '../presence/fold.ts';
import type { Presence } from '../presence/presence.ts';
import { shownCause } from '../presence/shown-cause.ts';
import type { User } from '../presence/user.ts';
import type { Staleness } from '../staleness.ts';
import type { WriteBehind } from '../storage/write-behind.ts';
import type { HubContext } from './context.ts';
import type { Storage } from './storage/open-storage.ts';

export type Metrics = ReturnType<typeof createMetrics>;

/** The parts that count. */
interface CountingParts extends Pick<MetricsSources, 'transitions' | 'webhooks' | 'cluster'> {
  readonly presence: Presence;
  readonly intake: Intake;
  readonly fanout: Fanout;
  readonly staleness: Staleness;
  readonly storage: Storage;
  readonly writeBehind: WriteBehind<User>;
  readonly counts: { readonly changes: number; readonly deliveries: number };
  readonly delays: Delays;
  readonly admission: Admission;
  readonly tcpXml: TcpXml;
  readonly wsJson: WsJson;
  readonly badFrames: Readonly<Record<BadFrameReason, number>>;
}

/** Counts changes that others see, and those of their status by what it was, is, and why. */
export function countChanges(counts: { changes: number }, transitions: Transitions): ChangeListener {
  return ({ isShown, user, from, cause }) => {
    if (!isShown) return;
    counts.changes++;
    const to = shownStatusOf(user.fold);
    if (to !== from) transitions.count(from, to, shownCause(cause, from, to));
  };
}

const NOT_STALLED = { count: 0, totalMs: 0 };

export function buildMetrics(context: HubContext, parts: CountingParts): Metrics {
  const { refusals, droppedLogLines, clock, maxSessionsTotal, onStop } = context;
  const { presence, intake, fanout, staleness, storage, writeBehind, counts, delays, admission, tcpXml, wsJson } =
    parts;
  const loopLag = new LoopLag();
  onStop(() => {
    loopLag.stop();
  });
  return createMetrics({
    sessions: () => presence.sessionCounts,
    connections: () => ({ 'tcp-xml': tcpXml.connectionCount, 'ws-json': wsJson.connectionCount }),
    heartbeats: () => intake.heartbeats,
    changes: () => counts.changes,
    deliveries: () => counts.deliveries,
    parsedFrames: () => tcpXml.parsedFrames,
    badFrames: () => parts.badFrames,
    refusals: () => refusals,
    limitsUsed: () => ({
      connections: admission.count / admission.limit,
      sessions_total: presence.sessionTotal / maxSessionsTotal,
    }),
    droppedLogLines,
    delivery: delays.delivery,
    heartbeatDelay: delays.heartbeat,
    lapse: delays.lapse,
    loopLag: loopLag.delays,
    transitions: parts.transitions,
    resyncs: () => fanout.resyncs,
    resumes: () => fanout.resumes,
    massLapses: () => presence.leaseCounts.massLapses,
    extendedLeases: () => presence.leaseCounts.extended,
    stalled: () => (clock instanceof StallClock ? clock.stalled : NOT_STALLED),
    isStale: () => staleness.isAny,
    storage: {
      waitingCount: () => writeBehind.waitingCount,
      behindMs: () => writeBehind.behindMs,
      writes: writeBehind.writes,
      failingCount: () => storage.health.failures.length,
      errorCount: () => storage.health.errorCount,
    },
    webhooks: parts.webhooks,
    cluster: parts.cluster,
  });
}

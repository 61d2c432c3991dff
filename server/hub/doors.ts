/**
 * Every way in: legacy frames, WebSocket messages, HTTP requests, and what is counted at them. Part of hub.ts; opens no
 * port.
 */
import { randomBytes } from 'node:crypto';
import { badFrameReasons, type BadFrameReason } from '../../shared/codes.ts';
import type { SessionStatus } from '../../shared/status.ts';
import { TcpXml } from '../adapters/tcp-xml/tcp-xml.ts';
import { WsJson } from '../adapters/ws-json/ws-json.ts';
import { createApi, type Api } from '../api/api.ts';
import { ownPagesOf } from '../api/own-pages.ts';
import { Outbox } from '../fanout/outbox.ts';
import type { Intake } from '../intake.ts';
import { isLoopback } from '../lib/loopback.ts';
import { QuietLog } from '../lib/quiet-log.ts';
import { zeroCounts } from '../lib/zero-counts.ts';
import { createMetrics } from '../metrics/metrics.ts';
import { CEILING_AHEAD_MS } from '../presence/hub-clock.ts';
import type { Core, Lasting } from './core.ts';
import type { Site } from './site.ts';
import { WarmStart } from './warm-start.ts';

export interface Doors {
  readonly tcpXml: TcpXml;
  readonly wsJson: WsJson;
  readonly api: Api;
  readonly warmStart: WarmStart;
}

export function buildDoors(site: Site, core: Core, { roster, store, hubClock }: Lasting, pages: string): Doors {
  const { config, clock, log, codes, failing } = site;
  const { intake, fanout, presence, beforeTelling, counts } = core;
  const { heartbeatMs, timeoutMs } = config;
  const codeOf = (status: SessionStatus): number => codes.codeOf(status);
  const badFrames = zeroCounts(Object.keys(badFrameReasons) as BadFrameReason[]);
  const tcpXml = buildTcpXml(site, intake, badFrames);
  const wsJson = new WsJson({
    intake,
    fanout,
    clock,
    openOutbox: (socket) => new Outbox(socket),
    codeOf,
    heartbeatMs,
    timeoutMs,
    staleSince: () => warmStart.staleSince,
    node: `hub-${randomBytes(4).toString('hex')}`,
    onFault: (error) => {
      log.error({ err: error }, 'a message failed');
    },
  });
  const { wallMs, monoMs } = clock.now();
  const warmStart = new WarmStart({
    presence,
    endsAt: monoMs + config.warmMs,
    sureUntil: Math.min((store.state.lastRunEndedBy ?? wallMs) - CEILING_AHEAD_MS, wallMs),
    onFresh: () => {
      fanout.flush();
      wsJson.broadcast({ type: 'fresh', at: hubClock.sentUpTo(clock.now().wallMs) });
    },
  });
  const metrics = createMetrics({
    sessions: () => presence.sessionCounts,
    connections: () => ({ 'tcp-xml': tcpXml.connectionCount, 'ws-json': wsJson.connectionCount }),
    heartbeats: () => intake.heartbeats,
    changes: () => counts.changes,
    deliveries: () => counts.deliveries,
    badFrames: () => badFrames,
  });
  const api = createApi({
    presence,
    roster,
    heartbeat: { intake, codeOf, timeoutMs, warmMs: config.warmMs, keepLease: core.keepLease },
    isStale: () => warmStart.staleSince !== null,
    beforeTelling,
    edit: core.editRoster,
    failures: () => [...failing.values()],
    metrics: async () => ({ contentType: metrics.contentType, text: await metrics.metrics() }),
    isOwnPage: ownPagesOf(config.host, isLoopback(config.host)),
    pages,
    log,
  });
  return { tcpXml, wsJson, api, warmStart };
}

function buildTcpXml(site: Site, intake: Intake, badFrames: Record<BadFrameReason, number>): TcpXml {
  const { config, clock, log, codes, names, encoding } = site;
  const badFrameLog = new QuietLog(clock);
  return new TcpXml({
    intake,
    clock,
    encoding,
    names,
    statusOf: (code) => codes.statusOf(code),
    timeoutMs: config.tcpTimeoutMs,
    ack: config.tcpAck,
    probe: config.tcpProbe,
    onBadFrame: (reason, peer) => {
      badFrames[reason]++;
      badFrameLog.maybe((leftOut) => {
        log.warn({ reason, peer, leftOut }, 'a bad frame was skipped');
      });
    },
  });
}

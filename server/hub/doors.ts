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
import { Outbox } from '../fanout/outbox.ts';
import type { Intake } from '../intake.ts';
import { QuietLog } from '../lib/quiet-log.ts';
import { createMetrics } from '../metrics/metrics.ts';
import type { Roster } from '../roster/port.ts';
import type { Core } from './core.ts';
import type { Site } from './site.ts';

export interface Doors {
  readonly tcpXml: TcpXml;
  readonly wsJson: WsJson;
  readonly api: Api;
}

export function buildDoors(site: Site, core: Core, roster: Roster, pages: string): Doors {
  const { config, clock, log, codes, failing } = site;
  const { intake, fanout, presence, beforeTelling, counts } = core;
  const { heartbeatMs, timeoutMs } = config;
  const codeOf = (status: SessionStatus): number => codes.codeOf(status);
  const badFrames = countedBadFrames();
  const tcpXml = buildTcpXml(site, intake, badFrames);
  const wsJson = new WsJson({
    intake,
    fanout,
    clock,
    openOutbox: (socket) => new Outbox(socket),
    codeOf,
    heartbeatMs,
    timeoutMs,
    node: `hub-${randomBytes(4).toString('hex')}`,
    onFault: (error) => {
      log.error({ err: error }, 'a message failed');
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
    heartbeat: { intake, codeOf, timeoutMs },
    beforeTelling,
    edit: core.editRoster,
    failures: () => [...failing.values()],
    metrics: async () => ({ contentType: metrics.contentType, text: await metrics.metrics() }),
    pages,
    log,
  });
  return { tcpXml, wsJson, api };
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

function countedBadFrames(): Record<BadFrameReason, number> {
  return Object.fromEntries(Object.keys(badFrameReasons).map((reason) => [reason, 0])) as Record<
    BadFrameReason,
    number
  >;
}

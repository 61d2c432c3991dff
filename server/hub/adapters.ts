/** Builds every adapter: legacy frames, WebSocket messages and HTTP requests, with their metrics. Opens no port. */
import { hostname } from 'node:os';
import { badFrameReasons, type BadFrameReason, type RefusalReason } from '../../shared/reasons.ts';
import { Admission } from '../admission.ts';
import { explaining, type Authenticator } from '../auth/authenticator.ts';
import type { Rate } from '../lib/time/token-bucket.ts';
import { TcpXml } from '../adapters/tcp-xml/tcp-xml.ts';
import { WsJson } from '../adapters/ws-json/ws-json.ts';
import { createApi, type Api } from '../adapters/http/api.ts';
import { createPageRules } from '../adapters/http/routes/own-pages.ts';
import { Outbox } from '../fanout/delivery/outbox.ts';
import type { Intake } from '../intake.ts';
import { isLoopback } from '../lib/net/loopback.ts';
import { escaped } from '../lib/log/escaped.ts';
import { QuietLog } from '../lib/log/quiet-log.ts';
import { createRefusalLog, type Door, type ExplainRefusal } from '../lib/log/refusal-log.ts';
import { zeroCounts } from '../lib/zero-counts.ts';
import { LoopLag } from '../metrics/loop-lag.ts';
import { createMetrics } from '../metrics/metrics.ts';
import type { Doubt } from '../presence/change.ts';
import { friendLookUp } from '../roster/friend-look-up.ts';
import type { Roster } from '../roster/port.ts';
import type { Core } from './core.ts';
import { recordDoubt } from './history.ts';
import { retrySureness, startRetryingStorage, type Storage } from './storage.ts';
import { messageRate, type HubContext } from './context.ts';
import { buildStaleness, untilDecided, type Staleness } from '../staleness.ts';

/** What every adapter with connections needs to accept one. */
interface Gate {
  /** Explains rejected tokens itself. */
  readonly authenticator: Authenticator;
  readonly explainRefusal: ExplainRefusal;
  readonly admission: Admission;
  readonly onRefused: (reason: RefusalReason) => void;
  readonly messages: Rate;
}

type Metrics = ReturnType<typeof createMetrics>;

export interface Adapters {
  readonly tcpXml: TcpXml;
  readonly wsJson: WsJson;
  readonly api: Api;
  readonly staleness: Staleness;
  readonly admission: Admission;
}

export function buildAdapters(site: HubContext, core: Core, lasting: Storage, pages: string): Adapters {
  const admission = new Admission(site.config);
  const webSocketGate = buildGate(site, admission, 'WebSocket');
  const badFrames = zeroCounts(Object.keys(badFrameReasons) as BadFrameReason[]);
  const tcpXml = buildTcpXml(site, core.intake, buildGate(site, admission, 'TCP'), badFrames);
  const wsJson = buildWsJson(site, core, lasting.roster, webSocketGate, (outbox) => {
    staleness.welcomed(outbox);
  });
  const staleness = buildStaleness(site, core, lasting, wsJson);
  startRetryingStorage(site, lasting, () => {
    retrySureness(site, lasting.store, staleness.since);
  });
  const metrics = buildMetrics(site, core, tcpXml, wsJson, badFrames);
  const api = buildApi(
    site,
    core,
    lasting,
    buildGate(site, admission, 'HTTP'),
    webSocketGate.explainRefusal,
    staleness,
    metrics,
    pages,
  );
  return { tcpXml, wsJson, api, staleness, admission };
}

/**
 * Handles a doubted mass lapse: pings the clients that can be pinged, and notifies watchers that what they see may be
 * stale.
 */
export function onDoubt(site: HubContext, core: Core, { staleness, wsJson }: Adapters, doubt: Doubt): void {
  const { adapter } = doubt;
  const { presence, history, turns } = core;
  if (history !== null) void recordDoubt(site, history, presence, turns, doubt);
  site.log.warn({ adapter }, 'very many sessions fell silent at once: their end is held, and doubted');
  staleness.begin(untilDecided(doubt, presence));
  if (adapter === 'ws-json') wsJson.pingAll();
}

function buildGate(
  { config, authenticator, refusals, log, clock }: HubContext,
  admission: Admission,
  door: Door,
): Gate {
  const explainRefusal = createRefusalLog(door, log, clock);
  return {
    authenticator: explaining(authenticator, explainRefusal),
    explainRefusal,
    admission,
    onRefused: (reason) => {
      refusals[reason]++;
    },
    messages: messageRate(config),
  };
}

function buildWsJson(
  { config, node, sessionIds, clock, log, codes }: HubContext,
  { intake, fanout, tails, turns }: Core,
  roster: Roster,
  gate: Gate,
  onWelcomed: (outbox: Outbox) => void,
): WsJson {
  return new WsJson({
    ...gate,
    intake,
    fanout,
    tails,
    workTurns: turns,
    clock,
    openOutbox: (socket) => new Outbox(socket, { maxQueuedBytes: config.maxQueuedBytes, clock }),
    codeOf: (status) => codes.codeOf(status),
    heartbeatMs: config.heartbeatMs,
    timeoutMs: config.timeoutMs,
    maxWatches: config.maxWatches,
    maxSessions: config.maxSessions,
    slowMs: config.slowMs,
    friendLookUp: (count) => friendLookUp(roster, count),
    onWelcomed,
    node,
    idOf: ({ no }) => sessionIds.of(no),
    idOfObserver: (no) => sessionIds.ofObserver(no),
    onFault: (error) => {
      log.error({ err: error }, 'a message failed');
    },
  });
}

function buildMetrics(
  { refusals, droppedLogLines, onStop }: HubContext,
  { presence, intake, counts, delays }: Core,
  tcpXml: TcpXml,
  wsJson: WsJson,
  badFrames: Record<BadFrameReason, number>,
): Metrics {
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
    badFrames: () => badFrames,
    refusals: () => refusals,
    droppedLogLines,
    delivery: delays.delivery,
    lapse: delays.lapse,
    loopLag: loopLag.delays,
  });
}

function buildApi(
  site: HubContext,
  core: Core,
  { roster }: Storage,
  { authenticator, messages, onRefused, explainRefusal }: Gate,
  explainUpgrade: ExplainRefusal,
  staleness: Staleness,
  metrics: Metrics,
  pages: string,
): Api {
  const { config, clock, log, codes, failing, origins } = site;
  const { intake, presence, ensureStored, keepLease, turns } = core;
  const { host, auth, timeoutMs, warmMs, maxFriends } = config;
  return createApi({
    presence,
    roster,
    friendLookUp: (count) => friendLookUp(roster, count),
    heartbeat: { intake, codeOf: (status) => codes.codeOf(status), timeoutMs, warmMs, keepLease },
    isStale: (ids, viewer) => staleness.isStale(ids, viewer),
    list: (query, viewer) => core.presentUsers.page(query, viewer),
    counts: (viewer) =>
      core.presentUsers.counts(viewer, (user) => staleness.isAny && staleness.isStale([user.id], viewer)),
    ensureStored,
    turns,
    edit: (edit) => core.rosterEdits.edit(edit),
    failures: () => [...failing.values()],
    metrics: async () => ({ contentType: metrics.contentType, text: await metrics.metrics() }),
    maxFriends,
    block: core.block,
    unblock: core.unblock,
    watchersOf: (user) => core.fanout.watchersOf(user),
    explain: core.explain,
    kick: core.kick,
    authenticator,
    messages,
    onRefused,
    explainRefusal,
    explainUpgrade,
    isTls: site.tls !== null,
    pageRules: createPageRules({
      host,
      machineName: hostname(),
      isLoopback: isLoopback(host),
      isOpen: auth === 'open',
      listed: origins,
    }),
    pages,
    history: core.history?.history ?? null,
    hidesLastSeen: config.lastSeen === 'hide',
    clock,
    log,
  });
}

function buildTcpXml(site: HubContext, intake: Intake, gate: Gate, badFrames: Record<BadFrameReason, number>): TcpXml {
  const { config, clock, log, codes, names, encoding } = site;
  const badFrameLog = new QuietLog(clock);
  return new TcpXml({
    ...gate,
    asksForToken: config.tcpAuth === 'token',
    allowed: site.tcpAllowed,
    trustedProxies: site.trustedProxies,
    tls: site.tls,
    tlsMode: config.tcpTls,
    frameMs: config.frameMs,
    maxUsers: config.maxPerConnection,
    intake,
    clock,
    encoding,
    names,
    statusOf: (code) => codes.statusOf(code),
    timeoutMs: config.tcpTimeoutMs,
    ack: config.tcpAck,
    probe: config.tcpProbe,
    onBadFrame: ({ reason, why, value, peer }) => {
      badFrames[reason]++;
      badFrameLog.maybe((leftOut) => {
        log.warn({ reason, peer, leftOut }, `a bad frame was skipped: ${why}`);
        if (!log.isLevelEnabled('debug')) return;
        const offending = value();
        if (offending !== undefined) log.debug({ reason, peer, value: escaped(offending) }, 'what was wrong in it');
      });
    },
  });
}

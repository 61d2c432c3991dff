/**
 * Every way in: legacy frames, WebSocket messages, HTTP requests, and what is counted at them. Part of hub.ts; opens no
 * port.
 */
import { randomBytes } from 'node:crypto';
import { badFrameReasons, type BadFrameReason, type RefusalReason } from '../../shared/codes.ts';
import type { SessionStatus } from '../../shared/status.ts';
import { Admission } from '../admission.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import type { Rate } from '../lib/token-bucket.ts';
import { TcpXml } from '../adapters/tcp-xml/tcp-xml.ts';
import { WsJson } from '../adapters/ws-json/ws-json.ts';
import { createApi, type Api } from '../api/api.ts';
import { createPageRules } from '../api/own-pages.ts';
import { Outbox } from '../fanout/outbox.ts';
import type { Intake } from '../intake.ts';
import { isLoopback } from '../lib/loopback.ts';
import { QuietLog } from '../lib/quiet-log.ts';
import { zeroCounts } from '../lib/zero-counts.ts';
import { createMetrics } from '../metrics/metrics.ts';
import type { Moment } from '../lib/clock.ts';
import { CEILING_AHEAD_MS } from '../presence/hub-clock.ts';
import type { Doubt } from '../presence/outcomes.ts';
import type { Presence } from '../presence/presence.ts';
import { WRITTEN_WITHIN_MS } from '../store/write-behind.ts';
import type { Store, StoreState } from '../store/port.ts';
import type { Core } from './core.ts';
import type { Lasting } from './lasting.ts';
import type { Site } from './site.ts';
import { Staleness, type Reason } from './staleness.ts';

/** What every door with connections asks at its threshold. */
interface Gate {
  readonly authenticator: Authenticator;
  readonly admission: Admission;
  readonly onRefused: (reason: RefusalReason) => void;
  readonly messages: Rate;
}

/** A reload of a page with many watches, or a gateway that was cut off, sends much at once. */
const BURST_SECONDS = 10;

export interface Doors {
  readonly tcpXml: TcpXml;
  readonly wsJson: WsJson;
  readonly api: Api;
  readonly staleness: Staleness;
}

export function buildDoors(site: Site, core: Core, { roster, store, hubClock }: Lasting, pages: string): Doors {
  const { config, clock, log, codes, failing } = site;
  const { intake, fanout, presence, beforeTelling, counts } = core;
  const { heartbeatMs, timeoutMs } = config;
  const codeOf = (status: SessionStatus): number => codes.codeOf(status);
  const badFrames = zeroCounts(Object.keys(badFrameReasons) as BadFrameReason[]);
  const gate = {
    authenticator: site.authenticator,
    admission: new Admission(config),
    onRefused: (reason: RefusalReason): void => {
      site.refusals[reason]++;
    },
    messages: { perS: config.messagesPerS, burst: BURST_SECONDS * config.messagesPerS },
  };
  const tcpXml = buildTcpXml(site, intake, gate, badFrames);
  const wsJson = new WsJson({
    ...gate,
    intake,
    fanout,
    clock,
    openOutbox: (socket) => new Outbox(socket, { maxQueuedBytes: config.maxQueuedBytes, clock }),
    codeOf,
    heartbeatMs,
    timeoutMs,
    maxWatches: config.maxWatches,
    slowMs: config.slowMs,
    isFriend: (user, other) => roster.follows(user, other),
    staleSince: () => staleness.since,
    node: `hub-${randomBytes(4).toString('hex')}`,
    onFault: (error) => {
      log.error({ err: error }, 'a message failed');
    },
  });
  const staleness = new Staleness({
    onStale: (since) => {
      wsJson.broadcast({ type: 'stale', since });
    },
    onFresh: () => {
      fanout.flush();
      wsJson.broadcast({ type: 'fresh', at: hubClock.sentUpTo(clock.now().wallMs) });
    },
  });
  if (presence.restoredCount > 0 || isAfterUncleanEnd(store.state))
    staleness.begin(untilBack(presence, store, config.warmMs, clock.now()));
  const metrics = createMetrics({
    sessions: () => presence.sessionCounts,
    connections: () => ({ 'tcp-xml': tcpXml.connectionCount, 'ws-json': wsJson.connectionCount }),
    heartbeats: () => intake.heartbeats,
    changes: () => counts.changes,
    deliveries: () => counts.deliveries,
    badFrames: () => badFrames,
    refusals: () => site.refusals,
  });
  const api = createApi({
    presence,
    roster,
    heartbeat: { intake, codeOf, timeoutMs, warmMs: config.warmMs, keepLease: core.keepLease },
    isStale: () => staleness.since !== null,
    beforeTelling,
    edit: core.editRoster,
    failures: () => {
      core.retryStorage();
      return [...failing.values()];
    },
    metrics: async () => ({ contentType: metrics.contentType, text: await metrics.metrics() }),
    maxFriends: config.maxFriends,
    block: core.block,
    unblock: core.unblock,
    authenticator: gate.authenticator,
    messages: gate.messages,
    onRefused: gate.onRefused,
    pageRules: createPageRules({
      host: config.host,
      isLoopback: isLoopback(config.host),
      isOpen: config.auth === 'open',
      listed: site.origins,
    }),
    pages,
    clock,
    log,
  });
  return { tcpXml, wsJson, api, staleness };
}

/** The sessions that ran out are looked at up to two looks late; what became of them goes out before `fresh`. */
const SETTLED_AFTER_MS = 100;

/** The last run was killed, and what it did in its last moment may not be stored. */
function isAfterUncleanEnd({ lastRunEndedBy, certainFrom, clockFloor }: StoreState): boolean {
  return lastRunEndedBy !== null && certainFrom === clockFloor;
}

/** After a restart: until everybody is back, or the warm time is over. */
function untilBack(presence: Presence, { state }: Store, warmMs: number, now: Moment): Reason {
  const endsAt = now.monoMs + warmMs + SETTLED_AFTER_MS;
  const isUnclean = isAfterUncleanEnd(state);
  const endedBy = state.lastRunEndedBy ?? now.wallMs;
  const since = Math.min(isUnclean ? endedBy - CEILING_AHEAD_MS - WRITTEN_WITHIN_MS : endedBy, now.wallMs);
  // After an unclean end nobody can know whether all are back: somebody may have come in its last moment.
  return { since, isOver: (monoMs) => (!isUnclean && presence.restoredCount === 0) || monoMs >= endsAt };
}

/** While a mass lapse is doubted: asks whoever can be asked, and tells that what is shown may be behind. */
export function onDoubt(
  { clock, log }: Site,
  { staleness, wsJson }: Doors,
  { adapter, heldUntil, leaseMs }: Doubt,
): void {
  log.warn({ adapter }, 'very many sessions fell silent at once: their end is held, and doubted');
  const endsAt = heldUntil + SETTLED_AFTER_MS;
  staleness.begin({ since: clock.now().wallMs - leaseMs, isOver: (monoMs) => monoMs >= endsAt });
  if (adapter === 'ws-json') wsJson.pingAll();
}

function buildTcpXml(site: Site, intake: Intake, gate: Gate, badFrames: Record<BadFrameReason, number>): TcpXml {
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

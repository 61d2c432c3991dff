/** Builds every adapter: legacy frames, WebSocket messages and HTTP requests, with their metrics. Opens no port. */
import { hostname } from 'node:os';
import { badFrameReasons, type BadFrameReason, type RefusalReason } from '../../shared/reasons.ts';
import { Admission } from '../admission.ts';
import { explaining, type Authenticator } from '../auth/authenticator.ts';
import type { Rate } from '../lib/time/token-bucket.ts';
import type { TurnBudget } from '../lib/time/turn-budget.ts';
import { TcpXml } from '../adapters/tcp-xml/tcp-xml.ts';
import { WsJson } from '../adapters/ws-json/ws-json.ts';
import { createApi, type Api, type ApiOptions } from '../adapters/http/api.ts';
import { createPageRules } from '../adapters/http/routes/own-pages.ts';
import type { Delays } from '../fanout/delivery/delays.ts';
import { Outbox } from '../fanout/delivery/outbox.ts';
import type { Fanout } from '../fanout/fanout.ts';
import type { Tails } from '../fanout/tails.ts';
import type { Intake } from '../intake.ts';
import { isLoopback } from '../lib/net/loopback.ts';
import { escaped } from '../lib/log/escaped.ts';
import { QuietLog } from '../lib/log/quiet-log.ts';
import { createRefusalLog, type Protocol, type ExplainRefusal } from '../lib/log/refusal-log.ts';
import { StorageUnavailable } from '../lib/storage-unavailable.ts';
import { zeroCounts } from '../lib/zero-counts.ts';
import type { Transitions } from '../metrics/transitions.ts';
import type { Peers } from '../peers.ts';
import type { Presence } from '../presence/presence.ts';
import type { User } from '../presence/user.ts';
import type { Users } from '../presence/users.ts';
import { friendLookUp } from '../roster/friend-look-up.ts';
import type { Staleness } from '../staleness.ts';
import type { WriteBehind } from '../storage/write-behind.ts';
import type { Webhooks } from '../webhooks/webhooks.ts';
import type { PresentUsers } from '../actions/present-users.ts';
import type { ClusterParts } from './cluster.ts';
import type { Erasure } from './storage/erasure.ts';
import type { HistoryParts } from './history.ts';
import type { Storage } from './storage/open-storage.ts';
import { messageRate, type HubContext } from './context.ts';
import { buildMetrics, type Metrics } from './metrics.ts';
import { metricsOfWorkers } from '../metrics/metrics-of-workers.ts';

/** What every adapter with connections needs to accept one. */
interface Gate {
  /** Explains rejected tokens itself. */
  readonly authenticator: Authenticator;
  readonly explainRefusal: ExplainRefusal;
  readonly admission: Admission;
  readonly onRefused: (reason: RefusalReason) => void;
  readonly messages: Rate;
}

export interface Adapters {
  readonly tcpXml: TcpXml;
  readonly wsJson: WsJson;
  readonly api: Api;
  readonly admission: Admission;
}

/** The use cases of the API and the command line. */
export type Actions = Pick<Erasure, 'onErased'> &
  Pick<ApiOptions, 'edit' | 'refreshList' | 'block' | 'unblock' | 'explain' | 'kick' | 'erase' | 'exportOf'>;

/** What the adapters call: the entrance, fan-out, and the use cases. */
export interface Inner extends Actions {
  readonly users: Users;
  readonly presence: Presence;
  readonly fanout: Fanout;
  readonly tails: Pick<Tails, 'begin' | 'end'>;
  readonly peers: Peers;
  readonly presentUsers: PresentUsers;
  /** Null if history is off. */
  readonly historyParts: HistoryParts | null;
  readonly staleness: Staleness;
  readonly intake: Intake;
  readonly storage: Storage;
  readonly writeBehind: WriteBehind<User>;
  /** The budget of one loop turn for long work. */
  readonly turns: TurnBudget;
  readonly counts: { readonly changes: number; readonly deliveries: number };
  readonly transitions: Transitions;
  readonly delays: Delays;
  /** Null if no setting asks for webhooks. */
  readonly webhooks: Webhooks | null;
  /** Null if the hub is not in a cluster. */
  readonly clusterParts: ClusterParts | null;
  /** Has the user stored, because something about it changed. */
  readonly keep: (user: User) => void;
}

export function buildAdapters(context: HubContext, inner: Inner, pages: string): Adapters {
  const admission = new Admission(context.config);
  const webSocketGate = buildGate(context, admission, 'WebSocket');
  const badFrames = zeroCounts(Object.keys(badFrameReasons) as BadFrameReason[]);
  const tcpXml = buildTcpXml(context, inner.intake, buildGate(context, admission, 'TCP'), badFrames);
  const wsJson = buildWsJson(context, inner, webSocketGate);
  const registry = buildMetrics(context, {
    ...{ ...inner, tcpXml, wsJson, badFrames, admission },
    cluster: inner.clusterParts?.metrics ?? null,
  });
  const metrics = context.worker === null ? registry : metricsOfWorkers(registry, context.worker);
  const httpGate = buildGate(context, admission, 'HTTP');
  const explainUpgrade = webSocketGate.explainRefusal;
  const api = buildApi(context, inner, httpGate, {
    explainUpgrade,
    metrics,
    pages,
    isDraining: () => wsJson.isDraining,
  });
  return { tcpXml, wsJson, api, admission };
}

function buildGate(
  { config, authenticator, refusals, log, clock }: HubContext,
  admission: Admission,
  protocol: Protocol,
): Gate {
  const explainRefusal = createRefusalLog(protocol, log, clock);
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
  { config, node, sessionIds, clock, inputWait, log, codes }: HubContext,
  { intake, fanout, tails, turns, staleness, storage, peers }: Inner,
  gate: Gate,
): WsJson {
  const unavailable = new QuietLog(clock);
  return new WsJson({
    ...gate,
    intake,
    peers,
    fanout,
    tails,
    workTurns: turns,
    clock,
    inputWait,
    openOutbox: (socket) => new Outbox(socket, { maxQueuedBytes: config.maxQueuedBytes, clock }),
    codeOf: (status) => codes.codeOf(status),
    heartbeatMs: config.heartbeatMs,
    timeoutMs: config.timeoutMs,
    limits: config,
    loadFriends: (user) => storage.roster.load([user]),
    friendLookUp: (count) => friendLookUp(storage.roster, count),
    onWelcomed: (outbox) => {
      staleness.welcomed(outbox);
    },
    node,
    idOf: ({ no }) => sessionIds.of(no),
    idOfObserver: (no) => sessionIds.ofObserver(no),
    onFault: (error) => {
      // While storage fails, every client that watches fails.
      if (error instanceof StorageUnavailable) {
        unavailable.maybe((leftOut) => {
          log.warn({ err: error, leftOut }, 'a message failed because storage failed');
        });
      } else log.error({ err: error }, 'a message failed');
    },
  });
}

interface ApiParts {
  readonly explainUpgrade: ExplainRefusal;
  readonly metrics: Pick<Metrics, 'contentType' | 'metrics'>;
  readonly pages: string;
  readonly isDraining: () => boolean;
}

/** What `/readyz` names while the hub drains. */
const DRAINING = 'hub: it is shutting down';

function buildApi(
  context: HubContext,
  inner: Inner,
  { authenticator, messages, onRefused, explainRefusal }: Gate,
  { explainUpgrade, metrics, pages, isDraining }: ApiParts,
): Api {
  const { config, clock, log, codes } = context;
  const { fanout, intake, staleness, keep: keepLease, clusterParts } = inner;
  const { roster, health } = inner.storage;
  const { host, auth, timeoutMs, warmMs } = config;
  return createApi({
    ...inner,
    roster,
    friendLookUp: (count) => friendLookUp(roster, count),
    heartbeat: { intake, codeOf: (status) => codes.codeOf(status), timeoutMs, warmMs, keepLease },
    isStale: (ids, viewer) => staleness.isStale(ids, viewer),
    list: (query, viewer) => inner.presentUsers.page(query, viewer),
    counts: (viewer) =>
      inner.presentUsers.counts(viewer, (user) => staleness.isAny && staleness.isStale([user.id], viewer)),
    ...clusterParts?.list(inner.presentUsers, () => staleness.isAny),
    history: inner.historyParts?.history ?? null,
    hidesLastSeen: config.lastSeen === 'hide',
    failures: () => [...(isDraining() ? [DRAINING] : []), ...health.failures, ...(clusterParts?.failures ?? [])],
    redis: () => clusterParts?.reachesRedis ?? null,
    metrics: async () => ({ contentType: metrics.contentType, text: await metrics.metrics() }),
    maxFriends: () => config.maxFriends,
    watchersOf: (user) => fanout.watchersOf(user),
    authenticator,
    messages,
    onRefused,
    explainRefusal,
    explainUpgrade,
    isTls: context.tls !== null,
    pageRules: createPageRules({
      host,
      machineName: hostname(),
      isLoopback: isLoopback(host),
      isOpen: auth === 'open',
      listed: () => context.origins,
    }),
    pages,
    clock,
    log,
  });
}

function buildTcpXml(
  context: HubContext,
  intake: Intake,
  gate: Gate,
  badFrames: Record<BadFrameReason, number>,
): TcpXml {
  const { config, clock, inputWait, log, codes, names, encoding } = context;
  const badFrameLog = new QuietLog(clock);
  return new TcpXml({
    ...gate,
    asksForToken: config.tcpAuth === 'token',
    get allowed() {
      return context.tcpAllowed;
    },
    get trustedProxies() {
      return context.trustedProxies;
    },
    tls: context.tls,
    tlsMode: config.tcpTls,
    frameMs: config.frameMs,
    get maxUsers() {
      return config.maxPerConnection;
    },
    intake,
    clock,
    inputWait,
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

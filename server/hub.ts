/**
 * THE MAP: builds every part of the hub and connects them in the order of a heartbeat:
 *
 *     bytes -> adapter -> intake -> presence -> onChange -> fanout -> outbox -> socket
 *                                                      `--> write-behind -> store
 *
 * Starts everything that must run, undoes a start that fails, and stops everything in reverse order. Leaves every
 * decision to the parts.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { getHeapStatistics } from 'node:v8';
import { refusalReasons, type RefusalReason } from '../shared/reasons.ts';
import { Poller } from './adapters/poll/poller.ts';
import { readXmlState } from './adapters/tcp-xml/frames/read-state.ts';
import type { TcpXml } from './adapters/tcp-xml/tcp-xml.ts';
import { clientAddress } from './auth/client-address.ts';
import type { Config } from './config/config.ts';
import { startTicker } from './ticker.ts';
import { buildCore, type Core } from './hub/core.ts';
import { buildAdapters, onDoubt, type Adapters } from './hub/adapters.ts';
import { Descriptors } from './hub/descriptors.ts';
import { explainStart, openStorage, type Storage } from './hub/storage.ts';
import { sessionsThatFit } from './hub/session-room.ts';
import { untilLeaseIsOver, type Staleness } from './staleness.ts';
import { createUnasked } from './hub/unasked.ts';
import { buildAuthenticator, openTls, readTables, type HubContext } from './hub/context.ts';
import type { Clock, Moment } from './lib/time/clock.ts';
import { systemClock } from './lib/time/system-clock.ts';
import { zeroCounts } from './lib/zero-counts.ts';
import { listenOrExplain } from './lib/net/listen-error.ts';
import type { Logger } from './lib/log/log.ts';
import type { Roster } from './roster/port.ts';
import { isSqlError } from './storage/sqlite/sqlite.ts';
import { SessionIds, type SessionIdKey } from './presence/sessions/session-id.ts';
import { noStalls, STALL_MS, StallClock } from './lib/time/stall-clock.ts';
import type { Listening, Service } from './sockets/port.ts';
import { loadEngine } from './sockets/load-engine.ts';

export interface Hub {
  readonly addresses: { readonly http: string; readonly ws: string; readonly tcp: string | null };
  /** The socket engine in use, and the reason for it. */
  readonly engine: string;
  /** What a hostile client can still do with that engine; null if nothing. */
  readonly engineLimit: string | null;
  /** Where data is kept. */
  readonly storage: string;
  /** Maximum sessions, and the reason for the number. */
  readonly sessions: string;
  /** Shortages of the machine for these settings. */
  readonly warnings: readonly string[];
  /** Stops the hub and stores everything that must survive a restart. A second call returns the same promise. */
  stop(): Promise<void>;
  /**
   * Asks all clients to reconnect elsewhere or later, and then stops. Takes up to HUB_DRAIN_MS. A second call returns
   * the same promise.
   */
  drain(): Promise<void>;
}

export interface HubOptions {
  readonly log: Logger;
  /** Number of log lines that were dropped because the reader was too slow. */
  readonly droppedLogLines?: () => number;
  /** The clock; by default the system's without stalls. Tests pass their own. */
  readonly clock?: Clock;
  /** Aborted when the process is told to stop, so that a start stops waiting. */
  readonly interrupted?: AbortSignal;
  /** The folder of the built pages, which contains `page` and `dashboard`. */
  readonly pages?: string;
}

const FORGET_TOMBSTONES_EVERY_MS = 60_000;
const builtPages = fileURLToPath(new URL('../client', import.meta.url));

/** @throws {StartError} with one sentence for the operator if the hub cannot start. */
export async function startHub(config: Config, options: HubOptions): Promise<Hub> {
  const { log, pages = builtPages, droppedLogLines = () => 0, interrupted = new AbortController().signal } = options;
  const clock = options.clock ?? createClock(log);
  const isStallClock = clock instanceof StallClock;
  const stalls = isStallClock ? clock : noStalls;
  const tick = isStallClock ? () => clock.tick() : () => clock.now();
  const ends: (() => void | Promise<void>)[] = [];
  const endAll = async (): Promise<void> => {
    if (isServing) log.info('the hub stops');
    const failures: unknown[] = [];
    // A failing step must not prevent the others: ports, locks and storage are freed in any case.
    for (let end = ends.pop(); end !== undefined; end = ends.pop()) {
      try {
        await end();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
    if (isServing) log.info('the hub has stopped: its ports and its data are free');
  };
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= endAll());
  let isServing = false;
  try {
    const tls = await openTls(config, log);
    ends.push(() => tls?.stop());
    const node = `hub-${randomBytes(4).toString('hex')}`;
    const site = {
      config,
      node,
      sessionIds: new SessionIds(node, drawKey()),
      tls,
      clock,
      stalls,
      log,
      droppedLogLines,
      ...readTables(config),
      authenticator: buildAuthenticator(config, clock, log),
      maxSessionsTotal: config.maxSessionsTotal ?? sessionsThatFit(getHeapStatistics().heap_size_limit),
      refusals: zeroCounts(Object.keys(refusalReasons) as RefusalReason[]),
      failing: new Map<string, string>(),
      isDraining: false,
      onStop: (end: () => void | Promise<void>) => void ends.push(end),
    };
    const lasting = await openStorage(site, interrupted);
    const core = buildCore(site, lasting);
    const doors = buildAdapters(site, core, lasting, pages);
    const opened = await open(site, core, doors, lasting, tick);
    isServing = true;
    log.info({ ...opened.facts.addresses, engine: opened.facts.engine, data: config.data }, 'the hub serves');
    let drained: Promise<void> | undefined;
    const takeLeaveAndStop = async (): Promise<void> => {
      site.isDraining = true;
      log.info({ withinMs: config.drainMs }, 'the hub takes leave of its clients');
      await takeLeave(opened, doors, core, config.drainMs);
      return stop();
    };
    const drain = (): Promise<void> => stopped ?? (drained ??= takeLeaveAndStop());
    return { ...opened.facts, stop, drain };
  } catch (error) {
    // An error while the start is undone must not hide why the start failed.
    await stop().catch((also: unknown) => {
      log.error({ err: also }, 'a start that failed could not be undone as a whole');
    });
    throw explainStart(config.data, error);
  }
}

function createClock(log: Logger): StallClock {
  return new StallClock(systemClock, (lastedMs, suspendedMs) => {
    log.warn({ lastedMs }, suspendedMs > 0 ? 'the machine was suspended' : 'event loop blocked');
  });
}

interface Opened {
  readonly facts: Pick<Hub, 'addresses' | 'engine' | 'engineLimit' | 'storage' | 'sessions' | 'warnings'>;
  readonly listening: Listening;
}

/** Part of the drain time that is reserved for the stop itself. */
const STOP_MS = 500;
const LOOK_EVERY_MS = 50;

/**
 * Stops accepting connections, stores everything, and asks all clients to reconnect. Waits until they have gone, or
 * until the time is over.
 */
async function takeLeave(
  { listening }: Opened,
  { wsJson, tcpXml }: Adapters,
  core: Core,
  drainMs: number,
): Promise<void> {
  const endsAt = performance.now() + drainMs - STOP_MS;
  listening.stopAccepting();
  tcpXml.stopAccepting();
  core.fanout.reports.flushAll();
  core.storeNow();
  wsJson.drain(Math.max(0, drainMs - STOP_MS));
  while (wsJson.connectionCount > 0 && performance.now() < endsAt) await delay(LOOK_EVERY_MS);
}

/** Starts the timers and opens the ports. After this the hub serves. */
async function open(
  site: HubContext,
  core: Core,
  doors: Adapters,
  { roster, hubClock }: Storage,
  tick: () => Moment,
): Promise<Opened> {
  const { config, clock, log, onStop } = site;
  const { tcpXml, wsJson, api, staleness } = doors;
  const { engine, why, limit } = loadEngine(config.transport);
  let looked = clock.now();
  const onTick = (now: Moment): void => {
    const { wallMs, monoMs } = now;
    // A stall moves the wall clock only forward relative to the monotonic clock.
    if (wallMs - looked.wallMs < monoMs - looked.monoMs - STALL_MS) core.clockSetBack(wallMs);
    looked = now;
    wsJson.tick(monoMs);
    tcpXml.tick(monoMs);
    staleness.tick(monoMs);
  };
  let stopExpiry = (): void => undefined;
  onStop(() => {
    stopExpiry();
  });
  onStop(startForgetting(roster, () => hubClock.now(clock.now().wallMs), log));
  // Like a lease, a poll is judged at a moment up to which sockets have been read.
  await startPolling(site, core, staleness, { now: () => looked });
  const tcp = await listenTcp(site, tcpXml);
  const { host, port } = config;
  const service: Service = {
    connections: doors.admission,
    isProxy: (peer) => !site.trustedProxies.isEmpty && site.trustedProxies.contains(peer),
    onNoRoom: (reason) => {
      site.refusals[reason]++;
    },
    clientAddress: (peer, forwardedFor) => clientAddress(peer, forwardedFor, site.trustedProxies),
    http: (request) => api.answer(request),
    refuse: (status) => api.refuse(status),
    admit: (request) => api.admit(request),
    opened: (socket) => wsJson.opened(socket),
  };
  const listening = await listenOrExplain({ hostName: 'HUB_HOST', host, portName: 'HUB_PORT', port }, () =>
    engine.listen(host, port, service, site.tls === null ? {} : { tls: site.tls }),
  );
  onStop(async () => {
    core.fanout.reports.flushAll();
    wsJson.shutDown();
    await listening.close();
  });
  // The ticker starts last, because a slow start is not a stall of a serving hub.
  stopExpiry = startTicker({
    presence: core.presence,
    clock,
    tick: () => doubtSuspended(site, doors, tick()),
    onChange: core.onChange,
    onDoubt: (doubt) => {
      onDoubt(site, core, doors, doubt);
    },
    isSuspended: () => site.isDraining,
    onTick,
  });
  const { admission } = doors;
  const descriptors = Descriptors.watch({ admission, maxConnections: config.maxConnections, log });
  onStop(() => descriptors?.stop());
  const at = `${hostInUrl(host)}:${listening.port}`;
  const s = site.tls === null ? '' : 's';
  const facts = {
    addresses: { http: `http${s}://${at}`, ws: `ws${s}://${at}/ws`, tcp },
    engine: why,
    engineLimit: limit,
    storage: config.data === ':memory:' ? 'in memory: gone when the hub stops' : `SQLite in ${config.data}`,
    sessions: describeRoom(site),
    warnings: descriptors?.warnings ?? [],
  };
  return { facts, listening };
}

/** After a suspension of the machine, marks presence as stale, because users may have left during it. */
function doubtSuspended({ clock, config }: HubContext, { staleness }: Adapters, now: Moment): Moment {
  const suspendedAt = clock instanceof StallClock ? clock.takeSuspendedAt() : null;
  const leaseMs = Math.max(config.timeoutMs, config.tcpTimeoutMs);
  if (suspendedAt !== null) staleness.begin(untilLeaseIsOver(suspendedAt, leaseMs, now));
  return now;
}

/** Deletes old tombstones periodically, in bites, so that other work runs between them. */
function startForgetting(roster: Roster, hubNow: () => number, log: Logger): () => void {
  let bite: NodeJS.Immediate | undefined;
  const forget = (): void => {
    bite = undefined;
    try {
      if (roster.forgetTombstones(hubNow())) bite = setImmediate(forget);
    } catch (error) {
      // Locked or full storage must not end the hub. The next round tries again.
      if (!isSqlError(error)) throw error;
      log.warn({ err: error }, 'old tombstones could not be forgotten');
    }
  };
  const timer = setInterval(() => {
    if (bite === undefined) forget();
  }, FORGET_TOMBSTONES_EVERY_MS);
  return () => {
    clearInterval(timer);
    clearImmediate(bite);
  };
}

async function listenTcp({ config, onStop }: HubContext, tcpXml: TcpXml): Promise<string | null> {
  const { tcpHost: host, tcpPort: port } = config;
  if (port === null) return null;
  const where = { hostName: 'HUB_TCP_HOST', host, portName: 'HUB_TCP_PORT', port };
  const taken = await listenOrExplain(where, () => tcpXml.listen(host, port));
  onStop(() => tcpXml.close());
  return `${hostInUrl(host)}:${taken}`;
}

async function startPolling(
  { config, log, codes, names, encoding, stalls, onStop }: HubContext,
  { intake, presence, history }: Core,
  staleness: Staleness,
  clock: Clock,
): Promise<void> {
  if (config.pollFile === null) return;
  const record = (user: string, since: number, until: number | null): void =>
    history?.recorder.doubtUsers([user], since, until);
  const poller = new Poller({
    file: config.pollFile,
    intake,
    clock,
    log,
    unasked: createUnasked({ presence, staleness, clock, stalls, record }),
    codes,
    readXmlState: (body) => readXmlState(body, encoding, names),
  });
  onStop(() => poller.stop());
  await poller.start();
}

function describeRoom({ config, maxSessionsTotal }: HubContext): string {
  const why = config.maxSessionsTotal === null ? 'half of the heap; HUB_MAX_SESSIONS_TOTAL' : 'HUB_MAX_SESSIONS_TOTAL';
  return `at most ${maxSessionsTotal} in all (${why})`;
}

/**
 * Draws a new key for each run, so that no session id outlives its run. The name of the node is new for the same
 * reason.
 */
function drawKey(): SessionIdKey {
  const key = randomBytes(16);
  return [key.readUInt32LE(0), key.readUInt32LE(4), key.readUInt32LE(8), key.readUInt32LE(12)];
}

function hostInUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

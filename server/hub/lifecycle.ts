/**
 * Starts and stops the hub: opens the ports, runs what happens with time, drains, and stops everything in reverse
 * order. Decides nothing about users.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config/config.ts';
import type { Moment } from '../lib/time/clock.ts';
import type { Logger } from '../lib/log/log.ts';
import { STALL_MS, StallClock } from '../lib/time/stall-clock.ts';
import type { ChangeListener, Doubt } from '../presence/change.ts';
import { correctDates } from '../presence/future-dates.ts';
import { recordDoubt } from './history.ts';
import { untilBack, untilDecided, untilLeaseIsOver } from '../staleness.ts';
import { Ticker } from '../ticker.ts';
import type { Adapters, Inner } from './adapters.ts';
import type { HubContext, OnStop } from './context.ts';
import { Descriptors } from './descriptors.ts';
import { startForgettingTombstones } from './storage/forget-tombstones.ts';
import { listenHttp, listenTcp, startPolling } from './ports.ts';
import { keepSureUntil, startRetryingStorage, type Storage } from './storage/open-storage.ts';
import { reload } from './reload.ts';
import { writeAll } from './storage/stored-users.ts';

export interface Hub {
  readonly addresses: { readonly http: string; readonly ws: string; readonly tcp: string | null };
  /** The socket engine in use, and the reason for it. */
  readonly engine: string;
  /** What a hostile client can still do with that engine; null if nothing. */
  readonly engineLimit: string | null;
  /** Where data is kept. */
  readonly storage: string;
  /** The hub's place in its cluster, and what the cluster costs Redis; null without a cluster. */
  readonly cluster: string | null;
  /** Maximum sessions, and the reason for the number. */
  readonly sessions: string;
  /** Shortages of the machine for these settings. */
  readonly warnings: readonly string[];
  /**
   * Applies the live settings of `next` (`isLive` in config/settings.ts), and reads the certificate again. The log
   * names what changed and what only a restart applies. If a setting cannot be applied, all stay as they are.
   * Resolves to whether they were applied.
   */
  reload(next: Config): Promise<boolean>;
  /** Stops the hub and stores everything that must survive a restart. A second call returns the same promise. */
  stop(): Promise<void>;
  /**
   * Asks all clients to reconnect elsewhere or later, and then stops. Takes up to HUB_DRAIN_MS. A second call returns
   * the same promise.
   */
  drain(): Promise<void>;
}

/** Everything between the adapters and storage, as the map joined it. */
export interface Parts extends Inner {
  readonly onChange: readonly ChangeListener[];
}

/** The steps of the stop, which every started part adds to. */
export class Stops {
  readonly #log: Logger;
  readonly #steps: (() => void | Promise<void>)[] = [];
  #isServing = false;
  #stopped: Promise<void> | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  readonly add: OnStop = (step) => void this.#steps.push(step);

  /** Notes that the hub serves, so that the log reports its stop. */
  served(): void {
    this.#isServing = true;
  }

  get hasBegun(): boolean {
    return this.#stopped !== undefined;
  }

  /** Runs the steps, the last one first. A second call returns the same promise. */
  run(): Promise<void> {
    return (this.#stopped ??= this.#runAll());
  }

  /** Undoes a start that failed. An error while it is undone must not hide why it failed. */
  async undoStart(): Promise<void> {
    try {
      await this.run();
    } catch (error) {
      this.#log.error({ err: error }, 'a failed start could not be fully undone');
    }
  }

  async #runAll(): Promise<void> {
    if (this.#isServing) this.#log.info('the hub is stopping');
    const failures: unknown[] = [];
    // A failing step must not prevent the others: ports, locks and storage are freed in any case.
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
    if (this.#isServing) this.#log.info('the hub has stopped: its ports and its data folder are free');
  }
}

/** Starts what runs with time, and opens the ports. After this the hub serves. */
export async function serve(context: HubContext, parts: Parts, adapters: Adapters, stops: Stops): Promise<Hub> {
  const { config, log, onStop } = context;
  const { storage, staleness } = parts;
  if (parts.clusterParts === null) doubtRestart(context, parts);
  startRetryingStorage(context, storage, () => staleness.since);
  const ticker = buildTicker(context, parts, adapters);
  onStop(() => ticker.stop());
  onStop(startForgettingTombstones(context, storage));
  await startPolling(context, parts, ticker);
  const tcp = await listenTcp(context, adapters.tcpXml);
  const { listening, urls, why, limit } = await listenHttp(context, adapters);
  onStop(async () => {
    parts.fanout.reports.flushAll();
    adapters.wsJson.shutDown();
    await listening.close();
  });
  // The ticker starts last, because a slow start is not a stall of a serving hub.
  ticker.start();
  const descriptors = Descriptors.watch({ admission: adapters.admission, maxConnections: config.maxConnections, log });
  onStop(() => descriptors?.stop());
  const addresses = { ...urls, tcp };
  stops.served();
  log.info({ ...addresses, engine: why, data: config.data }, 'the hub is ready');
  let drained: Promise<void> | undefined;
  const drainAndStop = async (): Promise<void> => {
    log.info({ withinMs: config.drainMs }, 'the hub is draining: it asks its clients to reconnect');
    ticker.suspend();
    await takeLeave(context, parts, adapters);
    return stops.run();
  };
  return {
    addresses,
    engine: why,
    engineLimit: limit,
    storage: describeStorage(storage, config),
    cluster: parts.clusterParts?.description ?? null,
    sessions: describeMaxSessions(context),
    warnings: descriptors?.warnings ?? [],
    reload: (next) => reload(context, next),
    stop: () => stops.run(),
    drain: () => (stops.hasBegun ? stops.run() : (drained ??= drainAndStop())),
  };
}

/** Part of the drain time that is reserved for the stop itself. */
const STOP_MS = 500;
const LOOK_EVERY_MS = 50;

/** Stores everything, and asks all clients to reconnect. Waits until they have gone, or until the time is over. */
async function takeLeave(
  { config: { drainMs }, log }: HubContext,
  { fanout, users, writeBehind, clusterParts }: Parts,
  { wsJson, tcpXml }: Adapters,
): Promise<void> {
  const endsAt = performance.now() + drainMs - STOP_MS;
  tcpXml.stopAccepting();
  fanout.reports.flushAll();
  // In case the coming end is not a clean one.
  if (clusterParts === null) writeAll(users, writeBehind, log);
  wsJson.drain(Math.max(0, drainMs - STOP_MS));
  while (wsJson.connectionCount > 0 && performance.now() < endsAt) await delay(LOOK_EVERY_MS);
}

function buildTicker(context: HubContext, parts: Parts, adapters: Adapters): Ticker {
  const { clock } = context;
  const { presence, staleness, fanout, users, onChange, keep, storage } = parts;
  const { wsJson, tcpXml } = adapters;
  const tick = clock instanceof StallClock ? () => clock.tick() : () => clock.now();
  return new Ticker({
    presence,
    clock,
    tick: () => noteStall(context, parts, adapters, tick()),
    onChange,
    onDoubt: (doubt) => {
      doubtMassLapse(context, parts, adapters, doubt);
    },
    onTick: (now, before) => {
      const { wallMs, monoMs } = now;
      // A stall moves the wall clock only forward relative to the monotonic clock.
      const isSetBack = wallMs - before.wallMs < monoMs - before.monoMs - STALL_MS;
      if (isSetBack && parts.clusterParts === null) correctDates(users.held(), wallMs, storage.versions, keep);
      wsJson.tick(monoMs);
      tcpXml.tick(monoMs);
      staleness.tick(monoMs, fanout);
    },
  });
}

/** Doubts what the previous run left, until its users are back. */
function doubtRestart({ config, clock }: HubContext, { presence, staleness, storage, historyParts }: Parts): void {
  const now = clock.now();
  const reason = untilBack(presence, storage.store.state, config.warmMs, now);
  if (!reason.isOver(now.monoMs)) {
    staleness.begin(reason, []);
    return;
  }
  keepSureUntil(storage, null);
  historyParts?.recorder.doubt(null);
}

/** Records a stall as unknown time. After a suspension of the machine, users may have left, so presence is stale. */
function noteStall(
  { clock, config }: HubContext,
  { staleness, historyParts }: Parts,
  { wsJson }: Adapters,
  now: Moment,
): Moment {
  const stall = clock instanceof StallClock ? clock.takeStall() : null;
  if (stall === null) return now;
  historyParts?.recorder.stalled(stall);
  const leaseMs = Math.max(config.timeoutMs, config.tcpTimeoutMs);
  if (stall.isSuspension) staleness.begin(untilLeaseIsOver(stall.from, leaseMs, now), wsJson.welcomedOutboxes());
  return now;
}

/** Pings the clients that can be pinged, and notifies watchers that what they see may be stale. */
function doubtMassLapse(context: HubContext, parts: Parts, { wsJson }: Adapters, doubt: Doubt): void {
  const { adapter } = doubt;
  const { users, staleness, historyParts, turns } = parts;
  if (historyParts !== null) void recordDoubt(context, historyParts, users, turns, doubt);
  context.log.warn({ adapter }, 'mass lapse doubted: many sessions expired at once, so their end is held back');
  staleness.begin(untilDecided(doubt, users), wsJson.welcomedOutboxes());
  if (adapter === 'ws-json') wsJson.pingAll();
}

function describeStorage({ isDurable, remoteLists }: Storage, { data, roster }: Config): string {
  const place = isDurable ? `SQLite in ${data}` : 'in memory: gone when the hub stops';
  if (remoteLists === null) return place;
  const { protocol, host } = new URL(roster);
  return `${place}; friend lists at ${protocol}//${host}`;
}

function describeMaxSessions({ config, maxSessionsTotal }: HubContext): string {
  const why = config.maxSessionsTotal === null ? 'half of the heap; HUB_MAX_SESSIONS_TOTAL' : 'HUB_MAX_SESSIONS_TOTAL';
  return `at most ${maxSessionsTotal} in all (${why})`;
}

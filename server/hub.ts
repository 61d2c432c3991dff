/**
 * THE MAP: builds every room and joins them in the order of a heartbeat:
 *
 *   bytes -> adapter -> intake -> presence -> onChange -> fanout -> outbox -> socket
 *                                                    `--> write-behind -> store
 *
 * Starts what must run, undoes a start that fails, stops in the reverse order. Decides nothing that a room can decide.
 */
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { badFrameReasons, type BadFrameReason } from '../shared/codes.ts';
import type { SessionStatus } from '../shared/status.ts';
import { Poller } from './adapters/poll/poller.ts';
import { decodeText, encodingOf, type Encoding } from './adapters/tcp-xml/charset.ts';
import { decodeFrame } from './adapters/tcp-xml/decode.ts';
import { defaultFieldNames, parseFieldNames, type FieldNames } from './adapters/tcp-xml/names.ts';
import { TcpXml } from './adapters/tcp-xml/tcp-xml.ts';
import { WsJson } from './adapters/ws-json/ws-json.ts';
import { createApi, type Api } from './api/api.ts';
import type { Config } from './config.ts';
import { startExpiry } from './expiry.ts';
import { Fanout } from './fanout/fanout.ts';
import { Outbox } from './fanout/outbox.ts';
import { Intake } from './intake.ts';
import { systemClock, type Clock } from './lib/clock.ts';
import { listenOrExplain } from './lib/listen-error.ts';
import type { Logger } from './lib/log.ts';
import { QuietLog } from './lib/quiet-log.ts';
import { StartError } from './lib/start-error.ts';
import { createMetrics } from './metrics/metrics.ts';
import { CodeTable } from './presence/codes.ts';
import { HubClock } from './presence/hub-clock.ts';
import { Presence, type Change } from './presence/presence.ts';
import type { User } from './presence/user.ts';
import type { Roster, RosterEdit } from './roster/port.ts';
import { SqliteRoster } from './roster/sqlite-roster.ts';
import { loadEngine } from './sockets/load-engine.ts';
import { openDatabase } from './store/database.ts';
import type { Store } from './store/port.ts';
import { SqliteStore } from './store/sqlite-store.ts';
import { storedEntryOf } from './store/stored-entry.ts';
import { WriteBehind } from './store/write-behind.ts';

export interface Hub {
  readonly addresses: { readonly http: string; readonly ws: string; readonly tcp: string | null };
  /** The engine that runs, and why. */
  readonly engine: string;
  /** Where data is kept. */
  readonly storage: string;
  /** Ends everything; what lasts is stored. A second call changes nothing. */
  stop(): Promise<void>;
}

export interface HubOptions {
  readonly log: Logger;
  readonly clock?: Clock;
  /** The folder of the built pages. */
  readonly pages?: string;
}

/** What every part of the building needs. */
interface Site {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Logger;
  readonly codes: CodeTable;
  readonly names: FieldNames;
  readonly encoding: Encoding;
  /** What fails right now, by part. */
  readonly failing: Map<string, string>;
  /** Has `end` called at the stop; the last one first. */
  onStop(end: () => void | Promise<void>): void;
}

const FORGET_TOMBSTONES_EVERY_MS = 60_000;
const builtPages = fileURLToPath(new URL('../client/page', import.meta.url));

/** @throws {StartError} with one sentence for the operator where it can't start. */
export async function startHub(config: Config, options: HubOptions): Promise<Hub> {
  const { log, clock = systemClock, pages = builtPages } = options;
  const ends: (() => void | Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (let end = ends.pop(); end !== undefined; end = ends.pop()) await end();
  };
  try {
    const site = {
      config,
      clock,
      log,
      ...readTables(config),
      failing: new Map<string, string>(),
      onStop: ends.push.bind(ends),
    };
    const lasting = openLasting(site);
    const core = buildCore(site, lasting);
    const doors = buildDoors(site, core, lasting.roster, pages);
    return { ...(await open(site, core, doors, lasting)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Lasting {
  readonly store: Store;
  readonly roster: Roster;
  readonly hubClock: HubClock;
}

function openLasting({ config, clock, codes, onStop }: Site): Lasting {
  const database = openDatabase(config.data, { sync: config.sqliteSync, wallMs: clock.now().wallMs });
  onStop(() => {
    database.close();
  });
  const store = new SqliteStore(database, { offlineCode: codes.codeOf('offline') });
  const roster = new SqliteRoster(database);
  const hubClock = new HubClock(store.state.clockFloor, (ceiling) => {
    store.raiseCeiling(ceiling);
  });
  return { store, roster, hubClock };
}

interface Core {
  readonly presence: Presence;
  readonly fanout: Fanout;
  readonly intake: Intake;
  readonly onChange: (change: Change) => void;
  readonly beforeTelling: () => void;
  /** Commits an edit and tells it. @returns edges added. */
  readonly editRoster: (edit: RosterEdit) => number;
  readonly counts: { changes: number; deliveries: number };
}

/** Who is there, who is told, and what is kept of it. */
function buildCore(site: Site, { store, roster, hubClock }: Lasting): Core {
  const { config, clock, codes } = site;
  const presence = new Presence(
    {
      graceMs: config.graceMs,
      offlineCode: codes.codeOf('offline'),
      clock: hubClock,
      recall: (id) => store.recall(id),
    },
    clock.now(),
  );
  const writeBehind = new WriteBehind<User>({
    store,
    storedOf: (user) => storedEntryOf(presence.entryOf(user)),
    onSaved: (user) => {
      presence.release(user);
    },
    onHealth: (error) => {
      reportStorage(site, error);
    },
  });
  const beforeTelling = (): void => {
    writeBehind.writeFirsts();
  };
  site.onStop(() => {
    endRun(site, presence, writeBehind, () => {
      store.closeCleanly(hubClock.last);
    });
  });
  const counts = { changes: 0, deliveries: 0 };
  const fanout = new Fanout({
    presence,
    clock,
    hubClock,
    friends: roster,
    certainFrom: store.state.certainFrom,
    beforeTelling,
    onDelivered: (entries) => {
      counts.deliveries += entries;
    },
  });
  const onChange = (change: Change): void => {
    if (change.isShown) {
      counts.changes++;
      writeBehind.add(change.user);
    }
    fanout.changed(change);
  };
  const intake = new Intake({ presence, clock, onChange });
  const editRoster = (edit: RosterEdit): number => {
    const change = roster.edit(edit, hubClock.now(clock.now().wallMs));
    fanout.rosterChanged(change);
    return change.added.length;
  };
  return { presence, fanout, intake, onChange, beforeTelling, editRoster, counts };
}

/** Stores what is not yet stored, the exact last sign of everybody visible with it, and marks the end as clean. */
function endRun({ clock, log }: Site, presence: Presence, writeBehind: WriteBehind<User>, markClean: () => void): void {
  try {
    const now = clock.now();
    for (const user of presence.heldUsers()) if (presence.settleLastSeen(user, now)) writeBehind.add(user);
    writeBehind.flush();
    markClean();
  } catch (error) {
    log.error({ err: error }, 'storage could not be written at the end: the next start treats this as an unclean end');
  }
}

function reportStorage({ failing, log }: Site, error: Error | undefined): void {
  if (error === undefined) {
    failing.delete('storage');
    log.info('storage takes entries again');
  } else {
    failing.set('storage', `storage: entries can't be written (${error.message})`);
    log.error({ err: error }, 'storage can’t take entries; they are kept and tried again');
  }
}

interface Doors {
  readonly tcpXml: TcpXml;
  readonly wsJson: WsJson;
  readonly api: Api;
}

/** Every way in: legacy frames, WebSocket messages, HTTP requests. */
function buildDoors(site: Site, core: Core, roster: Roster, pages: string): Doors {
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

/** Starts the timers and opens the ports: from here on the hub serves. */
async function open(site: Site, core: Core, doors: Doors, { roster, hubClock }: Lasting): Promise<Omit<Hub, 'stop'>> {
  const { config, clock, onStop } = site;
  const { tcpXml, wsJson, api } = doors;
  const { engine, why } = loadEngine(config.transport);
  const onLook = (monoMs: number): void => {
    wsJson.look(monoMs);
    tcpXml.look(monoMs);
  };
  onStop(startExpiry({ presence: core.presence, clock, onChange: core.onChange, onLook }));
  const forget = setInterval(() => {
    roster.forgetTombstones(hubClock.now(clock.now().wallMs));
  }, FORGET_TOMBSTONES_EVERY_MS);
  onStop(() => {
    clearInterval(forget);
  });
  await startPolling(site, core.intake);
  const tcp = await listenTcp(site, tcpXml);
  const { host, port } = config;
  const listening = await listenOrExplain({ hostName: 'HUB_HOST', host, portName: 'HUB_PORT', port }, () =>
    engine.listen(host, port, {
      http: (request) => api.answer(request),
      refuse: (status) => api.refuse(status),
      admit: (request) => api.admit(request),
      opened: (socket) => wsJson.opened(socket),
    }),
  );
  onStop(async () => {
    wsJson.shutDown();
    await listening.close();
  });
  const at = `${hostInUrl(host)}:${listening.port}`;
  return {
    addresses: { http: `http://${at}`, ws: `ws://${at}/ws`, tcp },
    engine: why,
    storage: config.data === ':memory:' ? 'in memory: gone when the hub stops' : `SQLite in ${config.data}`,
  };
}

async function listenTcp({ config, onStop }: Site, tcpXml: TcpXml): Promise<string | null> {
  const { tcpHost: host, tcpPort: port } = config;
  if (port === null) return null;
  const where = { hostName: 'HUB_TCP_HOST', host, portName: 'HUB_TCP_PORT', port };
  const taken = await listenOrExplain(where, () => tcpXml.listen(host, port));
  onStop(() => tcpXml.close());
  return `${hostInUrl(host)}:${taken}`;
}

async function startPolling(
  { config, clock, log, codes, names, encoding, onStop }: Site,
  intake: Intake,
): Promise<void> {
  if (config.pollFile === null) return;
  const readXmlState = (body: Buffer): number | undefined => {
    const decoded = decodeFrame(decodeText(body, 'bytes', encoding), names);
    return decoded.ok ? decoded.state : undefined;
  };
  const poller = new Poller({ file: config.pollFile, intake, clock, log, codes, readXmlState });
  onStop(() => poller.stop());
  await poller.start();
}

/** The settings whose form their own rooms know. */
function readTables({ codes: codesGiven, tcpNames, tcpEncoding }: Config): Pick<Site, 'codes' | 'names' | 'encoding'> {
  const codes = CodeTable.parse(codesGiven);
  if (!codes.ok) throw new StartError(`HUB_CODES is "${codesGiven ?? ''}": it ${codes.problem}`);
  const names = tcpNames === null ? { ok: true as const, names: defaultFieldNames } : parseFieldNames(tcpNames);
  if (!names.ok) throw new StartError(`HUB_TCP_NAMES is "${tcpNames ?? ''}": ${names.error}`);
  const encoding = encodingOf(tcpEncoding);
  if (encoding === undefined) {
    const known = 'utf-8, gbk, gb18030, gb2312, big5, iso-8859-1, utf-16le or utf-16be';
    throw new StartError(`HUB_TCP_ENCODING is "${tcpEncoding}": it must be one of ${known}`);
  }
  return { codes: codes.table, names: names.names, encoding };
}

function hostInUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

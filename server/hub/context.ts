/**
 * What every part of the hub needs: the settings, the clock, the log, and the tables that the responsible modules parse
 * from settings.
 */
import { randomBytes } from 'node:crypto';
import { getHeapStatistics } from 'node:v8';
import { parseCidrs, type Cidrs } from '../auth/cidrs.ts';
import { createOpenWithTokens, openAuthenticator, type Authenticator } from '../auth/authenticator.ts';
import { createJwtAuthenticator } from '../auth/jwt-authenticator.ts';
import { parseOrigins } from '../auth/origins.ts';
import { refusalReasons, type RefusalReason } from '../../shared/reasons.ts';
import { encodingOf, type Encoding } from '../adapters/tcp-xml/frames/charset.ts';
import { parseFieldNames, type FieldNames } from '../adapters/tcp-xml/frames/names.ts';
import { liveSettingsOf, type Config } from '../config/config.ts';
import type { Clock } from '../lib/time/clock.ts';
import { InputWait } from '../lib/time/input-wait.ts';
import type { Rate } from '../lib/time/token-bucket.ts';
import { noStalls, StallClock, type Stalls } from '../lib/time/stall-clock.ts';
import { systemClock } from '../lib/time/system-clock.ts';
import { createLog, type Logger } from '../lib/log/log.ts';
import { openTlsFiles, type TlsFiles } from '../lib/net/tls-files.ts';
import { StartError } from '../lib/start-error.ts';
import { zeroCounts } from '../lib/zero-counts.ts';
import type { WorkerContext } from '../workers/worker-context.ts';
import { CodeTable } from '../presence/legacy-codes.ts';
import { SessionIds, type SessionIdKey } from '../presence/sessions/session-id.ts';
import { defaultMaxSessions } from './default-max-sessions.ts';

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
  /** The hub's place among the workers that share its ports; none if it is alone. */
  readonly worker?: WorkerContext;
}

/** Registers a step of the stop. The last one registered runs first. */
export type OnStop = (end: () => void | Promise<void>) => void;

export interface HubContext {
  /** The settings that apply now. A reload changes some of them in place, so copy none that is live. */
  readonly config: Config;
  /** The name of this hub. It is new in each run, so that no session id outlives its run. */
  readonly node: string;
  readonly sessionIds: SessionIds;
  readonly clock: Clock;
  /** The stalls that the clock leaves out. */
  readonly stalls: Stalls;
  readonly inputWait: InputWait;
  readonly log: Logger;
  /** Number of log lines that were dropped because the reader was too slow. */
  readonly droppedLogLines: () => number;
  /** The hub's place among the workers that share its ports; null if it is alone. */
  readonly worker: WorkerContext | null;
  readonly codes: CodeTable;
  readonly names: FieldNames;
  readonly encoding: Encoding;
  readonly authenticator: Authenticator;
  /** Addresses that may use TCP; null for all. A reload replaces it and the next two. */
  readonly tcpAllowed: Cidrs | null;
  readonly trustedProxies: Cidrs;
  readonly origins: ReadonlySet<string>;
  /** The certificate of both ports; null without encryption. */
  readonly tls: TlsFiles | null;
  /** Maximum sessions of all users. A reload may change it. */
  readonly maxSessionsTotal: number;
  /** Rejected and ended connections by reason. */
  readonly refusals: Record<RefusalReason, number>;
  /** Aborted when the process is told to stop, so that a start stops waiting. */
  readonly interrupted: AbortSignal;
  readonly onStop: OnStop;
  /**
   * Applies the live settings of `next`, which must be sound as a whole. The others stay. If one cannot be applied, none
   * is. @throws {StartError} with one sentence that names the setting.
   */
  readonly applyLive: (next: Config) => void;
}

/** @throws {StartError} with one sentence for the operator. */
export async function openContext(given: Config, options: HubOptions, onStop: OnStop): Promise<HubContext> {
  const { log, droppedLogLines = () => 0, interrupted = new AbortController().signal } = options;
  const clock = options.clock ?? createClock(log);
  const config = { ...given };
  const tls = await openTls(config, log);
  onStop(() => tls?.stop());
  const node = `hub-${randomBytes(4).toString('hex')}`;
  const { codes, names, encoding, ...firstTables } = readTables(config);
  let tables = firstTables;
  const badTokens = messageRate(config);
  let authenticator = buildAuthenticator(config, badTokens, clock, log);
  return {
    config,
    node,
    sessionIds: new SessionIds(node, drawKey()),
    clock,
    stalls: clock instanceof StallClock ? clock : noStalls,
    inputWait: new InputWait(),
    log,
    droppedLogLines,
    worker: options.worker ?? null,
    codes,
    names,
    encoding,
    authenticator: {
      get withoutToken() {
        return authenticator.withoutToken;
      },
      verify: (token, address) => authenticator.verify(token, address),
    },
    get tcpAllowed() {
      return tables.tcpAllowed;
    },
    get trustedProxies() {
      return tables.trustedProxies;
    },
    get origins() {
      return tables.origins;
    },
    tls,
    get maxSessionsTotal() {
      return config.maxSessionsTotal ?? defaultMaxSessions(getHeapStatistics().heap_size_limit);
    },
    refusals: zeroCounts(Object.keys(refusalReasons) as RefusalReason[]),
    interrupted,
    onStop,
    applyLive: (next) => {
      const merged = withLiveSettings(config, next);
      const nextTables = readTables(merged);
      // A new authenticator has verified no token yet, so it is built only if it differs.
      const differs = authSettings.some((field) => merged[field] !== config[field]);
      if (differs) authenticator = buildAuthenticator(merged, badTokens, clock, log);
      tables = nextTables;
      Object.assign(config, merged);
    },
  };
}

/** The live settings that `buildAuthenticator` reads. */
const authSettings = ['jwtSecret', 'jwksUrl', 'jwtIssuer', 'jwtAudience', 'adminToken', 'metricsToken'] as const;

function createClock(log: Logger): StallClock {
  return new StallClock(systemClock, (lastedMs, suspendedMs) => {
    log.warn({ lastedMs }, suspendedMs > 0 ? 'the machine was suspended' : 'event loop blocked');
  });
}

/**
 * Draws a new key for each run, so that no session id outlives its run. The name of the node is new for the same
 * reason.
 */
function drawKey(): SessionIdKey {
  const key = randomBytes(16);
  return [key.readUInt32LE(0), key.readUInt32LE(4), key.readUInt32LE(8), key.readUInt32LE(12)];
}

/** Checks the values that `readConfig` leaves to others. @throws {StartError} with one sentence that names the setting. */
export function checkSettings(config: Config): void {
  readTables(config);
  buildAuthenticator(config, messageRate(config), systemClock, createLog('silent'));
}

/**
 * Returns `config` with the live settings of `next`. Also checks what only a restart applies, because a wrong value would
 * stop that start. @throws {StartError} with one sentence that names the setting.
 */
export function withLiveSettings(config: Config, next: Config): Config {
  checkSettings(next);
  const merged = { ...config, ...liveSettingsOf(next) };
  checkSettings(merged);
  return merged;
}

type Tables = Pick<HubContext, 'codes' | 'names' | 'encoding' | 'tcpAllowed' | 'trustedProxies' | 'origins'>;

/** @throws {StartError} with one sentence that names the setting. */
function readTables(config: Config): Tables {
  const { codes: codesGiven, tcpNames, tcpEncoding } = config;
  const codes = CodeTable.parse(codesGiven);
  if (!codes.ok) throw new StartError(`HUB_CODES is "${codesGiven ?? ''}": it ${codes.problem}`);
  const names = parseFieldNames(tcpNames ?? '');
  if (!names.ok) throw new StartError(`HUB_TCP_NAMES is "${tcpNames ?? ''}": ${names.problem}`);
  const encoding = encodingOf(tcpEncoding);
  if (encoding === undefined) {
    const known = 'utf-8, gbk, gb18030, gb2312, big5, iso-8859-1, utf-16le or utf-16be';
    throw new StartError(`HUB_TCP_ENCODING is "${tcpEncoding}": it must be one of ${known}`);
  }
  const allowed = readCidrs('HUB_TCP_ALLOW', config.tcpAllow);
  const origins = parseOrigins(config.origins);
  if (!origins.ok) throw new StartError(origins.problem);
  return {
    codes: codes.value,
    names: names.value,
    encoding,
    tcpAllowed: allowed.isEmpty ? null : allowed,
    trustedProxies: readCidrs('HUB_TRUST_PROXY', config.trustProxy),
    origins: origins.value,
  };
}

function readCidrs(setting: string, text: string): Cidrs {
  const read = parseCidrs(setting, text);
  if (!read.ok) throw new StartError(read.problem);
  return read.value;
}

/** A reloaded page with many watches, or a gateway that reconnects, sends a burst. */
const BURST_SECONDS = 10;

/** The message rate of one connection or one caller. It follows a reload of the settings. */
export function messageRate(config: Config): Rate {
  return {
    get perS() {
      return config.messagesPerS;
    },
    get burst() {
      return BURST_SECONDS * config.messagesPerS;
    },
  };
}

/** Builds the authenticator. @throws {StartError} with one sentence that names the setting. */
function buildAuthenticator(config: Config, badTokens: Rate, clock: Clock, log: Logger): Authenticator {
  const { auth, adminToken, metricsToken } = config;
  if (auth === 'open' && adminToken === null && metricsToken === null) return openAuthenticator;
  const made =
    auth === 'jwt'
      ? createJwtAuthenticator({
          secret: config.jwtSecret ?? undefined,
          jwksUrl: config.jwksUrl ?? undefined,
          issuer: config.jwtIssuer ?? undefined,
          audience: config.jwtAudience ?? undefined,
          adminToken: adminToken ?? undefined,
          metricsToken: metricsToken ?? undefined,
          badTokens,
          clock,
          onKeysFailure: (why) => {
            log.warn({ why }, 'tokens of new keys can’t be checked');
          },
        })
      : createOpenWithTokens(adminToken, metricsToken);
  if (!made.ok) throw new StartError(made.problem);
  return made.value;
}

/** Loads the certificate and reloads it while the hub runs. @throws {StartError} with one sentence. */
async function openTls({ tlsCert, tlsKey }: Config, log: Logger): Promise<TlsFiles | null> {
  if (tlsCert === null || tlsKey === null) return null;
  const read = await openTlsFiles({
    certName: 'HUB_TLS_CERT',
    certPath: tlsCert,
    keyName: 'HUB_TLS_KEY',
    keyPath: tlsKey,
  });
  if (!read.ok) throw new StartError(read.problem);
  read.value.watch((problem) => {
    log.error(problem);
  });
  return read.value;
}

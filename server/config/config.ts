/**
 * Merges the settings into one frozen object: flags override environment variables, which override the file, which
 * overrides the defaults. Rules across settings fail with one sentence. Starts nothing and reads nothing from the
 * system: main.ts passes in arguments, environment and files. Encodings, names, codes, addresses, origins and tokens
 * stay text here. hub/context.ts has them parsed by the modules that know their formats.
 */
import { isIP } from 'node:net';
import type { Environment } from '../../shared/environment.ts';
import { isLoopback } from '../lib/net/loopback.ts';
import { flagOf, settingNames, settings, type Form, type SettingName } from './settings.ts';
import {
  give,
  quoted,
  readEnvironment,
  readSettingsFile,
  type Given,
  type GivenSettings,
  type Read,
} from './sources.ts';
import { isWholeWithin } from '../../shared/result.ts';

export { describeSettings } from './settings.ts';
export { readFlags, type CommandLine } from './sources.ts';

export interface Config {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly tcpHost: string;
  /** null: no TCP. */
  readonly tcpPort: number | null;
  /** A directory, or `:memory:`. */
  readonly data: string;
  readonly transport: 'auto' | 'uws' | 'ws';
  readonly heartbeatMs: number;
  readonly timeoutMs: number;
  readonly tcpTimeoutMs: number;
  readonly graceMs: number;
  readonly warmMs: number;
  readonly drainMs: number;
  readonly doubtSessions: number;
  readonly doubtPercent: number;
  /** 0: a mass lapse is reported like any other. */
  readonly doubtMs: number;
  readonly tcpAck: boolean;
  readonly tcpProbe: boolean;
  /** HUB_TCP_ENCODING as given. */
  readonly tcpEncoding: string;
  /** HUB_TCP_NAMES as given; null: the contract's names. */
  readonly tcpNames: string | null;
  /** HUB_CODES as given; null: the contract's table. */
  readonly codes: string | null;
  readonly logLevel: LogLevel;
  /** Path of the file of poll targets. */
  readonly pollFile: string | null;
  readonly sqliteSync: 'normal' | 'full';
  readonly auth: 'open' | 'jwt';
  readonly jwtSecret: string | null;
  readonly jwksUrl: string | null;
  readonly jwtIssuer: string | null;
  readonly jwtAudience: string | null;
  /** HUB_ADMIN_TOKEN and HUB_METRICS_TOKEN as given. */
  readonly adminToken: string | null;
  readonly metricsToken: string | null;
  readonly tcpAuth: 'none' | 'token';
  /** HUB_TCP_ALLOW as given; empty: every address. */
  readonly tcpAllow: string;
  /** HUB_ORIGINS as given. */
  readonly origins: string;
  /** HUB_TRUST_PROXY as given. */
  readonly trustProxy: string;
  /** Paths of the certificate and the key; both or neither. */
  readonly tlsCert: string | null;
  readonly tlsKey: string | null;
  readonly tcpTls: 'allow' | 'require';
  readonly lastSeen: 'show' | 'hide';
  readonly maxConnections: number;
  readonly maxPerAddress: number;
  /** Per user. */
  readonly maxSessions: number;
  /** All users together; null: as many as the heap can hold. */
  readonly maxSessionsTotal: number | null;
  /** Users per TCP connection. */
  readonly maxPerConnection: number;
  /** Per connection. */
  readonly maxWatches: number;
  /** Per user. */
  readonly maxFriends: number;
  readonly messagesPerS: number;
  readonly frameMs: number;
  readonly maxQueuedBytes: number;
  readonly slowMs: number;
  /** 0: history is off. */
  readonly historyDays: number;
  /** Maximum single transitions of a user in a day. */
  readonly historyPerDay: number;
}
export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';

export interface ConfigSources {
  readonly flags: ReadonlyMap<SettingName, string>;
  readonly env: Environment;
  /** Reads a text file. Throws if it cannot be read. */
  readonly readFile: (path: string) => string;
}

/** Reads the settings. A failure is the first problem: one line that names the setting and says what is valid. */
export function readConfig(sources: ConfigSources): Read<{ config: Config; warnings: readonly string[] }> {
  const gathered = gather(sources);
  if (!gathered.ok) return gathered;
  const { layers, injected } = gathered;
  const given = new Map(layers.flatMap((layer) => [...layer]));
  const fault = firstFault(layers, given);
  if (fault !== undefined) return { ok: false, problem: fault };
  const config = toConfig((name) => given.get(name)?.value ?? settings[name].fallback);
  const mayListenOpen = isYes(given.get('HUB_ALLOW_OPEN')?.value ?? '0');
  const problem = faultAcross(config, mayListenOpen);
  if (problem !== undefined) return { ok: false, problem };
  return { ok: true, config, warnings: warningsFor(config, given, injected) };
}

/**
 * A wrong value stops the start even if a stronger source overrides it, because it would take effect once that source
 * is gone.
 */
function firstFault(layers: readonly GivenSettings[], inForce: GivenSettings): string | undefined {
  for (const name of settingNames) {
    for (const layer of layers) {
      const one = layer.get(name);
      if (one === undefined) continue;
      const fault = faultIn(settings[name].form, one.value);
      const isWrong = fault !== undefined && (one === inForce.get(name) || 'mustBe' in fault);
      if (isWrong) return describeFault(name, one, fault);
    }
  }
  return undefined;
}

/** The settings of each source, the strongest last. */
function gather(sources: ConfigSources): Read<{ layers: readonly GivenSettings[]; injected: readonly string[] }> {
  const fromEnv = readEnvironment(sources.env);
  if (!fromEnv.ok) return fromEnv;
  const fromFlags = new Map<SettingName, Given>();
  for (const [name, value] of sources.flags) give(fromFlags, name, value, `--${flagOf(name)}`);
  const path = (fromFlags.get('HUB_CONFIG') ?? fromEnv.given.get('HUB_CONFIG'))?.value;
  const fromFile = path === undefined ? undefined : readFileOfSettings(path, sources.readFile);
  if (fromFile?.ok === false) return fromFile;
  const layers = [fromFile?.given ?? new Map<SettingName, Given>(), fromEnv.given, fromFlags];
  return { ok: true, layers, injected: fromEnv.injected };
}

function readFileOfSettings(path: string, readFile: ConfigSources['readFile']): Read<{ given: GivenSettings }> {
  let json: string;
  try {
    json = readFile(path);
  } catch {
    return { ok: false, problem: `HUB_CONFIG is "${path}": no such file can be read; give a JSON file` };
  }
  return readSettingsFile(json, path);
}

/** What is wrong with a value: what it must be, or that its part does not exist yet. */
type Fault = { readonly mustBe: string } | { readonly notYet: true; readonly instead: string };

function faultIn(form: Form, value: string): Fault | undefined {
  switch (form.kind) {
    case 'text':
      return undefined;
    case 'host':
      return isHost(value) ? undefined : { mustBe: 'a host name or an IP address, such as 127.0.0.1' };
    case 'yes-no':
      return /^(1|0|true|false)$/.test(value) ? undefined : { mustBe: '1 or 0' };
    case 'choice':
      return form.of.includes(value) ? undefined : { mustBe: listed(form.of) };
    case 'whole':
      return isWholeWithin(value, form.min, form.max)
        ? undefined
        : { mustBe: `a whole number from ${form.min} to ${form.max}` };
    case 'later': {
      if (form.passes.includes(value)) return undefined;
      if (form.knows !== undefined && !form.knows.includes(value)) return { mustBe: form.passes.join(' or ') };
      return { notYet: true, instead: ['leave it unset', ...form.passes].join(', or set it to ') };
    }
    default:
      return form satisfies never;
  }
}

/** The message for a part that does not exist yet omits the value, because it may be a secret. */
function describeFault(name: SettingName, { value, saidAs }: Given, fault: Fault): string {
  const said = saidAs === name ? '' : ` (said as ${saidAs})`;
  return 'notYet' in fault
    ? `${name}${said} asks for what this version does not have yet: ${fault.instead}`
    : `${name} is ${quoted(value)}${said}: it must be ${fault.mustBe}`;
}

/** Every value has passed the check of its form, so the casts below are safe. */
function toConfig(valueOf: (name: SettingName) => string): Config {
  const whole = (name: SettingName) => Number(valueOf(name));
  const textOrNull = (name: SettingName) => (valueOf(name) === '' ? null : valueOf(name));
  const host = valueOf('HUB_HOST');
  const auth = valueOf('HUB_AUTH') as Config['auth'];
  return Object.freeze({
    host,
    port: whole('HUB_PORT'),
    tcpHost: textOrNull('HUB_TCP_HOST') ?? host,
    tcpPort: whole('HUB_TCP_PORT') === 0 ? null : whole('HUB_TCP_PORT'),
    data: valueOf('HUB_DATA'),
    transport: valueOf('HUB_TRANSPORT') as Config['transport'],
    heartbeatMs: whole('HUB_HEARTBEAT_MS'),
    timeoutMs: whole('HUB_TIMEOUT_MS'),
    tcpTimeoutMs: whole('HUB_TCP_TIMEOUT_MS'),
    graceMs: whole('HUB_GRACE_MS'),
    warmMs: valueOf('HUB_WARM_MS') === '' ? whole('HUB_TIMEOUT_MS') : whole('HUB_WARM_MS'),
    drainMs: whole('HUB_DRAIN_MS'),
    doubtSessions: whole('HUB_DOUBT_SESSIONS'),
    doubtPercent: whole('HUB_DOUBT_PERCENT'),
    doubtMs: whole('HUB_DOUBT_MS'),
    tcpAck: isYes(valueOf('HUB_TCP_ACK')),
    tcpProbe: isYes(valueOf('HUB_TCP_PROBE')),
    tcpEncoding: valueOf('HUB_TCP_ENCODING'),
    tcpNames: textOrNull('HUB_TCP_NAMES'),
    codes: textOrNull('HUB_CODES'),
    logLevel: valueOf('HUB_LOG_LEVEL') as LogLevel,
    pollFile: textOrNull('HUB_POLL'),
    sqliteSync: valueOf('HUB_SQLITE_SYNC') as Config['sqliteSync'],
    auth,
    jwtSecret: textOrNull('HUB_JWT_SECRET'),
    jwksUrl: textOrNull('HUB_JWKS_URL'),
    jwtIssuer: textOrNull('HUB_JWT_ISSUER'),
    jwtAudience: textOrNull('HUB_JWT_AUDIENCE'),
    adminToken: textOrNull('HUB_ADMIN_TOKEN'),
    metricsToken: textOrNull('HUB_METRICS_TOKEN'),
    tcpAuth: (textOrNull('HUB_TCP_AUTH') ?? (auth === 'jwt' ? 'token' : 'none')) as Config['tcpAuth'],
    tcpAllow: valueOf('HUB_TCP_ALLOW'),
    origins: valueOf('HUB_ORIGINS'),
    trustProxy: valueOf('HUB_TRUST_PROXY'),
    tlsCert: textOrNull('HUB_TLS_CERT'),
    tlsKey: textOrNull('HUB_TLS_KEY'),
    tcpTls: valueOf('HUB_TCP_TLS') as Config['tcpTls'],
    lastSeen: valueOf('HUB_LAST_SEEN') as Config['lastSeen'],
    maxConnections: whole('HUB_MAX_CONNECTIONS'),
    maxPerAddress: whole('HUB_MAX_PER_ADDRESS'),
    maxSessions: whole('HUB_MAX_SESSIONS'),
    maxSessionsTotal: valueOf('HUB_MAX_SESSIONS_TOTAL') === '' ? null : whole('HUB_MAX_SESSIONS_TOTAL'),
    maxPerConnection: whole('HUB_MAX_PER_CONNECTION'),
    maxWatches: whole('HUB_MAX_WATCHES'),
    maxFriends: whole('HUB_MAX_FRIENDS'),
    messagesPerS: whole('HUB_MESSAGES_PER_S'),
    frameMs: whole('HUB_FRAME_MS'),
    maxQueuedBytes: whole('HUB_MAX_QUEUED_BYTES'),
    slowMs: whole('HUB_SLOW_MS'),
    historyDays: whole('HUB_HISTORY_DAYS'),
    historyPerDay: whole('HUB_HISTORY_PER_DAY'),
  });
}

function faultAcross(config: Config, mayListenOpen: boolean): string | undefined {
  const { heartbeatMs, timeoutMs, host, port, tcpHost, tcpPort } = config;
  if (timeoutMs < 2 * heartbeatMs) {
    return `HUB_TIMEOUT_MS is ${timeoutMs}, less than two heartbeats of ${heartbeatMs} ms: give at least ${2 * heartbeatMs}, or a smaller HUB_HEARTBEAT_MS`;
  }
  if (tcpPort !== null && tcpPort === port && tcpHost === host) {
    return `HUB_TCP_PORT is ${tcpPort}, the port of HUB_PORT: give each a port of its own`;
  }
  if ((config.tlsCert === null) !== (config.tlsKey === null)) {
    const [has, lacks] = config.tlsKey === null ? ['HUB_TLS_CERT', 'HUB_TLS_KEY'] : ['HUB_TLS_KEY', 'HUB_TLS_CERT'];
    return `${has} is set and ${lacks} is not: TLS needs both files`;
  }
  if (config.tcpTls === 'require' && config.tlsCert === null) {
    return 'HUB_TCP_TLS is require, and there is no certificate: set HUB_TLS_CERT and HUB_TLS_KEY, or HUB_TCP_TLS=allow';
  }
  if (config.auth === 'jwt') return undefined;
  if (config.tcpAuth === 'token') {
    return 'HUB_TCP_AUTH is token, and HUB_AUTH is open, where no token is known: set HUB_AUTH=jwt, or HUB_TCP_AUTH=none';
  }
  if (mayListenOpen) return undefined;
  const beyond = !isLoopback(host) ? 'HUB_HOST' : tcpPort !== null && !isLoopback(tcpHost) ? 'HUB_TCP_HOST' : undefined;
  if (beyond === undefined) return undefined;
  const address = beyond === 'HUB_HOST' ? host : tcpHost;
  return `${beyond} is "${address}", which is beyond this machine, and HUB_AUTH is open, where everyone is admin: set ${beyond} to 127.0.0.1, or HUB_ALLOW_OPEN=1 if all who reach the port may be trusted`;
}

const jwtSettings = ['HUB_JWT_SECRET', 'HUB_JWKS_URL', 'HUB_JWT_ISSUER', 'HUB_JWT_AUDIENCE'] as const;

function warningsFor(config: Config, given: GivenSettings, injected: readonly string[]): readonly string[] {
  const warnings: string[] = [];
  if (injected.length > 0) {
    warnings.push(`ignored, since Kubernetes injects them for Services named hub or hub-…: ${injected.join(', ')}`);
  }
  const isTcpOut = config.tcpPort !== null && !isLoopback(config.tcpHost);
  if (config.auth === 'jwt') {
    if (isTcpOut && config.tcpAuth === 'none' && config.tcpAllow === '') {
      warnings.push('HUB_TCP_AUTH=none without HUB_TCP_ALLOW: whoever reaches the TCP port may claim any user');
    }
    return warnings;
  }
  const idle = jwtSettings.filter((name) => given.has(name));
  if (idle.length > 0) warnings.push(`without effect while HUB_AUTH is open: ${idle.join(', ')}`);
  if (config.lastSeen === 'hide' && config.adminToken === null) {
    warnings.push('HUB_LAST_SEEN=hide changes nothing while HUB_AUTH is open: everyone is admin and sees lastSeen');
  }
  if (!isLoopback(config.host) || isTcpOut) {
    warnings.push('HUB_ALLOW_OPEN=1: whoever reaches the ports may claim any user and read and change everything');
  }
  return warnings;
}

function isHost(value: string): boolean {
  // Digits and dots alone are meant as an address. A resolver would accept 127.1 as one.
  if (/^[\d.]+$/.test(value) || value.includes(':')) return isIP(value) !== 0;
  return /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$/.test(value);
}

function isYes(value: string): boolean {
  return value === '1' || value === 'true';
}

function listed(choices: readonly string[]): string {
  return `${choices.slice(0, -1).join(', ')} or ${choices.at(-1) ?? ''}`;
}

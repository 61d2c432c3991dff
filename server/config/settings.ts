/**
 * Every setting, declared once: its field in `Config`, name, form, default and help text. Its type, flag and parsing, the
 * check for unknown names, `--help` and the reference come from this declaration. This file reads no source and checks no
 * rule across settings.
 */
import {
  choice,
  count,
  duration,
  durationOrZero,
  host,
  port,
  postgresUrl,
  rosterPlace,
  text,
  whole,
  yesNo,
  type Form,
} from './forms.ts';

export interface Setting<T, Name extends string = string> {
  readonly name: Name;
  readonly form: Form<T>;
  /** The default. undefined: none, and the field is null. */
  readonly fallback: T | undefined;
  readonly help: string;
  /** Whether SIGHUP applies a change of it in the file HUB_CONFIG. Any other setting needs a restart. */
  readonly isLive: boolean;
}

const settingsByField = {
  configFile: optional('HUB_CONFIG', text, 'a JSON file that holds settings'),
  host: setting('HUB_HOST', host, '127.0.0.1', 'address of HTTP and WebSocket'),
  port: setting('HUB_PORT', port, 8080, 'port of HTTP and WebSocket; 0 = any free one'),
  tcpHost: optional('HUB_TCP_HOST', host, 'address of TCP + XML; default: HUB_HOST'),
  tcpPort: setting('HUB_TCP_PORT', port, 60_001, 'port of TCP + XML; 0 = off'),
  data: setting('HUB_DATA', text, './data', 'directory of the stored data, or :memory:'),
  transport: setting('HUB_TRANSPORT', choice('auto', 'uws', 'ws'), 'auto', 'engine: auto, uws or ws'),
  heartbeatMs: setting('HUB_HEARTBEAT_MS', duration, 10_000, 'how often a WebSocket client sends a heartbeat'),
  timeoutMs: setting('HUB_TIMEOUT_MS', duration, 25_000, 'lease over WebSocket; at least two heartbeats'),
  tcpTimeoutMs: setting('HUB_TCP_TIMEOUT_MS', duration, 5400, 'lease over TCP'),
  graceMs: setting('HUB_GRACE_MS', durationOrZero, 2000, 'how long a session stays visible after an unclean end'),
  tcpAck: setting('HUB_TCP_ACK', yesNo, false, '1: answer each TCP frame'),
  tcpProbe: setting('HUB_TCP_PROBE', yesNo, false, '1: probe a silent TCP peer'),
  tcpEncoding: setting('HUB_TCP_ENCODING', text, 'utf-8', 'encoding of frames that declare none'),
  tcpNames: optional('HUB_TCP_NAMES', text, 'names of the fields in a frame'),
  codes: optional('HUB_CODES', text, 'legacy integers, such as online=1,away=2|12,busy=3'),
  logLevel: live(
    setting(
      'HUB_LOG_LEVEL',
      choice('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
      'info',
      'fatal, error, warn, info, debug, trace or silent',
    ),
  ),
  pollFile: optional('HUB_POLL', text, 'a JSON file of targets that the hub polls'),
  sqliteSync: setting(
    'HUB_SQLITE_SYNC',
    choice('normal', 'full'),
    'normal',
    'full: commits also survive a power cut, and cost more',
  ),
  auth: setting(
    'HUB_AUTH',
    choice('open', 'jwt'),
    'open',
    'open: everyone is admin, for your own machine; jwt: tokens say who a client is',
  ),
  jwtSecret: live(optional('HUB_JWT_SECRET', text, 'secret of HS256 tokens, at least 32 bytes')),
  jwksUrl: live(optional('HUB_JWKS_URL', text, 'URL of the issuer’s keys, instead of a secret')),
  jwtIssuer: live(optional('HUB_JWT_ISSUER', text, 'the iss that tokens must have')),
  jwtAudience: live(optional('HUB_JWT_AUDIENCE', text, 'the aud that tokens must have')),
  adminToken: live(
    optional('HUB_ADMIN_TOKEN', text, 'a static bearer token with the scope admin; several, separated by commas'),
  ),
  metricsToken: live(
    optional('HUB_METRICS_TOKEN', text, 'a static bearer token that reads only /metrics; several, separated by commas'),
  ),
  tcpAuth: optional(
    'HUB_TCP_AUTH',
    choice('none', 'token'),
    'whether a user’s first frame needs a token; default: token with jwt, otherwise none',
  ),
  tcpAllow: live(
    setting('HUB_TCP_ALLOW', text, '', 'addresses that may use TCP, such as 10.0.0.0/8,::1; default: all'),
  ),
  origins: live(setting('HUB_ORIGINS', text, '', 'other origins whose pages may connect, separated by commas')),
  trustProxy: live(
    setting('HUB_TRUST_PROXY', text, '', 'addresses of proxies whose X-Forwarded-For and PROXY header count'),
  ),
  tlsCert: optional('HUB_TLS_CERT', text, 'file of the certificate and its chain, PEM'),
  tlsKey: optional('HUB_TLS_KEY', text, 'file of its private key, PEM'),
  tcpTls: setting(
    'HUB_TCP_TLS',
    choice('allow', 'require'),
    'allow',
    'with a certificate: allow plain clients on the TCP port beside TLS, or require TLS',
  ),
  allowOpen: setting('HUB_ALLOW_OPEN', yesNo, false, '1: open mode may listen beyond loopback'),
  lastSeen: setting(
    'HUB_LAST_SEEN',
    choice('show', 'hide'),
    'show',
    'hide: only admins see lastSeen, and since of offline users',
  ),
  maxConnections: live(setting('HUB_MAX_CONNECTIONS', count, 100_000, 'connections in total: TCP, WebSocket and HTTP')),
  maxPerAddress: live(setting('HUB_MAX_PER_ADDRESS', count, 20_000, 'connections of one address')),
  maxPerConnection: live(setting('HUB_MAX_PER_CONNECTION', count, 20_000, 'users of one TCP connection')),
  maxSessions: live(setting('HUB_MAX_SESSIONS', count, 50, 'sessions of one user, and observers of one user')),
  maxSessionsTotal: live(
    optional(
      'HUB_MAX_SESSIONS_TOTAL',
      count,
      'sessions of all users; default: as many as fit into half of the heap, printed at start',
    ),
  ),
  maxWatches: live(setting('HUB_MAX_WATCHES', count, 10_000, 'users and friend lists watched by one connection')),
  maxFriends: live(setting('HUB_MAX_FRIENDS', count, 10_000, 'friends of one user, and users it blocks')),
  messagesPerS: live(
    setting(
      'HUB_MESSAGES_PER_S',
      count,
      200,
      'messages per second of a connection (TCP: of each user on it), with a burst of ten times as many',
    ),
  ),
  frameMs: setting(
    'HUB_FRAME_MS',
    duration,
    30_000,
    'how long a TCP connection may take for its first frame, and for any frame that it has begun',
  ),
  maxQueuedBytes: live(
    setting(
      'HUB_MAX_QUEUED_BYTES',
      whole(65_536, 16_777_216),
      4_194_304,
      'bytes of answers that may wait for a WebSocket client that does not read them',
    ),
  ),
  slowMs: live(setting('HUB_SLOW_MS', duration, 60_000, 'how long a WebSocket client may read too slowly')),
  warmMs: optional(
    'HUB_WARM_MS',
    durationOrZero,
    'how long sessions from before a restart wait for their users; default: HUB_TIMEOUT_MS',
  ),
  drainMs: live(setting('HUB_DRAIN_MS', durationOrZero, 5000, 'how long SIGTERM drains before the hub stops')),
  doubtSessions: setting(
    'HUB_DOUBT_SESSIONS',
    count,
    100,
    'how many sessions, of as many users and sources, must expire within a second for a mass lapse',
  ),
  doubtPercent: setting(
    'HUB_DOUBT_PERCENT',
    whole(1, 100),
    20,
    'how many percent of an adapter’s sessions must expire for a mass lapse, which is doubted',
  ),
  doubtMs: setting(
    'HUB_DOUBT_MS',
    whole(0, 5000),
    5000,
    'how long a mass lapse is held before it is reported; 0 = off',
  ),
  webhookUrl: optional('HUB_WEBHOOK_URL', text, 'URL to which every change of status is posted'),
  webhookSecret: optional('HUB_WEBHOOK_SECRET', text, 'the secret that signs it: whsec_ and base64'),
  webhookFile: optional('HUB_WEBHOOKS', text, 'a JSON file of webhook rules'),
  webhookKeepMs: setting(
    'HUB_WEBHOOK_KEEP_MS',
    whole(1000, 2_592_000_000),
    86_400_000,
    'how long a webhook that is not delivered is tried again',
  ),
  webhookMax: setting('HUB_WEBHOOK_MAX', count, 1_000_000, 'events that may wait for the receiver of one webhook rule'),
  webhookAllow: setting('HUB_WEBHOOK_ALLOW', text, '', 'link-local addresses to which webhooks may be posted'),
  historyDays: setting(
    'HUB_HISTORY_DAYS',
    whole(0, 3650),
    0,
    'for how many days the history of every user is kept; 0 = off',
  ),
  historyPerDay: setting(
    'HUB_HISTORY_PER_DAY',
    whole(1, 100_000),
    2000,
    'transitions of a user and day that are kept singly; further ones are merged',
  ),
  roster: setting(
    'HUB_ROSTER',
    rosterPlace,
    'sqlite',
    'where friend lists are: sqlite (in HUB_DATA), postgres://… or a service of yours at https://…',
  ),
  rosterToken: optional('HUB_ROSTER_TOKEN', text, 'the bearer token for a roster service'),
  rosterTtlMs: setting(
    'HUB_ROSTER_TTL_MS',
    duration,
    60_000,
    'how long the answers of a roster service are used before they are fetched again',
  ),
  databaseUrl: optional(
    'HUB_DATABASE_URL',
    postgresUrl,
    'PostgreSQL for what a cluster keeps besides friend lists; default: HUB_ROSTER if it is PostgreSQL',
  ),
  redisUrl: optional('HUB_REDIS_URL', text, 'the Redis that joins several hubs into a cluster, redis://host:port'),
  redisPrefix: setting('HUB_REDIS_PREFIX', text, 'ph:', 'the beginning of all names in Redis'),
  nodeLeaseMs: setting('HUB_NODE_LEASE_MS', duration, 6000, 'how long a node of a cluster may be silent'),
  nodeUrl: optional('HUB_NODE_URL', text, 'where the other nodes of a cluster reach this one, http://host:port'),
  workers: setting('HUB_WORKERS', whole(1, 256), 1, 'processes that share the ports, each a node of the cluster'),
} as const;

type Fields = typeof settingsByField;
type ValueOf<S> = S extends { readonly form: Form<infer T>; readonly fallback: infer F }
  ? T | (F extends undefined ? null : never)
  : never;

/** The value of each setting, before a default that depends on another setting is filled in. */
export type Values = { readonly [Field in keyof Fields]: ValueOf<Fields[Field]> };
export type SettingName = Fields[keyof Fields]['name'];

type AnySetting = Setting<string | number | boolean, SettingName>;
export const settings: Readonly<Record<string, AnySetting>> = settingsByField;
export const settingNames: readonly SettingName[] = Object.values(settings).map(({ name }) => name);

export function isSettingName(name: string): name is SettingName {
  return (settingNames as readonly string[]).includes(name);
}

/** Returns the flag of a setting without its dashes: `tcp-port` for `HUB_TCP_PORT`. */
export function flagOf(name: SettingName): string {
  return name.slice('HUB_'.length).toLowerCase().replaceAll('_', '-');
}

/** Returns the default as it would be written in the environment, or '' if there is none. */
export function writtenDefault({ fallback }: AnySetting): string {
  return typeof fallback === 'boolean' ? String(Number(fallback)) : String(fallback ?? '');
}

/** Describes the settings and their flags for `--help`. */
export function describeSettings(): string {
  const line = (name: SettingName, help: string, fallback: string, mark = ' ') =>
    `${mark} ${name.padEnd(22)} --${flagOf(name).padEnd(18)} ${help}${fallback === '' ? '' : ` (${fallback})`}`;
  return [
    'Settings: a flag, else the environment, else the file HUB_CONFIG, else the default',
    '(*: SIGHUP applies a change in that file)',
    ...Object.values(settings).map((one) => line(one.name, one.help, writtenDefault(one), one.isLive ? '*' : ' ')),
  ].join('\n');
}

function setting<const Name extends string, T>(
  name: Name,
  form: Form<T>,
  fallback: NoInfer<T>,
  help: string,
): Setting<T, Name> & { readonly fallback: T } {
  return { name, form, fallback, help, isLive: false };
}

function optional<const Name extends string, T>(
  name: Name,
  form: Form<T>,
  help: string,
): Setting<T, Name> & { readonly fallback: undefined } {
  return { name, form, fallback: undefined, help, isLive: false };
}

function live<S extends { readonly isLive: boolean }>(one: S): S {
  return { ...one, isLive: true };
}

/**
 * The list of settings: name, form, default and one line of help for each. Flags, the help text, the check for unknown
 * names and the parsing of values all come from this list. This file reads no source and checks no rule across
 * settings.
 */

/** What a value must look like. `later`: a feature that this version lacks; only values that do not ask for it pass. */
export type Form =
  | { readonly kind: 'text' }
  | { readonly kind: 'host' }
  | { readonly kind: 'yes-no' }
  | { readonly kind: 'choice'; readonly of: readonly string[] }
  | { readonly kind: 'whole'; readonly min: number; readonly max: number }
  | { readonly kind: 'later'; readonly passes: readonly string[]; readonly knows?: readonly string[] };

interface Setting {
  readonly form: Form;
  /** The default; '' for none. */
  readonly fallback: string;
  readonly help: string;
}

const LONGEST_MS = 86_400_000;
const port: Form = { kind: 'whole', min: 0, max: 65_535 };
const duration: Form = { kind: 'whole', min: 1, max: LONGEST_MS };
const durationOrNone: Form = { kind: 'whole', min: 0, max: LONGEST_MS };
const count: Form = { kind: 'whole', min: 1, max: 1_000_000_000 };
const later: Form = { kind: 'later', passes: [] };

const table = {
  HUB_CONFIG: { form: { kind: 'text' }, fallback: '', help: 'a JSON file that holds settings' },
  HUB_HOST: { form: { kind: 'host' }, fallback: '127.0.0.1', help: 'address of HTTP and WebSocket' },
  HUB_PORT: { form: port, fallback: '8080', help: 'port of HTTP and WebSocket; 0 = any free one' },
  HUB_TCP_HOST: { form: { kind: 'host' }, fallback: '', help: 'address of TCP + XML; default: HUB_HOST' },
  HUB_TCP_PORT: { form: port, fallback: '60001', help: 'port of TCP + XML; 0 = off' },
  HUB_DATA: { form: { kind: 'text' }, fallback: './data', help: 'directory of the stored data, or :memory:' },
  HUB_TRANSPORT: {
    form: { kind: 'choice', of: ['auto', 'uws', 'ws'] },
    fallback: 'auto',
    help: 'engine: auto, uws or ws',
  },
  HUB_HEARTBEAT_MS: { form: duration, fallback: '10000', help: 'how often a WebSocket client sends a heartbeat' },
  HUB_TIMEOUT_MS: { form: duration, fallback: '25000', help: 'lease over WebSocket; at least two heartbeats' },
  HUB_TCP_TIMEOUT_MS: { form: duration, fallback: '5400', help: 'lease over TCP' },
  HUB_GRACE_MS: { form: durationOrNone, fallback: '2000', help: 'how long an unclean end stays visible' },
  HUB_TCP_ACK: { form: { kind: 'yes-no' }, fallback: '0', help: '1: answer each TCP frame' },
  HUB_TCP_PROBE: { form: { kind: 'yes-no' }, fallback: '0', help: '1: ask a silent TCP peer once more' },
  HUB_TCP_ENCODING: { form: { kind: 'text' }, fallback: 'utf-8', help: 'encoding of frames that declare none' },
  HUB_TCP_NAMES: { form: { kind: 'text' }, fallback: '', help: 'names of the fields in a frame' },
  HUB_CODES: { form: { kind: 'text' }, fallback: '', help: 'legacy integers, as in online=1,away=2|12,busy=3' },
  HUB_LOG_LEVEL: {
    form: { kind: 'choice', of: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] },
    fallback: 'info',
    help: 'fatal, error, warn, info, debug, trace or silent',
  },
  HUB_POLL: { form: { kind: 'text' }, fallback: '', help: 'a JSON file of targets that the hub polls' },
  HUB_SQLITE_SYNC: {
    form: { kind: 'choice', of: ['normal', 'full'] },
    fallback: 'normal',
    help: 'full: commits outlive a power cut too, and cost more',
  },
  HUB_AUTH: {
    form: { kind: 'choice', of: ['open', 'jwt'] },
    fallback: 'open',
    help: 'open: everyone is admin, for one’s own machine; jwt: tokens say who it is',
  },
  HUB_JWT_SECRET: { form: { kind: 'text' }, fallback: '', help: 'secret of HS256 tokens, at least 32 bytes' },
  HUB_JWKS_URL: { form: { kind: 'text' }, fallback: '', help: 'where the issuer’s keys are, instead of a secret' },
  HUB_JWT_ISSUER: { form: { kind: 'text' }, fallback: '', help: 'the iss that tokens must have' },
  HUB_JWT_AUDIENCE: { form: { kind: 'text' }, fallback: '', help: 'the aud that tokens must have' },
  HUB_ADMIN_TOKEN: {
    form: { kind: 'text' },
    fallback: '',
    help: 'a static bearer with the scope admin; several with commas',
  },
  HUB_METRICS_TOKEN: {
    form: { kind: 'text' },
    fallback: '',
    help: 'a static bearer that reads only /metrics; several with commas',
  },
  HUB_TCP_AUTH: {
    form: { kind: 'choice', of: ['none', 'token'] },
    fallback: '',
    help: 'whether a user’s first frame needs a token; default: with jwt it does',
  },
  HUB_TCP_ALLOW: {
    form: { kind: 'text' },
    fallback: '',
    help: 'addresses that may use TCP, as 10.0.0.0/8,::1; default: all',
  },
  HUB_ORIGINS: { form: { kind: 'text' }, fallback: '', help: 'other origins whose pages may connect, with commas' },
  HUB_TRUST_PROXY: {
    form: { kind: 'text' },
    fallback: '',
    help: 'addresses of proxies whose X-Forwarded-For and PROXY header count',
  },
  HUB_TLS_CERT: { form: { kind: 'text' }, fallback: '', help: 'file of the certificate and its chain, PEM' },
  HUB_TLS_KEY: { form: { kind: 'text' }, fallback: '', help: 'file of its private key, PEM' },
  HUB_TCP_TLS: {
    form: { kind: 'choice', of: ['allow', 'require'] },
    fallback: 'allow',
    help: 'with a certificate: allow plain clients on the TCP port beside TLS, or require TLS',
  },
  HUB_ALLOW_OPEN: { form: { kind: 'yes-no' }, fallback: '0', help: '1: open mode may listen beyond loopback' },
  HUB_LAST_SEEN: {
    form: { kind: 'choice', of: ['show', 'hide'] },
    fallback: 'show',
    help: 'hide: lastSeen, and since of who is offline, are for admins only',
  },
  HUB_MAX_CONNECTIONS: { form: count, fallback: '100000', help: 'connections in all, TCP and WebSocket' },
  HUB_MAX_PER_ADDRESS: { form: count, fallback: '20000', help: 'connections of one address' },
  HUB_MAX_PER_CONNECTION: { form: count, fallback: '20000', help: 'users of one TCP connection' },
  HUB_MAX_SESSIONS: { form: count, fallback: '50', help: 'sessions of one user, and observers of one user' },
  HUB_MAX_SESSIONS_TOTAL: {
    form: count,
    fallback: '',
    help: 'sessions of all users; default: as many as half of the heap holds, printed at start',
  },
  HUB_MAX_WATCHES: { form: count, fallback: '10000', help: 'users and friend lists watched by one connection' },
  HUB_MAX_FRIENDS: { form: count, fallback: '10000', help: 'friends of one user, and users it blocks' },
  HUB_MESSAGES_PER_S: {
    form: count,
    fallback: '200',
    help: 'messages a second of a connection (TCP: of each user on it); ten times as many at once',
  },
  HUB_FRAME_MS: {
    form: duration,
    fallback: '30000',
    help: 'how long a TCP connection may take for its first frame, and for any that it has begun',
  },
  HUB_MAX_QUEUED_BYTES: {
    form: { kind: 'whole', min: 65_536, max: 16_777_216 },
    fallback: '4194304',
    help: 'answers that may wait for a WebSocket client that does not read them',
  },
  HUB_SLOW_MS: { form: duration, fallback: '60000', help: 'how long a WebSocket client may read too slowly' },
  HUB_WARM_MS: {
    form: durationOrNone,
    fallback: '',
    help: 'how long sessions from before a restart wait for their users; default: HUB_TIMEOUT_MS',
  },
  HUB_DRAIN_MS: { form: durationOrNone, fallback: '5000', help: 'how long SIGTERM takes leave of those connected' },
  HUB_DOUBT_SESSIONS: {
    form: count,
    fallback: '100',
    help: 'this many sessions, of as many users and sources, that lapse within a second, and …',
  },
  HUB_DOUBT_PERCENT: {
    form: { kind: 'whole', min: 1, max: 100 },
    fallback: '20',
    help: '… this much of an adapter’s make a mass lapse, which is doubted',
  },
  HUB_DOUBT_MS: {
    form: { kind: 'whole', min: 0, max: 5000 },
    fallback: '5000',
    help: 'how long a mass lapse is held before it is told; 0 = not at all',
  },
  HUB_HISTORY_DAYS: {
    form: { kind: 'whole', min: 0, max: 3650 },
    fallback: '0',
    help: 'for how many days the history of every user is kept; 0 = not at all',
  },
  HUB_HISTORY_PER_DAY: {
    form: { kind: 'whole', min: 1, max: 100_000 },
    fallback: '2000',
    help: 'transitions of a user and day that are kept singly; further ones are merged',
  },
  HUB_WORKERS: { form: { kind: 'later', passes: ['1'] }, fallback: '1', help: 'processes that share the port' },
  HUB_ROSTER: { form: { kind: 'later', passes: ['sqlite'] }, fallback: 'sqlite', help: 'where friend lists live' },
  HUB_REDIS_URL: { form: later, fallback: '', help: 'the bus of a cluster' },
  HUB_WEBHOOK_URL: { form: later, fallback: '', help: 'where changes are posted' },
  HUB_WEBHOOK_SECRET: { form: later, fallback: '', help: 'what signs them' },
} as const satisfies Readonly<Record<string, Setting>>;

export type SettingName = keyof typeof table;

export const settings: Readonly<Record<SettingName, Setting>> = table;
export const settingNames = Object.keys(table) as readonly SettingName[];

export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(table, name);
}

/** Returns the flag of a setting without its dashes: `tcp-port` for `HUB_TCP_PORT`. */
export function flagOf(name: SettingName): string {
  return name.slice('HUB_'.length).toLowerCase().replaceAll('_', '-');
}

/** Describes the settings and their flags for `--help`, with those that this version lacks last. */
export function describeSettings(): string {
  const rows = settingNames.map((name) => ({ name, ...settings[name] }));
  const line = ({ name, fallback, help }: (typeof rows)[number]) =>
    `  ${name.padEnd(22)} --${flagOf(name).padEnd(18)} ${help}${fallback === '' ? '' : ` (${fallback})`}`;
  const isLater = ({ form }: (typeof rows)[number]) => form.kind === 'later';
  return [
    'Settings: a flag, else the environment, else the file HUB_CONFIG, else the default',
    ...rows.filter((row) => !isLater(row)).map(line),
    '',
    'Not in this version yet (a value that asks for it stops the start)',
    ...rows.filter(isLater).map(line),
  ].join('\n');
}

/** Returns the candidate that takes the fewest edits, if it is similar enough to be a plausible correction. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map((candidate) => ({ candidate, edits: editsBetween(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits);
  const best = ranked[0];
  return best !== undefined && best.edits <= Math.max(3, Math.floor(word.length / 3)) ? best.candidate : undefined;
}

/** The Levenshtein distance, row by row. */
function editsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 0; i < a.length; i += 1) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j += 1) {
      const swap = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      next.push(Math.min(swap, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

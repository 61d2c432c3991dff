/** The forms of HUB_REDIS_URL. Pure. */

export interface RedisUrl {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  readonly isEncrypted: boolean;
  /** As they stand in the URL, percent-encoded: 'user:password', or ''. */
  readonly credentials: string;
  /** `host:port` of a server, of Sentinels, or of some nodes of a Redis Cluster. */
  readonly addresses: readonly string[];
  /** The name of the master that the Sentinels monitor. */
  readonly master: string;
  readonly database: string;
}

const FORM = /^redis(s?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/\s]*)@)?([^@/\s]+?)(?:\/([^/\s]*))?$/;
/** A name, or an IPv6 address in brackets, then the port. */
const HOST = /^([^:[\]]+|\[[0-9a-fA-F:.]+\])(?::(\d{1,5}))?$/;

export const REDIS_URL_FORMS =
  'redis://[user:password@]host[:port][/database], redis+sentinel://host:port,host:port/name or ' +
  'redis+cluster://host:port,host:port, with rediss for TLS';

/** Returns undefined for any other form. */
export function readRedisUrl(text: string): RedisUrl | undefined {
  const [, tls = '', kind = 'single', credentials = '', hosts = '', path = ''] = FORM.exec(text) ?? [];
  const addresses = hosts.split(',').map((host) => readHost(host, kind === 'sentinel' ? '26379' : '6379'));
  if (!addresses.every((address) => address !== undefined)) return undefined;
  const base = { isEncrypted: tls !== '', credentials, addresses, master: '', database: '' };
  if (kind === 'sentinel') return path === '' ? undefined : { ...base, kind, master: decodeURIComponent(path) };
  if (kind === 'cluster') return path === '' || path === '0' ? { ...base, kind } : undefined;
  return addresses.length === 1 && /^\d*$/.test(path) ? { ...base, kind: 'single', database: path } : undefined;
}

/** The URL of one server. */
export function urlOf({ isEncrypted, credentials, database }: RedisUrl, address: string): string {
  const user = credentials === '' ? '' : `${credentials.includes(':') ? credentials : `${credentials}:`}@`;
  return `redis${isEncrypted ? 's' : ''}://${user}${address}/${database}`;
}

/** `host:port` of a host named by a server. Servers write IPv6 addresses without brackets. */
export function addressOf(host: string, port: number | string): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function readHost(text: string, defaultPort: string): string | undefined {
  const [, host, port = defaultPort] = HOST.exec(text) ?? [];
  return host === undefined || Number(port) > 65_535 ? undefined : `${host}:${port}`;
}

/**
 * The address of the hub: `--url`, `--tcp-port` and `--tls`, else the environment of a hub started here, else the
 * defaults. Also the message for a hub that does not answer. Opens no connection.
 */
import { isIPv6 } from 'node:net';
import type { Environment } from '../../../shared/environment.ts';
import { ok, fail, type Result } from '../../../shared/result.ts';
import { readWhole } from '../commands/command-line.ts';

export interface HubAddress {
  /** `http://127.0.0.1:8080`, without a trailing slash. */
  readonly http: string;
  readonly tcpHost: string;
  readonly tcpPort: number;
  /** TLS on the TCP port. It is assumed for https, because a hub with a certificate accepts TLS on both ports. */
  readonly isTcpTls: boolean;
  /** `--url` is given, so no other hub may be used. */
  readonly isNamed: boolean;
}

export interface AddressFlags {
  readonly url?: string;
  readonly 'tcp-port'?: string;
  readonly tls?: boolean;
}

export function readAddress(flags: AddressFlags, env: Environment): Result<HubAddress> {
  const base = flags.url === undefined ? baseFrom(env) : readUrl(flags.url);
  if (!base.ok) return base;
  const port = readTcpPort(flags['tcp-port'], env['HUB_TCP_PORT']);
  if (!port.ok) return port;
  const http = base.value.href.replace(/\/+$/, '');
  const tcpHost = flags.url === undefined ? (env['HUB_TCP_HOST'] ?? '') : '';
  return ok({
    http,
    tcpHost: tcpHost === '' ? base.value.hostname.replace(/^\[|\]$/g, '') : reachable(tcpHost),
    tcpPort: port.value,
    isTcpTls: flags.tls === true || base.value.protocol === 'https:',
    isNamed: flags.url !== undefined,
  });
}

/** Describes what to do if no hub answers. Includes the reason unless the connection was just refused. */
export function describeNoHub(where: string, error?: unknown, flags = '--url'): string {
  const fault = certificateFaults.get(codeOf(error) ?? '');
  const reason = error === undefined ? '' : describeError(error);
  if (fault !== undefined) return `${where} has ${fault} (${reason})`;
  const because = reason === '' || reason.includes('ECONNREFUSED') ? '' : ` (${reason})`;
  return `no hub answers at ${where}${because}: start one with \`npm start\`, or name it with ${flags}`;
}

/**
 * Describes an error. `fetch` puts its reason into the cause, and a name with two addresses gives an error without a
 * message.
 */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause instanceof Error) return describeError(error.cause);
  if (error.message !== '') return error.message;
  return 'code' in error ? String(error.code) : error.name;
}

export function describeNoTcp({ tcpHost, tcpPort, isTcpTls }: TcpAddress, error?: unknown): string {
  const host = isIPv6(tcpHost) ? `[${tcpHost}]` : tcpHost;
  return describeNoHub(`${isTcpTls ? 'tcps' : 'tcp'}://${host}:${tcpPort}`, error, '--url and --tcp-port');
}

export type TcpAddress = Pick<HubAddress, 'tcpHost' | 'tcpPort' | 'isTcpTls'>;

const UNTRUSTED = 'an untrusted certificate: set NODE_EXTRA_CA_CERTS to its file or to the file of its CA';
const certificateFaults: ReadonlyMap<string, string> = new Map([
  ['DEPTH_ZERO_SELF_SIGNED_CERT', UNTRUSTED],
  ['SELF_SIGNED_CERT_IN_CHAIN', UNTRUSTED],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', UNTRUSTED],
  ['UNABLE_TO_GET_ISSUER_CERT', UNTRUSTED],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', UNTRUSTED],
  ['CERT_HAS_EXPIRED', 'an expired certificate: the hub needs a renewed one'],
  ['CERT_NOT_YET_VALID', 'a certificate that is not valid yet: check the clocks'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'a certificate for another name: use a host name that it contains'],
]);

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return codeOf(error.cause) ?? ('code' in error ? String(error.code) : undefined);
}

function readUrl(text: string): Result<URL> {
  const form = `--url is ${JSON.stringify(text)}: it must be like http://127.0.0.1:8080 or https://hub.example`;
  // The hub's WebSocket address is accepted too.
  const url = parseUrl(text.replace(/^ws(s?):/i, 'http$1:'));
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') return fail(form);
  return url.username === '' && url.password === '' ? ok(url) : fail(`${form}, without a user or password`);
}

function baseFrom(env: Environment): Result<URL> {
  const given = env['HUB_PORT'];
  const text = given === undefined || given === '' || isInjected(given) ? '8080' : given;
  const port = readWhole('HUB_PORT', text, 0, 65_535);
  if (!port.ok) return port;
  if (port.value === 0) return fail('HUB_PORT is 0, which means any free port: give the actual one with --url');
  const host = reachable(env['HUB_HOST'] ?? '');
  const scheme = (env['HUB_TLS_CERT'] ?? '') === '' ? 'http' : 'https';
  const url = parseUrl(`${scheme}://${isIPv6(host) ? `[${host}]` : host}:${port.value}`);
  return url === undefined
    ? fail(`HUB_HOST is ${JSON.stringify(host)}: it must be a host name or an address`)
    : ok(url);
}

/** Kubernetes sets HUB_PORT=tcp://… for a Service named hub, and HUB_TCP_PORT for hub-tcp. The hub ignores them too. */
function isInjected(port: string): boolean {
  return /^(tcp|udp|sctp):\/\//.test(port);
}

function readTcpPort(flag: string | undefined, fromEnv: string | undefined): Result<number> {
  if (flag !== undefined) return readWhole('--tcp-port', flag, 1, 65_535);
  if (fromEnv === undefined || fromEnv === '' || fromEnv === '0' || isInjected(fromEnv)) return ok(60_001);
  return readWhole('HUB_TCP_PORT', fromEnv, 1, 65_535);
}

// Node 20 lacks `URL.parse`.
function parseUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

/** Returns an address that reaches a hub that listens on all addresses of this machine. */
function reachable(host: string): string {
  if (host === '' || host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

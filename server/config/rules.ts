/** The rules across settings: what stops the start, and what the operator is warned of. Reads no source. */
import { isLoopback } from '../lib/net/loopback.ts';
import type { Config } from './config.ts';
import type { SettingName } from './settings.ts';
import type { GivenSettings } from './sources.ts';

/** Returns what is wrong with settings that are valid by themselves, in one sentence. */
export function faultAcross(config: Config): string | undefined {
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
  if (config.redisUrl !== null && config.historyDays > 0 && config.databaseUrl === null) {
    return `HUB_HISTORY_DAYS is ${config.historyDays}, and a cluster keeps history in PostgreSQL: set HUB_DATABASE_URL, or HUB_HISTORY_DAYS=0`;
  }
  return faultOfWorkers(config) ?? faultOfOpenMode(config);
}

function faultOfWorkers({ workers, redisUrl, roster }: Config): string | undefined {
  if (workers === 1) return undefined;
  if (redisUrl === null) {
    return `HUB_WORKERS is ${workers}, and HUB_REDIS_URL is not set: set it to the Redis over which the workers share presence, or HUB_WORKERS=1`;
  }
  if (roster !== 'sqlite') return undefined;
  return `HUB_WORKERS is ${workers}, and HUB_ROSTER is sqlite, which one process alone can use: set HUB_ROSTER to PostgreSQL or a service, or HUB_WORKERS=1`;
}

function faultOfOpenMode(config: Config): string | undefined {
  const { host, tcpHost } = config;
  if (config.auth === 'jwt') return undefined;
  if (config.tcpAuth === 'token') {
    return 'HUB_TCP_AUTH is token, and HUB_AUTH is open, which has no tokens: set HUB_AUTH=jwt, or HUB_TCP_AUTH=none';
  }
  if (config.allowOpen) return undefined;
  const beyond = !isLoopback(host) ? 'HUB_HOST' : isTcpBeyondLoopback(config) ? 'HUB_TCP_HOST' : undefined;
  if (beyond === undefined) return undefined;
  const address = beyond === 'HUB_HOST' ? host : tcpHost;
  return `${beyond} is "${address}", which is beyond this machine, and HUB_AUTH is open, so everyone is admin: set ${beyond} to 127.0.0.1, or HUB_ALLOW_OPEN=1 if everyone who can reach the port may be trusted`;
}

const jwtSettings = ['HUB_JWT_SECRET', 'HUB_JWKS_URL', 'HUB_JWT_ISSUER', 'HUB_JWT_AUDIENCE'] as const;

export function warningsFor(config: Config, isGiven: (name: SettingName) => boolean): readonly string[] {
  const idle = config.redisUrl === null && isGiven('HUB_DATABASE_URL');
  return [
    ...(idle ? ['HUB_DATABASE_URL has no effect without HUB_REDIS_URL: a single hub keeps all in HUB_DATA'] : []),
    ...warningsForCluster(config),
    ...warningsForAuth(config, isGiven),
  ];
}

function warningsForCluster({ redisUrl, roster }: Config): readonly string[] {
  if (redisUrl === null) return [];
  const warnings: string[] = [];
  if (roster === 'sqlite') {
    warnings.push('HUB_ROSTER is sqlite, so this hub alone knows its friend lists: set it to PostgreSQL on all hubs');
  }
  return warnings;
}

function warningsForAuth(config: Config, isGiven: (name: SettingName) => boolean): readonly string[] {
  const isTcpOut = isTcpBeyondLoopback(config);
  if (config.auth === 'jwt') {
    if (!isTcpOut || config.tcpAuth === 'token' || config.tcpAllow !== '') return [];
    return ['HUB_TCP_AUTH=none without HUB_TCP_ALLOW: anyone who can reach the TCP port can claim to be any user'];
  }
  const warnings: string[] = [];
  const idle = jwtSettings.filter(isGiven);
  if (idle.length > 0) warnings.push(`without effect while HUB_AUTH is open: ${idle.join(', ')}`);
  if (config.lastSeen === 'hide' && config.adminToken === null) {
    warnings.push('HUB_LAST_SEEN=hide changes nothing while HUB_AUTH is open: everyone is admin and sees lastSeen');
  }
  if (!isLoopback(config.host) || isTcpOut) {
    warnings.push(
      'HUB_ALLOW_OPEN=1: anyone who can reach the ports can claim to be any user, and read and change everything',
    );
  }
  return warnings;
}

const secrets: ReadonlySet<SettingName> = new Set([
  'HUB_JWT_SECRET',
  'HUB_ADMIN_TOKEN',
  'HUB_METRICS_TOKEN',
  'HUB_WEBHOOK_SECRET',
  'HUB_ROSTER_TOKEN',
]);

/** Warns of secrets on the command line. They may also be the user info of a URL. */
export function warningsForFlags(given: GivenSettings): readonly string[] {
  return [...given].flatMap(([name, { value, saidAs }]) => {
    const isSecret = secrets.has(name) || /^\w+:\/\/[^/?#]*@/.test(value);
    if (!isSecret || !saidAs.startsWith('--')) return [];
    return [
      `${saidAs} holds a secret, which everyone on this machine can read in the list of processes: set ${name} instead`,
    ];
  });
}

function isTcpBeyondLoopback({ tcpPort, tcpHost }: Config): boolean {
  return tcpPort !== null && !isLoopback(tcpHost);
}

/** A hub in this process: its start, and the lines that tell of it. */
import type { Config } from '../config/config.ts';
import type { Hub } from '../hub.ts';
import type { HubOptions } from '../hub/context.ts';
import { version } from './version.ts';
import type { Service } from './service.ts';

/** @throws {StartError} with one sentence for the operator. */
export async function startHubService(
  config: Config,
  options: HubOptions,
  warnings: readonly string[],
): Promise<Service & { readonly port: number }> {
  const { startHub } = await import('../hub.ts');
  const hub = await startHub(config, options);
  return {
    port: Number(new URL(hub.addresses.http).port),
    lines: describeStart(hub, config, warnings, options.worker?.count),
    reload: (next) => hub.reload(next),
    drain: () => hub.drain().then(() => 0),
    stop: () => hub.stop().then(() => 0),
  };
}

function describeStart(hub: Hub, config: Config, warnings: readonly string[], workers: number | undefined): string {
  const rows = [
    ['page', `${hub.addresses.http}/`],
    ['websocket', hub.addresses.ws],
    ['tcp + xml', hub.addresses.tcp ?? 'off'],
    ...(workers === undefined ? [] : [['workers', `${workers} on these ports; what follows is the first one’s`]]),
    ['engine', hub.engine],
    ...(hub.engineLimit === null ? [] : [['limit', hub.engineLimit]]),
    ['storage', hub.storage],
    ...(hub.cluster === null ? [] : [['cluster', hub.cluster]]),
    ['sessions', hub.sessions],
    ['auth', describeAuth(config)],
    ...[...warnings, ...hub.warnings].map((warning) => ['warning', warning]),
  ];
  const lines = rows.map(([name = '', value = '']) => `  ${name.padEnd(10)} ${value}`);
  return [`presence-hub ${version()}`, ...lines, 'Ctrl-C stops'].join('\n');
}

function describeAuth({ auth, adminToken, tcpAuth }: Config): string {
  if (auth === 'open') {
    const who =
      adminToken === null ? 'everyone is admin' : 'anyone can claim to be any user, and HUB_ADMIN_TOKEN is admin';
    return `open: ${who}, so keep it to your own machine`;
  }
  return `jwt: a token says who a client is${tcpAuth === 'none' ? ', but not over TCP (HUB_TCP_AUTH=none)' : ''}`;
}

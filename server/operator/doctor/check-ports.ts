/** Checks whether the hub can take its ports, or already serves on them. */
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { createServer } from 'node:net';
import type { Config } from '../../config/config.ts';
import { listenOrExplain } from '../../lib/net/listen-error.ts';
import { takePort } from '../../lib/net/take-port.ts';
import { StartError } from '../../lib/start-error.ts';
import { asFinding, fine, type Finding } from './finding.ts';

const ANSWER_WITHIN_MS = 2000;

/** Whether a hub answers at the HTTP address of the settings. */
export function isHubThere({ host, port, tlsCert }: Config): Promise<boolean> {
  if (port === 0) return Promise.resolve(false);
  const request = tlsCert === null ? requestHttp : requestHttps;
  const where = { host: reachable(host), port, path: '/healthz', timeout: ANSWER_WITHIN_MS, rejectUnauthorized: false };
  return new Promise((resolve) => {
    const asked = request(where, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => resolve(body.startsWith('{"status":')));
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(false));
    asked.end();
  });
}

export async function checkPorts(config: Config, isRunning: boolean): Promise<readonly Finding[]> {
  const { host, port, tcpHost, tcpPort } = config;
  const http = { hostName: 'HUB_HOST', host, portName: 'HUB_PORT', port };
  const tcp = { hostName: 'HUB_TCP_HOST', host: tcpHost, portName: 'HUB_TCP_PORT', port: tcpPort ?? 0 };
  return [
    await checkPort('http', http, isRunning),
    tcpPort === null ? fine('tcp', 'HUB_TCP_PORT is 0: no TCP') : await checkPort('tcp', tcp, isRunning),
  ];
}

async function checkPort(
  check: 'http' | 'tcp',
  where: Parameters<typeof listenOrExplain>[0],
  isRunning: boolean,
): Promise<Finding> {
  const { host, port } = where;
  if (port === 0) return fine(check, 'any free port');
  const server = createServer();
  try {
    await listenOrExplain(where, () => takePort(server, { host, port }));
    await new Promise((resolve) => server.close(resolve));
    return fine(check, `port ${port} of ${host} is free`);
  } catch (problem) {
    if (!(problem instanceof StartError)) throw problem;
    if (isRunning) return fine(check, `port ${port} of ${host} is taken, and a hub runs here`);
    return asFinding(check, 'error', problem.message);
  }
}

/** The address that reaches a server on all addresses of this machine. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

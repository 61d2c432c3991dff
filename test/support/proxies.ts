/**
 * nginx and HAProxy for tests that need them, with the configurations of shared/PROXIES.md and others that users copy: only
 * addresses, files and what a child process without root needs are put in.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { certificateFile } from './certificate-file.ts';
import { freePort } from './hub-process.ts';
import { programPath } from './needs.ts';
import { snippetsOf } from './snippets.ts';

export type ProxyName = 'nginx' | 'haproxy';

/** Where the proxy listens, and the hub behind it. */
export interface ProxyPorts {
  readonly web: number;
  readonly legacy: number;
  readonly hubHttp: number;
  readonly hubTcp: number;
}

export async function freeProxyPorts(): Promise<ProxyPorts> {
  return { web: await freePort(), legacy: await freePort(), hubHttp: await freePort(), hubTcp: await freePort() };
}

export interface Proxy {
  /** HAProxy's word on the last health check of a server, `BACKEND/SERVER`, such as `L7OK`. */
  checkStatus(server?: string): Promise<string>;
  stop(): Promise<void>;
}

/** Starts it; `edit` changes the configuration of the page. HAProxy needs the hub to be there. */
export async function startProxy(
  name: ProxyName,
  ports: ProxyPorts,
  edit: (configuration: string) => string = (text) => text,
): Promise<Proxy> {
  const written = snippetsOf('shared/PROXIES.md').find(({ language }) => language === name)?.text;
  if (written === undefined) throw new Error(`shared/PROXIES.md has no configuration for ${name}`);
  return runProxy(name, edit(written), ports.web, {
    'listen 443': `listen 127.0.0.1:${ports.web}`,
    'bind :443': `bind 127.0.0.1:${ports.web}`,
    'bind :60001': `bind 127.0.0.1:${ports.legacy}`,
    '127.0.0.1:8080': `127.0.0.1:${ports.hubHttp}`,
    '127.0.0.1:60002': `127.0.0.1:${ports.hubTcp}`,
  });
}

/** Runs a configuration in which some texts are replaced, and which listens on port `web` then. */
export async function runProxy(
  name: ProxyName,
  written: string,
  web: number,
  replaced: Readonly<Record<string, string>>,
): Promise<Proxy> {
  const folder = mkdtempSync(join(tmpdir(), `hub-${name}-`));
  const put: Readonly<Record<string, string>> = {
    ...replaced,
    '/etc/ssl/hub.example.crt': certificateFile('first.crt'),
    '/etc/ssl/hub.example.key': certificateFile('first.key'),
    '/etc/ssl/hub.example.pem': join(folder, 'pair.pem'),
  };
  const configuration = Object.entries(put).reduce((text, [from, to]) => text.replaceAll(from, to), written);
  const pair = ['first.crt', 'first.key'].map((file) => readFileSync(certificateFile(file), 'utf8'));
  writeFileSync(join(folder, 'pair.pem'), pair.join('\n'));
  writeFileSync(join(folder, 'proxy.conf'), framed[name](folder, configuration));
  const child = spawn(programPath(name), argsOf[name](folder), { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((resolve) => child.once('close', resolve));
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  await untilListening(child, web, () => said);
  return {
    checkStatus: (server = 'hub/hub') => checkStatusOf(join(folder, 'stats.sock'), server),
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The configuration of the page is what its users put into a file of their own: the rest is Debian's, or the test's. */
const framed: Readonly<Record<ProxyName, (folder: string, configuration: string) => string>> = {
  nginx: (folder, configuration) => {
    const rooms = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    const temporary = rooms.map((room) => `${room}_temp_path ${join(folder, room)};`).join('\n');
    return `daemon off;
master_process off;
pid ${join(folder, 'pid')};
error_log stderr error;
events {}
http {
${temporary}
access_log off;
${configuration}
}
`;
  },
  haproxy: (folder, configuration) => `global
  stats socket ${join(folder, 'stats.sock')}
${configuration}`,
};

const argsOf: Readonly<Record<ProxyName, (folder: string) => string[]>> = {
  nginx: (folder) => ['-p', folder, '-e', 'stderr', '-c', join(folder, 'proxy.conf')],
  haproxy: (folder) => ['-db', '-f', join(folder, 'proxy.conf')],
};

const LOOK_MS = 20;

async function untilListening(child: ChildProcess, port: number, said: () => string): Promise<void> {
  while (child.exitCode === null) {
    const wire = connect(port, '127.0.0.1');
    const isThere = await new Promise<boolean>((resolve) => {
      wire.once('connect', () => resolve(true));
      wire.once('error', () => resolve(false));
    });
    wire.destroy();
    if (isThere) return;
    await delay(LOOK_MS);
  }
  throw new Error(`the proxy ended: ${said()}`);
}

async function checkStatusOf(socketPath: string, asked: string): Promise<string> {
  const wire = connect(socketPath);
  wire.end('show stat\n');
  let text = '';
  for await (const chunk of wire.setEncoding('utf8')) text += String(chunk);
  const [head = '', ...rows] = text.replace(/^# /, '').split('\n');
  const column = head.split(',').indexOf('check_status');
  const row = rows.map((line) => line.split(',')).find(([group, server]) => `${group}/${server}` === asked);
  return row?.[column] ?? '';
}

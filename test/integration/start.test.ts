/** Starts and ends of the hub as an operator sees them: what is printed, on which stream, and the exit code. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { startHub } from '../../server/hub.ts';
import { createLog } from '../../server/lib/log/log.ts';
import { transports } from '../support/transports.ts';
import { defaultConfig } from '../support/hub.ts';
import { endHubProcesses, freePort, holdPort, startHubProcess, startLine, type Exit } from '../support/hub-process.ts';

// A start takes a quarter of a second alone, and several on busy cores.
vi.setConfig({ testTimeout: 60_000 });

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hub-start-'));
});
afterEach(async () => {
  await endHubProcesses();
  rmSync(directory, { recursive: true, force: true });
});

function expectOneLine(exit: Exit, setting: string): void {
  expect(exit.stderr).toMatch(new RegExp(`^presence-hub: [^\\n]*\\b${setting}\\b[^\\n]*\\n$`));
  expect(exit).toMatchObject({ code: 1, signal: null });
  expect(exit.stdout).not.toContain('presence-hub');
}

/** Sends a signal and says how the hub ended, and after how long. */
async function stop(hub: ReturnType<typeof startHubProcess>, ...signals: NodeJS.Signals[]) {
  const sentAt = performance.now();
  for (const signal of signals) hub.child.kill(signal);
  const { code, signal, stderr } = await hub.exited;
  return { code, signal, stderr, ms: performance.now() - sentAt };
}

describe('a start', () => {
  test('says where the hub is, on what it runs, and what open mode means', async () => {
    const tcpPort = await freePort();
    const hub = startHubProcess({ HUB_TCP_PORT: String(tcpPort), HUB_JWT_ISSUER: 'me', HUB_TRANSPORT: 'ws' });
    const stdout = await hub.started;
    const page = startLine(stdout, 'page');
    expect(page).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*\/$/);
    expect(startLine(stdout, 'websocket')).toBe(`${page.replace('http', 'ws')}ws`);
    expect(startLine(stdout, 'tcp + xml')).toBe(`127.0.0.1:${tcpPort}`);
    expect(startLine(stdout, 'engine')).toMatch(/^ws\b/);
    expect(startLine(stdout, 'storage')).toContain('memory');
    expect(startLine(stdout, 'auth')).toMatch(/^open: everyone is admin/);
    expect(startLine(stdout, 'warning')).toContain('HUB_JWT_ISSUER');
    expect(stdout.endsWith('Ctrl-C stops\n')).toBe(true);
    expect((await fetch(`${page}healthz`)).status).toBe(200);
  });

  test('HUB_TCP_PORT=0 is off, and flags say the same as the environment', async () => {
    const port = await freePort();
    const stdout = await startHubProcess({}, ['serve', '--port', String(port), '--tcp-port=0']).started;
    expect(startLine(stdout, 'tcp + xml')).toBe('off');
    expect(startLine(stdout, 'page')).toBe(`http://127.0.0.1:${port}/`);
  });

  test('a reader of stdout that has gone away stops nothing', async () => {
    const port = await freePort();
    const hub = startHubProcess({ HUB_PORT: String(port) });
    hub.child.stdout?.destroy();
    await expect
      .poll(() => fetch(`http://127.0.0.1:${port}/healthz`).then(({ status }) => status), { timeout: 30_000 })
      .toBe(200);
    expect(await stop(hub, 'SIGTERM')).toMatchObject({ code: 0 });
  });

  test('--help and --version answer without a hub', async () => {
    const help = await startHubProcess({}, ['--help']).exited;
    expect(help).toMatchObject({ code: 0, stderr: '' });
    expect(help.stdout).toContain('HUB_TCP_PORT');
    const version = await startHubProcess({}, ['--version']).exited;
    expect(version).toMatchObject({
      code: 0,
      stderr: '',
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
    });
  });
});

describe('a start that can’t succeed is one line, and exit code 1 for a setting', () => {
  test.each([
    ['a port as text', { HUB_PORT: 'eighty' }, 'HUB_PORT'],
    ['a TCP port as text', { HUB_TCP_PORT: 'sixty' }, 'HUB_TCP_PORT'],
    ['a timeout shorter than two heartbeats', { HUB_TIMEOUT_MS: '15000' }, 'HUB_TIMEOUT_MS'],
    ['an unknown name', { HUB_PROT: '1' }, 'HUB_PROT'],
    ['open mode beyond loopback', { HUB_HOST: '0.0.0.0' }, 'HUB_ALLOW_OPEN'],
    ['TCP in open mode beyond loopback', { HUB_TCP_HOST: '0.0.0.0', HUB_TCP_PORT: '60001' }, 'HUB_TCP_HOST'],
    ['an address of another machine', { HUB_HOST: '192.0.2.1', HUB_ALLOW_OPEN: '1' }, 'HUB_HOST'],
    ['tokens without a secret or keys', { HUB_AUTH: 'jwt' }, 'HUB_JWT_SECRET'],
    ['a secret that can be guessed', { HUB_AUTH: 'jwt', HUB_JWT_SECRET: 'short' }, 'HUB_JWT_SECRET'],
    ['an admin token that can be guessed', { HUB_ADMIN_TOKEN: 'admin' }, 'HUB_ADMIN_TOKEN'],
    ['a certificate without its key', { HUB_TLS_CERT: 'cert.pem' }, 'HUB_TLS_KEY'],
    [
      'a certificate that is not there',
      { HUB_TLS_CERT: '/nowhere/c.pem', HUB_TLS_KEY: '/nowhere/k.pem' },
      'HUB_TLS_CERT',
    ],
    ['an address list that is none', { HUB_TCP_ALLOW: '10.0.0.0/33' }, 'HUB_TCP_ALLOW'],
    ['a proxy that is no address', { HUB_TRUST_PROXY: 'proxy.example' }, 'HUB_TRUST_PROXY'],
    ['an origin that is none', { HUB_ORIGINS: 'chat.example' }, 'HUB_ORIGINS'],
    ['workers without Redis', { HUB_WORKERS: '4' }, 'HUB_WORKERS'],
    ['a file of settings that is not there', { HUB_CONFIG: '/nowhere/hub.json' }, 'HUB_CONFIG'],
    ['a data directory below /proc', { HUB_DATA: '/proc/presence-hub' }, 'HUB_DATA'],
    ['an encoding that nobody knows', { HUB_TCP_ENCODING: 'klingon', HUB_TCP_PORT: '60001' }, 'HUB_TCP_ENCODING'],
    ['field names that are none', { HUB_TCP_NAMES: '=', HUB_TCP_PORT: '60001' }, 'HUB_TCP_NAMES'],
    ['codes that are no integers', { HUB_CODES: 'away=two' }, 'HUB_CODES'],
    ['a file of poll targets that is not there', { HUB_POLL: '/nowhere/poll.json' }, 'HUB_POLL'],
  ])('%s (S17)', async (_, settings, named) => {
    expectOneLine(await startHubProcess(settings).exited, named);
  });

  test('a data directory below a file, and one that is a file', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, 'not a directory');
    expectOneLine(await startHubProcess({ HUB_DATA: join(file, 'data') }).exited, 'HUB_DATA');
    expectOneLine(await startHubProcess({ HUB_DATA: file }).exited, 'HUB_DATA');
  });

  test('a stray word and an unknown flag: exit code 2, as no setting is at fault (S17)', async () => {
    const word = await startHubProcess({}, ['sevre']).exited;
    expect(word).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^presence-hub: "sevre" is not a command[^\n]*\n$/) as string,
    });
    const flag = await startHubProcess({}, ['--prot', '1']).exited;
    expect(flag).toMatchObject({ code: 2, stderr: 'presence-hub: --prot is not a flag: did you mean --port?\n' });
  });
});

test('a second stop waits for the first', async () => {
  const hub = await startHub({ ...defaultConfig, transport: 'ws' }, { log: createLog('silent') });
  // A connection to cut, so that the first stop has to wait for its end.
  await fetch(`${hub.addresses.http}/healthz`);
  const ended: string[] = [];
  const first = hub.stop().then(() => ended.push('first'));
  await hub.stop().then(() => ended.push('second'));
  await first;
  expect(ended).toEqual(['first', 'second']);
});

describe.each(transports)('on the engine %s', (engine) => {
  test('a port that another process holds stops the start, for HTTP and for TCP (S14)', async () => {
    const held = await holdPort();
    const settings = { HUB_TRANSPORT: engine };
    expectOneLine(await startHubProcess({ ...settings, HUB_PORT: String(held.port) }).exited, 'HUB_PORT');
    expectOneLine(await startHubProcess({ ...settings, HUB_TCP_PORT: String(held.port) }).exited, 'HUB_TCP_PORT');
    await held.close();
    await startHubProcess({ ...settings, HUB_PORT: String(held.port) }).started;
  });

  test('a second hub on the same port, TCP port or data stops and says which; the first goes on', async () => {
    const tcpPort = String(await freePort());
    const first = { HUB_TRANSPORT: engine, HUB_DATA: join(directory, 'data'), HUB_TCP_PORT: tcpPort };
    const page = startLine(await startHubProcess(first).started, 'page');
    const { port } = new URL(page);
    const other = { HUB_TRANSPORT: engine, HUB_DATA: join(directory, 'other') };
    expectOneLine(await startHubProcess({ ...other, HUB_PORT: port }).exited, 'HUB_PORT');
    expectOneLine(await startHubProcess({ ...other, HUB_TCP_PORT: tcpPort }).exited, 'HUB_TCP_PORT');
    // It waits for 15 s, for the first might be about to end.
    const quiet = { HUB_LOG_LEVEL: 'error' };
    const [byData, byAll] = [
      { ...other, HUB_DATA: first.HUB_DATA },
      { ...first, HUB_PORT: port },
    ].map((settings) => startHubProcess({ ...settings, ...quiet }).exited);
    expectOneLine(await byData!, 'HUB_DATA');
    expectOneLine(await byAll!, 'HUB_DATA');
    expect((await fetch(`${page}healthz`)).status).toBe(200);
  });

  test('Ctrl-C twice in a row is one clean stop, and the next start finds ports and data free', async () => {
    const settings = {
      HUB_TRANSPORT: engine,
      HUB_DATA: join(directory, 'data'),
      HUB_PORT: String(await freePort()),
      HUB_TCP_PORT: String(await freePort()),
    };
    for (const round of [1, 2]) {
      const hub = startHubProcess(settings);
      await hub.started;
      const { ms, stderr, ...end } = await stop(hub, 'SIGINT', 'SIGINT');
      expect({ round, ...end }).toEqual({ round, code: 0, signal: null });
      expect(ms).toBeLessThan(2000);
      expect(stderr).not.toMatch(/"level":(50|60)|\n {4}at /);
    }
  });

  test('SIGINT stops within 2 s while clients are connected (L20)', async () => {
    const tcpPort = await freePort();
    const hub = startHubProcess({ HUB_TRANSPORT: engine, HUB_TCP_PORT: String(tcpPort) });
    const webSocket = new WebSocket(startLine(await hub.started, 'websocket'));
    const tcp = connect(tcpPort, '127.0.0.1');
    const tcpEnded = new Promise((resolve) => tcp.on('error', () => undefined).on('close', resolve));
    const webSocketEnded = new Promise((resolve) => webSocket.on('error', () => undefined).on('close', resolve));
    await Promise.all([
      new Promise((resolve) => webSocket.on('open', resolve)),
      new Promise((resolve) => tcp.on('connect', resolve)),
    ]);
    const { code, ms } = await stop(hub, 'SIGINT');
    expect(code).toBe(0);
    expect(ms).toBeLessThan(2000);
    await Promise.all([tcpEnded, webSocketEnded]);
  });
});

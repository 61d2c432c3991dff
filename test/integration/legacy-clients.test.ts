/** shared/LEGACY-CLIENTS.md, run as it stands: its bash in bash, its Java in Java; only ports are other ones here. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Entry } from '../../shared/messages/entry.ts';
import type { Config } from '../../server/config/config.ts';
import { startHub, type Hub } from '../../server/hub.ts';
import { createLog } from '../../server/lib/log/log.ts';
import { defaultConfig } from '../support/hub.ts';
import { freePort } from '../support/hub-process.ts';
import { needing } from '../support/needs.ts';
import { run } from '../support/packed.ts';
import { snippetsBelow } from '../support/snippets.ts';
import { TEST_SECRET, tokenFor } from '../support/tokens.ts';

// A JVM that compiles its source takes its time on busy cores.
vi.setConfig({ testTimeout: 60_000 });
const PATIENCE = { timeout: 30_000 };
const PAGE = 'shared/LEGACY-CLIENTS.md';
const ADMIN = 'the-admin-token-of-these-tests';

let hub: Hub;
let tcpPort: string;
let running: ChildProcess[] = [];
afterEach(async () => {
  for (const child of running) child.kill('SIGKILL');
  running = [];
  await hub.stop();
});

async function start(settings: Partial<Config> = {}): Promise<void> {
  const wall = { now: () => ({ wallMs: Date.now(), monoMs: performance.now() }) };
  hub = await startHub({ ...defaultConfig, adminToken: ADMIN, ...settings }, { log: createLog('silent'), clock: wall });
  tcpPort = hub.addresses.tcp?.split(':').at(-1) ?? '';
}
const here = (text: string) =>
  text.replaceAll('127.0.0.1/60001', `127.0.0.1/${tcpPort}`).replaceAll('127.0.0.1:8080', hub.addresses.http.slice(7));
const bash = (...scripts: string[]) => run('bash', ['-c', here(scripts.join('\n'))], tmpdir());
const entry = async () =>
  (await (
    await fetch(`${hub.addresses.http}/v1/presence/42`, { headers: { authorization: `Bearer ${ADMIN}` } })
  ).json()) as Entry;
const status = async () => (await entry()).status;

describe('the page for authors of legacy clients', () => {
  const [come = '', bye = '', ask = ''] = snippetsBelow(PAGE, 'Try it first', 'bash');

  it('makes 42 come online from bash, and say goodbye', async () => {
    await start();
    const answer = await bash(come, bye);
    expect(JSON.parse(answer)).toMatchObject({ user: '42', status: 'online', devices: ['legacy'] });
    await expect.poll(status, PATIENCE).toBe('offline');
    // At once, not a grace later.
    const { since, lastSeen } = await entry();
    expect(since! - lastSeen!).toBeLessThan(1_000);
  });

  it('shows the answers that a hub gives which is asked for them', async () => {
    await start({ tcpAck: true });
    const [answers = ''] = snippetsBelow(PAGE, 'Try it first', 'xml');
    // `timeout` ends cat, as it should.
    const received = await bash(`${ask.trim()} || true`);
    expect(received).toBe(answers);
  });

  it('shows a frame that the hub takes', async () => {
    await start({ tcpAck: true });
    const [frame = ''] = snippetsBelow(PAGE, 'A frame', 'xml');
    const received = await bash(
      `exec 3<>/dev/tcp/127.0.0.1/60001; printf '%s' '${frame}' >&3; IFS= read -r -t 9 heard <&3; echo "$heard"`,
    );
    expect(received.trim()).toBe('<protocol><ack user_id="42" state="1"/></protocol>');
  });
});

describe('its Java client', needing('JDK'), () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'hub-java-page-'));
    const [source = ''] = snippetsBelow(PAGE, 'A whole client in Java', 'java');
    writeFileSync(join(folder, 'HeartbeatClient.java'), source);
    return () => rmSync(folder, { recursive: true });
  });

  function java(...more: string[]): ChildProcess {
    const args = ['-Xshare:auto', 'HeartbeatClient.java', '127.0.0.1', tcpPort, '42', ...more];
    const child = spawn('java', args, { cwd: folder, stdio: 'ignore' });
    running.push(child);
    return child;
  }
  const heartbeats = async () =>
    Number(
      /^presence_hub_heartbeats_total\{adapter="tcp-xml"\} (\d+)$/m.exec(
        await (await fetch(`${hub.addresses.http}/metrics`, { headers: { authorization: `Bearer ${ADMIN}` } })).text(),
      )?.[1],
    );

  it('is online, beats each second, and says goodbye when it is ended', async () => {
    await start({ tcpAck: true });
    const child = java();
    await expect.poll(status, PATIENCE).toBe('online');
    await expect.poll(heartbeats, PATIENCE).toBeGreaterThanOrEqual(3);
    child.kill('SIGTERM');
    await expect.poll(status, PATIENCE).toBe('offline');
    const { since, lastSeen } = await entry();
    expect(since! - lastSeen!).toBeLessThan(1_000);
  });

  it('comes back by itself when the hub does', async () => {
    const port = await freePort();
    await start({ tcpPort: port });
    java();
    await expect.poll(status, PATIENCE).toBe('online');
    await hub.stop();
    await start({ tcpPort: port, graceMs: 50, warmMs: 0 });
    await expect.poll(heartbeats, PATIENCE).toBeGreaterThanOrEqual(2);
    expect(await status()).toBe('online');
  });

  it('brings its token to a hub that asks for one', async () => {
    const clock = { now: () => ({ wallMs: Date.now(), monoMs: performance.now() }) };
    await start({ auth: 'jwt', jwtSecret: TEST_SECRET, tcpAuth: 'token' });
    java(await tokenFor('42', { clock }));
    await expect.poll(status, PATIENCE).toBe('online');
  });
});

/**
 * Side by side, in real time: a real Java client with Socket and PrintWriter beats for user 7, and a WebSocket client
 * that is not ours (Debian's python3-websockets; else Node's ws) watches. Needs a JDK; CI must have one.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Config } from '../../server/config/config.ts';
import { startHub, type Hub } from '../../server/hub.ts';
import { createLog } from '../../server/lib/log/log.ts';
import type { Entry } from '../../shared/messages/entry.ts';
import { defaultConfig } from '../support/hub.ts';
import { needing } from '../support/needs.ts';

// A JVM takes its time to start on busy cores.
vi.setConfig({ testTimeout: 60_000 });

const sources = ['LegacyClient', 'LineClient'].map((name) =>
  fileURLToPath(new URL(`../support/${name}.java`, import.meta.url)),
);

const pythons = ['/usr/bin/python3', 'python3'];
const python = pythons.find((path) => spawnSync(path, ['-c', 'import websockets']).status === 0);

/** Says hello, watches user 7, prints each message on a line. */
const pythonWatcher = `
import asyncio, json, sys, websockets
async def watch():
    async with websockets.connect(sys.argv[1]) as socket:
        await socket.send(json.dumps({"type": "hello", "observe": True}))
        await socket.send(json.dumps({"type": "watch", "users": ["7"]}))
        async for message in socket:
            print(message, flush=True)
asyncio.run(watch())
`;
const nodeWatcher = `
import { WebSocket } from 'ws';
const socket = new WebSocket(process.argv[1]);
socket.on('open', () => {
  socket.send('{"type":"hello","observe":true}');
  socket.send('{"type":"watch","users":["7"]}');
});
socket.on('message', (data) => console.log(data.toString()));
`;

const BEAT_EVERY_MS = 100;
const GRACE_MS = 300;

describe('a real Java client', needing('JDK'), () => {
  let classes: string;
  beforeAll(() => {
    classes = mkdtempSync(join(tmpdir(), 'hub-java-'));
    const { status, stderr } = spawnSync('javac', ['-encoding', 'UTF-8', '-d', classes, ...sources]);
    expect({ status, stderr: String(stderr) }).toEqual({ status: 0, stderr: '' });
  });
  afterAll(() => {
    rmSync(classes, { recursive: true, force: true });
  });

  let hub: Hub;
  const running: ChildProcess[] = [];
  afterEach(async () => {
    for (const child of running.splice(0)) child.kill('SIGKILL');
    await hub.stop();
  });

  async function start(settings: Partial<Config>): Promise<{ port: string; watcher: Watcher }> {
    hub = await startHub({ ...defaultConfig, graceMs: GRACE_MS, ...settings }, { log: createLog('silent') });
    const watcher = await Watcher.start(hub.addresses.ws, running);
    return { port: hub.addresses.tcp?.split(':').at(-1) ?? '', watcher };
  }

  function java(port: string, { state = 1, charset = 'UTF-8' } = {}): ChildProcess {
    const client = [port, '7', String(BEAT_EVERY_MS), String(state), charset];
    const child = spawn('java', ['-Xshare:auto', '-cp', classes, 'LegacyClient', ...client], { stdio: 'inherit' });
    running.push(child);
    return child;
  }

  async function heartbeats(): Promise<number> {
    const metrics = await (await fetch(`${hub.addresses.http}/metrics`)).text();
    return Number(/^presence_hub_heartbeats_total\{adapter="tcp-xml"\} (\d+)$/m.exec(metrics)?.[1]);
  }

  /** Resolves when this many more heartbeats have arrived. */
  async function beaten(times: number): Promise<void> {
    const before = await heartbeats();
    await expect.poll(heartbeats, { timeout: 30_000 }).toBeGreaterThanOrEqual(before + times);
  }

  it.each([
    ['an end of stream, as it never was answered', false],
    ['a reset, as it left answers unread', true],
  ])('is offline a grace after its process was killed (%s), and online when it is started again', async (_, tcpAck) => {
    const { port, watcher } = await start({ tcpAck });
    const first = java(port);
    expect(await watcher.nextEntry()).toMatchObject({ status: 'online', code: 1, devices: ['手机'] });
    await beaten(3);
    first.kill('SIGKILL');
    const gone = await watcher.nextEntry();
    expect(gone).toMatchObject({ status: 'offline', code: -1, devices: [] });
    expect(gone.since! - gone.lastSeen!).toBeGreaterThanOrEqual(GRACE_MS);
    expect(gone.since! - gone.lastSeen!).toBeLessThan(defaultConfig.tcpTimeoutMs);
    java(port, { state: 3 });
    expect(await watcher.nextEntry()).toMatchObject({ status: 'busy', code: 3 });
    await beaten(3);
    expect(watcher.entries.map(({ status }) => status)).toEqual(['online', 'offline', 'busy']);
  });

  it('is offline when its process stands still for a lease, and online on the same connection when it goes on', async () => {
    const tcpTimeoutMs = 1_500;
    const { port, watcher } = await start({ tcpTimeoutMs });
    const client = java(port);
    expect(await watcher.nextEntry()).toMatchObject({ status: 'online' });
    client.kill('SIGSTOP');
    const gone = await watcher.nextEntry();
    expect(gone).toMatchObject({ status: 'offline' });
    expect(gone.since! - gone.lastSeen!).toBeGreaterThanOrEqual(tcpTimeoutMs);
    client.kill('SIGCONT');
    expect(await watcher.nextEntry()).toMatchObject({ status: 'online' });
    const metrics = await (await fetch(`${hub.addresses.http}/metrics`)).text();
    expect(metrics).toContain('\npresence_hub_connections{adapter="tcp-xml"} 1\n');
  });

  it.each(['GBK', 'UTF-16'])('is read in the charset %s that it declares', async (charset) => {
    const { port, watcher } = await start({});
    java(port, { charset });
    expect(await watcher.nextEntry()).toMatchObject({ status: 'online', devices: ['手机'] });
    await beaten(5);
    const metrics = await (await fetch(`${hub.addresses.http}/metrics`)).text();
    expect(metrics).not.toMatch(/presence_hub_bad_frames_total\{reason="\w+"\} [1-9]/);
  });

  it.each(['UTF-8', 'UTF-16LE', 'UTF-16BE'])('reads each answer and the probe as a line, in %s', async (charset) => {
    const { port } = await start({ tcpAck: true, tcpProbe: true, tcpTimeoutMs: 1_500 });
    const child = spawn('java', ['-Xshare:auto', '-cp', classes, 'LineClient', port, '7', charset, '3']);
    running.push(child);
    const lines: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) lines.push(line);
    expect(lines).toEqual([
      '<protocol><ack user_id="7" state="1"/></protocol>',
      expect.stringMatching(/^<protocol><error code="user_id">.+<\/error><\/protocol>$/),
      '<protocol><probe/></protocol>',
    ]);
  });
});

/** The watching process, and what it prints. */
class Watcher {
  /** The entries of user 7 that were sent as changes, all of them. */
  readonly entries: Entry[] = [];
  #read = 0;
  #isReady = false;
  #wake: (() => void) | undefined;

  private constructor(output: Readable) {
    createInterface({ input: output }).on('line', (line) => {
      const { type, entries = [] } = JSON.parse(line) as { type: string; entries?: Entry[] };
      if (type === 'snapshot') this.#isReady = true;
      if (type === 'presence') this.entries.push(...entries);
      this.#wake?.();
    });
  }

  static async start(url: string, running: ChildProcess[]): Promise<Watcher> {
    const [command, args]: [string, string[]] =
      python === undefined
        ? [process.execPath, ['--input-type=module', '-e', nodeWatcher, url]]
        : [python, ['-c', pythonWatcher, url]];
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    running.push(child);
    const watcher = new Watcher(child.stdout);
    while (!watcher.#isReady) await watcher.#more();
    return watcher;
  }

  /** The next entry that is sent as a change. */
  async nextEntry(): Promise<Entry> {
    for (;;) {
      const entry = this.entries[this.#read];
      if (entry !== undefined) {
        this.#read++;
        return entry;
      }
      await this.#more();
    }
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

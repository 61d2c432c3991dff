/** The load generator's commands at a small scale: each must pass, and must detect a fault. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test, vi } from 'vitest';
import { Histogram } from '../bench/lib/histogram.ts';
import { ChurnModel } from '../bench/lib/churn-model.ts';
import { FrameReader } from '../bench/lib/ws-frames.ts';

// A hub that had a stall lengthens its graces by a WebSocket timeout, and the runs wait for what is then reported late.
vi.setConfig({ testTimeout: 120_000 });

// The build is fresh: the tests' global setup has made it.
const hub = fileURLToPath(new URL('../../dist/server/main.js', import.meta.url));
const command = fileURLToPath(new URL('../bench/bench.mjs', import.meta.url));

interface Result {
  readonly hasPassed: boolean;
  readonly failures: readonly string[];
  readonly figures: Readonly<Record<string, unknown>>;
}

async function bench(...args: readonly string[]): Promise<{ code: number | null; result: Result }> {
  // The machine that runs the tests has other things to do on its cores.
  const child = spawn(process.execPath, [command, ...args, '--hub', hub, '--no-pin'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  const line = stdout.split('\n').find((one) => one.startsWith('{"bench"'));
  if (line === undefined) throw new Error(`no line of JSON in ${stdout}`);
  return { code, result: JSON.parse(line) as Result };
}

const passed = { code: 0, result: { hasPassed: true, failures: [] } };

describe.concurrent('npm run bench', () => {
  test('reconnect passes if all return within the grace', async () => {
    const run = await bench('reconnect', '--ws', '20', '--tcp', '20', '--rounds', '1', '--gone', '3');
    expect(run).toMatchObject(passed);
    expect(run.result.figures['control']).toMatchObject({ gone: 6, observers: 2, never: 0, twice: 0, early: 0 });
  });

  test('reconnect fails if the grace is shorter than the absence', async () => {
    const away = ['--grace-ms', '100', '--timeout-ms', '1500', '--back-from-ms', '3000', '--back-to-ms', '3100'];
    const run = await bench('reconnect', '--ws', '4', '--tcp', '4', '--rounds', '1', '--gone', '1', ...away);
    expect(run.code).toBe(1);
    expect(run.result.failures.join('\n')).toMatch(/round 1: \d+ users reported offline/);
  });

  test('crash passes: users who come back are never offline, the others are reported once', async () => {
    const scale = ['--ws', '10', '--tcp', '10', '--gone', '2', '--rounds', '1'];
    const run = await bench('crash', ...scale, '--warm-ms', '4000', '--back-to-ms', '500');
    expect(run).toMatchObject(passed);
    expect(run.result.figures['rounds']).toMatchObject([{ back: 16, absent: 0, falsely: 0, reported: 4, twice: 0 }]);
  });

  test('freeze passes with users of every adapter', async () => {
    const scale = ['--tcp', '10', '--ws', '10', '--http', '5', '--poll', '5', '--rounds', '1'];
    const run = await bench('freeze', ...scale, '--seconds', '7', '--after-seconds', '2');
    expect(run).toMatchObject(passed);
    expect(run.result.figures).toMatchObject({ users: 30 });
  });

  test('slow passes, and counts what the others read while one reads nothing', async () => {
    const scale = ['--publishers', '20', '--watchers', '10', '--slow-percent', '20', '--rate', '1000'];
    const run = await bench('slow', ...scale, '--rounds', '1', '--seconds', '1', '--max-ratio', '100');
    expect(run).toMatchObject(passed);
    expect(run.result.figures['stretches']).toMatchObject([
      { slow: 'no', wrong: 0 },
      { slow: 'yes', wrong: 0 },
    ]);
  });

  test('webhooks passes, and events wait while their receiver refuses connections or hangs', async () => {
    const scale = ['--publishers', '20', '--watchers', '10', '--friends', '20', '--rate', '200'];
    const run = await bench(
      'webhooks',
      ...scale,
      '--rounds',
      '1',
      '--warm-seconds',
      '1',
      '--seconds',
      '1',
      '--max-ratio',
      '100',
    );
    expect(run).toMatchObject(passed);
    const stretches = run.result.figures['stretches'] as { readonly receiver: string; readonly queued: number }[];
    expect(stretches.map(({ receiver }) => receiver)).toEqual(['none', 'refuses', 'hangs']);
    // One event of each user waits, and some are in the batch that is sent.
    expect(stretches.map(({ queued }) => Math.min(queued, 20))).toEqual([0, 20, 20]);
  });

  test('hostile passes, and nothing of the attackers is left', async () => {
    const moment = ['--seconds', '0.1', '--all-seconds', '0.5', '--after-ms', '50', '--health-ms', '15000'];
    const scale = ['--good', '20', '--good-ws', '5', '--half-open', '100', '--width', '2'];
    // One of each kind. That each entry of the table sends something is in the tests of the table.
    const tcp = 'tcp-endless,tcp-drip,tcp-half-open,tcp-storm,tcp-new-users';
    const others = 'ws-pings,ws-hello-churn,ws-empty-fragments,http-healthz,http-headers';
    const run = await bench('hostile', ...moment, ...scale, '--attack', `${tcp},${others}`);
    expect(run).toMatchObject(passed);
    expect(run.result.figures).toMatchObject({ left: 0 });
  });

  test('soak passes, and everything is back where it was', async () => {
    const scale = ['--population', '30', '--deeds', '60', '--minutes', '0.05', '--warm-seconds', '2', '--every-s', '1'];
    const run = await bench('soak', ...scale, '--quiet-seconds', '1', '--silent', '0', '--timeout-ms', '8000');
    expect(run).toMatchObject(passed);
    expect(run.result.figures['after']).toMatchObject({ 'ws-json': 0, 'tcp-xml': 0, http: 0, connections: 0 });
  });
});

describe('the generator’s parts', () => {
  test('a percentile is at most 1.6% above the duration that it stands for', () => {
    const histogram = new Histogram();
    for (let ms = 1; ms <= 1000; ms += 1) histogram.add(ms);
    for (const share of [0.01, 0.5, 0.99, 1]) {
      expect(histogram.percentile(share)).toBeGreaterThanOrEqual(1000 * share);
      expect(histogram.percentile(share)).toBeLessThanOrEqual(1000 * share * 1.016);
    }
  });

  test('frames are the same however the bytes are cut', () => {
    const texts = ['a', 'b'.repeat(200), 'c'.repeat(70_000)];
    const bytes = Buffer.concat(texts.map(serverFrame));
    for (const step of [1, 7, 4096, bytes.length]) {
      const read: string[] = [];
      const reader = new FrameReader((_, payload) => read.push(payload.toString()));
      for (let at = 0; at < bytes.length; at += step) reader.push(bytes.subarray(at, at + step));
      expect(read).toEqual(texts);
    }
  });

  test('the model of the churn finds who was reported offline falsely, twice, and never', () => {
    const model = new ChurnModel();
    for (const user of ['a', 'b', 'c']) model.came(user);
    model.did('a', 'reload');
    model.reportedOffline('a');
    model.went('b', 'cut', 100);
    model.reportedOffline('b');
    model.reportedOffline('b');
    model.went('c', 'bye', 100);
    model.tick(99);
    expect(model.verdict.neverReported).toEqual([]);
    model.tick(100);
    expect(model.verdict).toEqual({
      falseOffline: ['a after it reload'],
      reportedTwice: 1,
      neverReported: ['c (bye)'],
      offlineReports: 3,
    });
  });
});

function serverFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const head = Buffer.alloc(payload.length < 126 ? 2 : payload.length < 65_536 ? 4 : 10);
  head[0] = 0x81;
  head[1] = payload.length < 126 ? payload.length : payload.length < 65_536 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(payload.length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([head, payload]);
}

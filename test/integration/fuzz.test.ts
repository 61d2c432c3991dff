/** The fuzzer's command for a moment: it must pass, must repeat itself from its seed, and must find what is wrong. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test, vi } from 'vitest';
import { Random } from '../bench/lib/random.ts';
import { readCorpus } from '../fuzz/lib/corpus.ts';
import { keep, readKept } from '../fuzz/lib/input.ts';
import { http } from '../fuzz/targets/http.ts';
import { tcp } from '../fuzz/targets/tcp.ts';
import { ws } from '../fuzz/targets/ws.ts';

vi.setConfig({ testTimeout: 180_000 });

// The build is fresh: the tests' global setup has made it.
const hub = fileURLToPath(new URL('../../dist/server/main.js', import.meta.url));
const command = fileURLToPath(new URL('../fuzz/fuzz.mjs', import.meta.url));

// Beside other tests a core may be busy for seconds: here the hub has more time to answer than in a run of its own.
const generous = ['--health-ms', '15000'];

async function fuzz(...args: readonly string[]): Promise<{ code: number | null; stdout: string }> {
  const child = spawn(process.execPath, [command, ...args, '--hub', hub, '--no-pin', '--lanes', '2'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, stdout };
}

const moment = ['--minutes', '0.02', '--seed', '7', '--transport', 'ws'];

describe.concurrent('npm run fuzz', () => {
  test.for(['tcp', 'ws', 'http'])('%s passes for a moment', async (target) => {
    const floods = ['--attack-seconds', '0.2', '--rest-ms', '50', '--width', '2'];
    const { code, stdout } = await fuzz(target, ...moment, ...floods, ...generous);
    expect(stdout).toContain(`fuzz ${target}: seed 7,`);
    expect(stdout).toMatch(
      /seed 7: \d+ cases; longest probe answer \d+ ms .*; reported offline 0, lost connections 0; RSS/,
    );
    expect(stdout).toContain(`"floods":[{"attack":"${target}-`);
    expect(stdout).toContain('"hasPassed":true,"failures":[]');
    expect(code).toBe(0);
  });

  test('an answer of /healthz over the limit is found, beside a flood in jwt mode', { concurrent: false }, async () => {
    const flood = ['--attack', 'tcp-flood', '--width', '1', '--auth', 'jwt'];
    const { code, stdout } = await fuzz('tcp', ...moment, ...flood, '--health-ms', '0');
    expect(stdout).toMatch(/FAILED: \/healthz took \d+ ms, limit 0 ms \((tcp-flood, width 1[^)]*|no attack)\)/);
    expect(code).toBe(1);
  });

  test('a kept failure is sent again, and what it does is found', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hub-fuzz-'));
    const file = join(folder, 'kept.json');
    // In open mode anyone may say goodbye for a good user: just what the guard must see.
    const body = '{"user":"regular-http-3","status":"offline"}';
    const head = `POST /v1/heartbeat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n`;
    const request = Buffer.from(`${head}Content-Length: ${body.length}\r\n\r\n${body}`);
    const inputs = [{ no: 1, parts: 1, asksFirst: false, chunks: [request.subarray(0, 30), request.subarray(30)] }];
    keep(file, { target: 'http', seed: 1, failures: ['a test'], inputs });
    expect(readKept(file).inputs).toEqual(inputs);
    const { code, stdout } = await fuzz('--replay', file, ...generous);
    rmSync(folder, { recursive: true });
    expect(stdout).toContain('FAILED: regular-http-3 was reported offline while it sent heartbeats');
    expect(code).toBe(1);
  });
});

describe('inputs', () => {
  test.for([tcp, ws, http])('$name: the same seed makes the same inputs, another makes others', (target) => {
    const corpus = readCorpus();
    const made = (seed: number) => Array.from({ length: 50 }, (_, no) => target.make(new Random(seed + no), corpus));
    expect(made(1)).toEqual(made(1));
    expect(made(1)).not.toEqual(made(1000));
  });
});

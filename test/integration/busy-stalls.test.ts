/**
 * PROTOCOL.md section 2: time in which the hub did not read its sockets ends no lease, whatever the hub did meanwhile. Here
 * real users go on in a thread of their own, while the hub's thread is busy in short pieces that each read the hub's clock.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterAll, afterEach, expect, it } from 'vitest';
import { startHub, type Hub } from '../../server/hub.ts';
import { systemClock } from '../../server/lib/time/system-clock.ts';
import { createLog } from '../../server/lib/log/log.ts';
import { StallClock } from '../../server/lib/time/stall-clock.ts';
import { defaultConfig, onBothEngines } from '../support/hub.ts';

const LEASE_MS = 2000;
const BUSY_MS = 8000;
const PIECE_MS = 10;

interface Said {
  readonly targetPort?: number;
  readonly areHere?: true;
  readonly wentOffline?: readonly string[];
  readonly lost?: readonly string[];
}

const names = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`);
const users = { tcp: names('t', 50), ws: names('w', 50), http: names('h', 25), poll: names('p', 25) };

let hub: Hub | undefined;
let worker: Worker | undefined;
const folder = mkdtempSync(join(tmpdir(), 'presence-hub-busy-'));
afterEach(async () => {
  await worker?.terminate();
  await hub?.stop();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function startOutsideUsers(): { said: <K extends keyof Said>(what: K) => Promise<NonNullable<Said[K]>> } {
  const started = new Worker(new URL('../support/outside-users.mjs', import.meta.url), {
    workerData: { users, beatEveryMs: LEASE_MS / 4, ttlMs: LEASE_MS },
  });
  worker = started;
  return {
    said: (what) =>
      new Promise((resolve, reject) => {
        started.once('error', reject);
        started.on('message', (message: Said) => {
          const value = message[what];
          if (value !== undefined) resolve(value);
        });
      }),
  };
}

/** One turn of the loop that takes that long, and in which the clock is read again and again. */
function beBusy(clock: StallClock, ms: number): void {
  const endsAt = performance.now() + ms;
  for (let at = performance.now(); at < endsAt; at = performance.now()) {
    while (performance.now() < at + PIECE_MS) continue;
    clock.now();
  }
}

onBothEngines('a stall of short pieces that each read the clock', (transport) => {
  it('puts nobody offline, on any adapter', { timeout: 60_000 }, async () => {
    const outside = startOutsideUsers();
    const targetPort = await outside.said('targetPort');
    const pollFile = join(folder, `poll-${transport}.json`);
    const url = `http://127.0.0.1:${targetPort}/`;
    writeFileSync(
      pollFile,
      JSON.stringify(users.poll.map((user) => ({ user, url, everyMs: 1000, timeoutMs: 500, failures: 1 }))),
    );
    const stalls: number[] = [];
    const clock = new StallClock(systemClock, (lastedMs) => stalls.push(lastedMs));
    const leases = { timeoutMs: LEASE_MS, heartbeatMs: LEASE_MS / 2, tcpTimeoutMs: LEASE_MS, graceMs: 500 };
    const config = { ...defaultConfig, ...leases, transport, pollFile };
    hub = await startHub(config, { log: createLog('silent'), clock });
    const { http, ws, tcp } = hub.addresses;
    const areHere = outside.said('areHere');
    worker?.postMessage({ hub: { http, ws, tcpPort: Number(tcp?.split(':').at(-1)) } });
    await areHere;

    beBusy(clock, BUSY_MS);
    await delay(2 * LEASE_MS);

    const ledger = Promise.all([outside.said('wentOffline'), outside.said('lost')]);
    worker?.postMessage({ ask: 'ledger' });
    expect(await ledger).toEqual([[], []]);
    expect(stalls.some((lastedMs) => lastedMs >= BUSY_MS)).toBe(true);
  });
});

/**
 * A whole hub in the test's own process, on free ports, in memory, with a clock that the test moves: real sockets, real
 * storage, no waiting for leases. Timers run on real time and read the test's clock, so that after `clock.pass` the hub
 * notices within one look (25 ms).
 */
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';
import { describe } from 'vitest';
import { readConfig, type Config } from '../../server/config/config.ts';
import { startHub, type Hub } from '../../server/hub.ts';
import type { Clock } from '../../server/lib/time/clock.ts';
import { createLog, type Logger } from '../../server/lib/log/log.ts';
import { StallClock } from '../../server/lib/time/stall-clock.ts';
import { TestClock } from './clock.ts';
import { needing } from './needs.ts';

/** The hub looks at its clock this often. */
const LOOK_MS = 25;
/** Time that passes between two readings of a clock, well below what it takes for a stall. */
const STEP_MS = 100;

export interface TestHub extends Hub {
  readonly clock: TestClock;
  readonly tcpPort: number;
  /** One HTTP request: its status, and its body as JSON if it is JSON. */
  request(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }>;
  /** The value of one series in /metrics. */
  metric(series: string): Promise<number>;
  /** Resolves when the condition holds; asks again with each look of the hub. */
  until(condition: () => boolean | Promise<boolean>): Promise<void>;
  /** Lets time pass in steps that the hub looks at: for a hub whose clock knows of stalls. */
  run(ms: number): Promise<void>;
  /** Resolves when the hub has certainly looked at the clock once more. */
  looked(): Promise<void>;
}

export const defaultConfig: Config = {
  ...defaults(),
  port: 0,
  tcpPort: 0,
  data: ':memory:',
  logLevel: 'silent',
  // Whole hubs fall silent in these tests; the one of the mass lapse turns the doubt on.
  doubtMs: 0,
};

function defaults(): Config {
  const read = readConfig({ flags: new Map(), env: {}, readFile: () => '' });
  if (!read.ok) throw new Error(read.problem);
  return read.value.config;
}

/** Starts a hub; the test stops it. */
export async function startTestHub(
  settings: Partial<Config> = {},
  clockOf: (clock: TestClock) => Clock = (clock) => clock,
  log: Logger = createLog('silent'),
): Promise<TestHub> {
  const clock = new TestClock();
  const hubClock = clockOf(clock);
  const hub = await startHub({ ...defaultConfig, ...settings }, { log, clock: hubClock });
  const request: TestHub['request'] = async (method, path, body) => {
    // An idle connection would count against the limits that a test sets.
    const headers = { connection: 'close' };
    const init = body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) };
    const answer = await fetch(hub.addresses.http + path, init);
    const text = await answer.text();
    const isJson = answer.headers.get('content-type')?.includes('json') === true;
    return { status: answer.status, body: isJson ? (JSON.parse(text) as unknown) : text };
  };
  return {
    ...hub,
    clock,
    tcpPort: Number(hub.addresses.tcp?.split(':').at(-1) ?? 0),
    request,
    metric: async (series) => {
      const lines = String((await request('GET', '/metrics')).body).split('\n');
      return Number(
        lines
          .find((line) => line.startsWith(`${series} `))
          ?.split(' ')
          .at(-1) ?? NaN,
      );
    },
    until: async (condition) => {
      while (!(await condition())) await delay(LOOK_MS);
    },
    run: async (ms) => {
      for (let left = ms; left > 0; left -= STEP_MS) {
        clock.pass(Math.min(STEP_MS, left));
        if (hubClock instanceof StallClock) hubClock.tick();
      }
      await looked();
    },
    looked,
  };
}

/** A tick of the hub is judged after the loop has read its sockets twice. */
const TURNS = 4;

async function looked(): Promise<void> {
  await delay(2 * LOOK_MS);
  for (let turn = 0; turn < TURNS; turn++) await nextTurn();
}

/** Runs a suite on each engine that loads here. */
export function onBothEngines(title: string, suite: (transport: 'uws' | 'ws') => void): void {
  describe(`${title} (uws)`, needing('uWebSockets.js'), () => {
    suite('uws');
  });
  describe(`${title} (ws)`, () => {
    suite('ws');
  });
}

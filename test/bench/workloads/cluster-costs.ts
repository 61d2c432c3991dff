/**
 * What a cluster would cost, before there is one: the scripts against a running Redis, and pushes and operations on the
 * side of a hub. Starts its own redis-server and no hub. The experiments are E1 to E6 of the cluster's design.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as scriptsOfCluster from '../../../server/cluster/redis/scripts.ts';
import { canPin } from '../lib/proc.ts';
import { root } from '../lib/places.ts';
import { FOLD_IN_LUA } from '../lib/fold-in-lua.ts';
import { connectRedis, startRedis, usPerCall, type RedisClient, type RedisServer } from '../lib/redis-server.ts';
import { printTable, progress, round, type Outcome, type Row } from '../lib/report.ts';
import { workload } from '../lib/stage.ts';

const knobs = {
  users: { fallback: 20_000, least: 100, help: 'users with a record' },
  calls: { fallback: 60_000, least: 1000, help: 'calls of each script' },
  'record-bytes': { fallback: 400, least: 100, help: 'bytes of an entry as it is pushed; sessions have half as many' },
};
type Values = Readonly<Record<keyof typeof knobs, number>>;

export const clusterCosts = workload({
  name: 'cluster-costs',
  about: 'what operations, pushes and reads of a cluster cost Redis and a hub (no hub is started)',
  knobs,
  run: (_, values) => run(values),
});

type Scripts = typeof scriptsOfCluster;

const BUCKETS = 256;
const IN_FLIGHT = 500;
const FRIENDS = 50;
const TURNS = 4;
const META = (i: number): string => `ph:{${i % BUCKETS}}:m`;
const RECORD = (i: number): string => `ph:{${i % BUCKETS}}:r:user-${i}`;
const CHANNEL = (i: number): string => `ph:{${i % BUCKETS}}:c`;

async function run(values: Values): Promise<Outcome> {
  const rows = await measureCosts(values);
  printTable(rows);
  return {
    failures: rows.filter(({ us }) => !Number.isFinite(us)).map((row) => `${row.experiment}: no figure`),
    figures: Object.fromEntries(rows.map(({ experiment, us }) => [experiment, us])),
  };
}

/** A figure in microseconds. */
interface Figure extends Row {
  readonly experiment: string;
  readonly us: number;
  readonly of: string;
}

/** Runs all experiments. */
export async function measureCosts(values: Values): Promise<Figure[]> {
  const scripts = (await import(
    pathToFileURL(join(root, 'dist/server/cluster/redis/scripts.js')).href
  )) as unknown as Scripts;
  const redis = await startRedis(canPin ? 0 : null);
  const client = await connectRedis(redis.url);
  try {
    const rows: Figure[] = [];
    const note = (experiment: string, us: number, of: string): void => {
      rows.push({ experiment, us: round(us), of });
      progress(`${experiment}: ${round(us)} µs ${of}`);
    };
    await measureScripts(client, scripts, values, note);
    await measurePushes(redis, client, values, note);
    await measureSubscribers(redis, client, scripts, values, note);
    await measureStorm(client, values, note);
    await measureIpc(values, note);
    return rows;
  } finally {
    client.destroy();
    await redis.server.stop();
  }
}

type Note = (experiment: string, us: number, of: string) => void;

/** The arguments of a call that begins or changes user `i`, whose record has the `n` of the last call. */
function registerArgs(i: number, call: number, expect: string, { 'record-bytes': bytes }: Values): string[] {
  const entry = 'e'.repeat(bytes);
  const sessions = 's'.repeat(bytes / 2);
  const isNew = expect === '0';
  const keys = [META(i), RECORD(i), ...(isNew ? [`ph:{${i % BUCKETS}}:i:hub-1`] : [])];
  const args = [`hub-1.${call}`, 'hub-1', expect, '0', '1', CHANNEL(i), `user-${i}`, `${entry}\t${sessions}`, entry];
  return [String(keys.length), ...keys, ...args, isNew ? '+' : ''];
}

/** E1: Redis's time for an operation, in turn with its alternative, because a machine's speed drifts; E3: the hub's own. */
async function measureScripts(client: RedisClient, scripts: Scripts, values: Values, note: Note): Promise<void> {
  const stamps = new Map<number, string>();
  const sha = await load(client, scripts.REGISTER);
  let registered = 0;
  const register = async (): Promise<void> => {
    const i = registered++ % values.users;
    const args = registerArgs(i, registered, stamps.get(i) ?? '0', values);
    const [kind, stamp = ''] = (await client.sendCommand(['EVALSHA', sha, ...args])) as unknown as string[];
    if (kind !== 'ok') throw new Error(`the register answered ${kind}`);
    stamps.set(i, stamp.slice(0, stamp.indexOf(' ')));
  };
  const foldSha = await load(client, FOLD_IN_LUA);
  let folded = 0;
  const fold = (): Promise<unknown> => {
    const call = folded++;
    const i = call % values.users;
    const text = 'x'.repeat(values['record-bytes'] / 2);
    const part = JSON.stringify([{ k: '3f', d: 'web', s: 'online', c: 1, S: call, x: text }]);
    const keys = [`ph:{${i % BUCKETS}}:f`, `ph:{${i % BUCKETS}}:h:user-${i}`];
    const args = [`hub-${Math.floor(call / values.users) % 2}`, part, CHANNEL(i), `user-${i}`, `op.${call}`];
    return client.sendCommand(['EVALSHA', foldSha, '2', ...keys, ...args]);
  };
  // Both parts of each record are there before anything is measured.
  await inParallel(values.users, register);
  await inParallel(2 * values.users, fold);
  const costs = { register: Infinity, onHub: Infinity, fold: Infinity, tick: Infinity };
  const tickSha = await load(client, scripts.TICK);
  const measured = async (count: number, call: (n: number) => Promise<unknown>): Promise<[number, number]> => {
    await client.sendCommand(['CONFIG', 'RESETSTAT']);
    const cpuUs = await inParallel(count, call);
    return [await usPerCall(client, 'evalsha'), cpuUs / count];
  };
  for (let turn = 0; turn < TURNS; turn++) {
    const [ofRedis, onHub] = await measured(values.calls, register);
    costs.register = Math.min(costs.register, ofRedis);
    costs.onHub = Math.min(costs.onHub, onHub);
    costs.fold = Math.min(costs.fold, (await measured(values.calls, fold))[0]);
    const tick = (n: number): Promise<unknown> => client.sendCommand(['EVALSHA', tickSha, '1', META(n), CHANNEL(n)]);
    costs.tick = Math.min(costs.tick, (await measured(values.calls / 10, tick))[0]);
  }
  note('E1 register', costs.register, 'of Redis an operation');
  note('E1 fold in Lua, for comparison', costs.fold, 'of Redis an operation');
  note('E1 tick', costs.tick, 'of Redis a tick');
  note('E3 register, on the hub', costs.onHub, "of the hub's CPU an operation");
}

/** E2: a push for a user that the hub does not hold. Redis publishes by itself, so the CPU is that of the receiver. */
async function measurePushes(redis: RedisServer, client: RedisClient, values: Values, note: Note): Promise<void> {
  const held = new Set(Array.from({ length: 1000 }, (_, i) => `somebody-${i}`));
  for (const bytes of [values['record-bytes'] / 4, values['record-bytes'], values['record-bytes'] * 1.5]) {
    const push = await connectRedis(redis.url);
    let received = 0;
    let wanted = 0;
    await push.sSubscribe('ph:{0}:c', (text: string) => {
      received++;
      if (held.has(text.slice(0, text.indexOf('\t')))) wanted++;
    });
    const text = `user-1\t1767225600000 1767225600000 hub-1.1 1767225600000\thub-1.0\tset\t${'e'.repeat(bytes)}`;
    const loop = `for i = 1, tonumber(ARGV[2]) do redis.call('SPUBLISH', KEYS[1], ARGV[1]) end`;
    const before = process.cpuUsage();
    for (let sent = 0; sent < values.calls; sent += 1000) {
      await client.sendCommand(['EVAL', loop, '1', 'ph:{0}:c', text, '1000']);
    }
    while (received < values.calls) await new Promise((resolve) => setTimeout(resolve, 5));
    const { user, system } = process.cpuUsage(before);
    push.destroy();
    if (wanted > 0) throw new Error('nobody holds that user');
    note(`E2 unwanted push, ${text.length} bytes`, (user + system) / received, "of the hub's CPU a push");
  }
}

/** E4: what each subscribed node adds to an operation. */
async function measureSubscribers(
  redis: RedisServer,
  client: RedisClient,
  scripts: Scripts,
  values: Values,
  note: Note,
): Promise<void> {
  const sha = await load(client, scripts.REGISTER);
  const costs: number[] = [];
  for (const subscribers of [0, 16]) {
    const clients = await Promise.all(Array.from({ length: subscribers }, () => connectRedis(redis.url)));
    await Promise.all(clients.map((one) => one.sSubscribe(CHANNEL(7), () => undefined)));
    let n = '0';
    await client.sendCommand(['DEL', RECORD(7)]);
    await client.sendCommand(['CONFIG', 'RESETSTAT']);
    for (let call = 0; call < values.calls / 20; call++) {
      const args = registerArgs(7, 1e6 + subscribers * values.calls + call, n, values);
      const [, stamp = ''] = (await client.sendCommand(['EVALSHA', sha, ...args])) as unknown as string[];
      n = stamp.slice(0, stamp.indexOf(' '));
    }
    costs.push(await usPerCall(client, 'evalsha'));
    for (const one of clients) one.destroy();
  }
  const [none = NaN, sixteen = NaN] = costs;
  note('E4 register without subscribers, one at a time', none, 'of Redis an operation');
  note('E4 each subscribed node', (sixteen - none) / 16, 'of Redis more an operation');
}

/** E5: everybody comes back, and none of their friends is held: reads of fifty records in one command. */
async function measureStorm(client: RedisClient, values: Values, note: Note): Promise<void> {
  await client.sendCommand(['CONFIG', 'RESETSTAT']);
  const clients = 10_000;
  const startedAt = performance.now();
  const cpuUs = await inParallel(clients, (n) => {
    const friends = Array.from({ length: FRIENDS }, (_, f) => RECORD((n * 7919 + f * 104_729) % values.users));
    return client.sendCommand(['MGET', ...friends]);
  });
  const passedMs = performance.now() - startedAt;
  note(`E5 reading ${FRIENDS} records`, await usPerCall(client, 'mget'), 'of Redis a client');
  note('E5 the same, on the hub', cpuUs / clients, "of the hub's CPU a client");
  note(`E5 ${clients} clients`, passedMs * 1000, 'in all');
}

const ECHO = `process.on('message', (message) => process.send(message))`;

/** E6: an operation over the channel to a parent process, instead of Redis. */
async function measureIpc(values: Values, note: Note): Promise<void> {
  const child = fork('-e', [ECHO], {
    execPath: process.execPath,
    execArgv: [],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const text = `user-1\t${'e'.repeat(values['record-bytes'])}`;
  const waiting: (() => void)[] = [];
  child.on('message', () => waiting.shift()?.());
  const cpuUs = await inParallel(values.calls / 4, () => {
    return new Promise<void>((resolve) => {
      waiting.push(resolve);
      child.send(text);
    });
  });
  note('E6 an operation over IPC', cpuUs / (values.calls / 4), "of one process's CPU, of two");
  child.kill();
  await once(child, 'exit');
}

function load(client: RedisClient, script: string): Promise<string> {
  return client.sendCommand(['SCRIPT', 'LOAD', script]) as unknown as Promise<string>;
}

/** Runs `count` calls, 500 at a time. Returns the CPU time of this process in microseconds. */
async function inParallel(count: number, call: (n: number) => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) await call(next++);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

/**
 * How many hubs and Redis shards a number of users needs: computed from costs that are measured in the same run, and
 * checked against three real hubs on one Redis. See lib/growth-model.ts for what is computed.
 */
import { changesPerS, endOfBroadcast, planFor, type Costs, type Plan } from '../lib/growth-model.ts';
import { cpuMs } from '../lib/proc.ts';
import { sleep } from '../lib/pacing.ts';
import { connectRedis, startRedis, usPerCall, type RedisClient } from '../lib/redis-server.ts';
import { printTable, progress, round, say, type Outcome, type Row } from '../lib/report.ts';
import { startRole } from '../lib/roles.ts';
import type { HubServer } from '../lib/server.ts';
import { workload, type Stage } from '../lib/stage.ts';
import type { PublishersCommands } from '../roles/publishers.ts';
import { measureCosts } from './cluster-costs.ts';

const knobs = {
  friends: { fallback: 20, least: 1, help: 'friends of a user who are connected and watch' },
  'changes-per-hour': { fallback: 12, least: 1, help: 'changes of a user; 12 is one in five minutes' },
  'users-per-hub': { fallback: 100_000, least: 1000, help: 'connections that one hub may have' },
  'percent-of-core': { fallback: 50, least: 1, help: 'what a hub and a Redis shard may use' },
  'delivery-ns': { fallback: 5000, least: 1, help: 'CPU of a delivery: see fanout' },
  'heartbeat-ns': { fallback: 9000, least: 1, help: 'CPU of a heartbeat: see heartbeat-ws' },
  calls: { fallback: 30_000, least: 1000, help: 'calls of each experiment of cluster-costs' },
  people: { fallback: 300, least: 10, help: 'users of each of the three hubs in the check' },
  rate: { fallback: 300, least: 10, help: 'changes a second on each of the three hubs in the check' },
  seconds: { fallback: 8, least: 1, help: 'length of each window of the check' },
};
type Values = Readonly<Record<keyof typeof knobs, number>>;

export const model = workload({
  name: 'model',
  about: 'hubs and Redis shards for up to 100 million users, from costs measured here, checked with three hubs',
  knobs,
  run,
});

const HUBS = 3;
const SIZES = [10_000, 100_000, 1_000_000, 10_000_000, 30_000_000, 100_000_000];
const HEARTBEAT_EVERY_S = 10;

async function run(stage: Stage, values: Values): Promise<Outcome> {
  const figures = new Map(
    (await measureCosts({ users: 20_000, calls: values.calls, 'record-bytes': 400 })).map(({ experiment, us }) => [
      experiment,
      us,
    ]),
  );
  const figure = (start: string): number => [...figures].find(([name]) => name.startsWith(start))?.[1] ?? NaN;
  const check = await checkThree(stage, values);
  const costs: Costs = {
    change: check.changeAlone,
    publish: figure('E3 register'),
    receive: figure('E2 unwanted push, 4'),
    deliver: values['delivery-ns'] / 1000,
    heartbeat: values['heartbeat-ns'] / 1000,
    redisChange: figure('E1 register'),
    redisReceive: Math.max(0, figure('E4 each subscribed node')),
    redisBytes: check.redisBytes,
  };
  const predicted = {
    hub: costs.change + costs.publish + (HUBS - 1) * costs.receive,
    redis: costs.redisChange + HUBS * costs.redisReceive,
  };
  printTable([
    { cost: 'a change, on a hub that is alone', us: round(costs.change) },
    { cost: 'publishing it (E3)', us: costs.publish },
    { cost: 'receiving one of another hub (E2)', us: costs.receive },
    { cost: 'Redis, a change (E1)', us: costs.redisChange },
    { cost: 'Redis, each hub that receives it (E4)', us: round(costs.redisReceive) },
  ]);
  printTable([
    { 'three hubs': 'hub, a change of its own and two of others', ...compared(predicted.hub, check.hub) },
    { 'three hubs': 'Redis, a change', ...compared(predicted.redis, check.redis) },
  ]);
  const rows = SIZES.map((users) => rowOf(users, costs, values));
  printTable(rows);
  const end = endOfBroadcast(crowdOf(0, values), costs, limitsOf(values));
  say(
    `Every hub can receive every change up to ${Math.round(end / 1e5) / 10} million users. Beyond that, receiving alone takes`,
  );
  say(
    `${values['percent-of-core']} % of each hub's core, and more hubs do not help. Then a change must go only to the hubs that hold the`,
  );
  say('user (columns "interest"; not built), or users who never watch each other need clusters of their own.');
  return {
    failures: [predicted.hub, predicted.redis, check.hub, check.redis].every(Number.isFinite) ? [] : ['no figure'],
    figures: { costs, predicted, check, 'broadcast ends at': Math.round(end), rows },
  };
}

function compared(predicted: number, measured: number): Row {
  return {
    'model µs': round(predicted),
    'measured µs': round(measured),
    'measured / model': round(measured / predicted),
  };
}

const crowdOf = (users: number, values: Values) => ({
  users,
  friends: values.friends,
  changesPerMinute: values['changes-per-hour'] / 60,
  heartbeatEveryS: HEARTBEAT_EVERY_S,
});
const limitsOf = (values: Values) => ({
  atMost: values['percent-of-core'] / 100,
  usersPerHub: values['users-per-hub'],
});

function rowOf(users: number, costs: Costs, values: Values): Row {
  const crowd = crowdOf(users, values);
  const plan = (routing: 'broadcast' | 'interest'): Row => {
    const found: Plan | undefined = planFor(crowd, costs, limitsOf(values), routing);
    return {
      [`hubs (${routing})`]: found?.hubs ?? 'impossible',
      [`receiving % (${routing})`]: found === undefined ? '-' : round(100 * found.receiving, 1),
      [`shards (${routing})`]: found?.shards ?? '-',
    };
  };
  const redisGb = round((users * costs.redisBytes) / 1e9, 1);
  return {
    users,
    'changes/s': Math.round(changesPerS(crowd)),
    ...plan('broadcast'),
    ...plan('interest'),
    'Redis GB': redisGb,
  };
}

interface Check {
  /** Microseconds: of a hub without Redis; of each of three hubs, by own change; of Redis, by change. */
  readonly changeAlone: number;
  readonly hub: number;
  readonly redis: number;
  readonly redisBytes: number;
}

async function checkThree(stage: Stage, values: Values): Promise<Check> {
  progress('one hub without Redis');
  const alone = await stage.startHub({ HUB_DATA: ':memory:' });
  const changeAlone = await costOfChange([alone], values, () => Promise.resolve());
  await alone.stop();
  progress('three hubs on one Redis');
  const redis = await startRedis(null);
  const client = await connectRedis(redis.url);
  const hubs: HubServer[] = [];
  try {
    const settings = { HUB_REDIS_URL: redis.url, HUB_DATA: ':memory:' };
    for (let i = 0; i < HUBS; i++) hubs.push(await stage.startHub(settings));
    const emptyBytes = await usedBytes(client);
    let peopleBytes = NaN;
    const hub = await costOfChange(hubs, values, async () => {
      peopleBytes = await usedBytes(client);
      await client.sendCommand(['CONFIG', 'RESETSTAT']);
    });
    const redisUs = await usPerCall(client, 'evalsha');
    const redisBytes = (peopleBytes - emptyBytes) / (HUBS * values.people);
    return { changeAlone, hub, redis: redisUs, redisBytes };
  } finally {
    client.destroy();
    for (const hub of hubs) await hub.stop();
    await redis.server.stop();
  }
}

async function usedBytes(client: RedisClient): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await client.info('memory'))?.[1] ?? NaN);
}

/** Microseconds of one hub's CPU for a change of its own users, in addition to what it uses without changes. */
async function costOfChange(
  hubs: readonly HubServer[],
  values: Values,
  onPresent: () => Promise<void>,
): Promise<number> {
  const roles = hubs.map(() => startRole<PublishersCommands>(new URL('../roles/publishers.js', import.meta.url)));
  try {
    for (const [i, hub] of hubs.entries()) {
      const users = Array.from({ length: values.people }, (_, n) => `person-${i}-${n}`);
      await roles[i]!.call('open', { port: hub.port, users });
    }
    await sleep(2000);
    const window = async (): Promise<number> => {
      const before = hubs.map(({ pid }) => cpuMs(pid));
      await sleep(1000 * values.seconds);
      return hubs.reduce((sum, { pid }, i) => sum + cpuMs(pid) - before[i]!, 0);
    };
    const idleMs = await window();
    for (const role of roles) await role.call('publish', { changesPerS: values.rate, padding: 40 });
    await sleep(2000); // code is compiled
    await onPresent();
    const busyMs = await window();
    return (1000 * (busyMs - idleMs)) / (hubs.length * values.rate * values.seconds);
  } finally {
    for (const role of roles) role.stop();
  }
}

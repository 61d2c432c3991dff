/**
 * W1: a quiet day. Half of the users on legacy TCP, half on WebSockets that follow their friends live; a heartbeat of each
 * every 10 s, one in a hundred changes a minute; with 18, 130 and 1000 friends. CPU, memory, and how long a change takes to
 * those who follow.
 */
import { comparisonSettings } from '../lib/comparison.ts';
import { fromCounts } from '../lib/histogram.ts';
import { sleep } from '../lib/pacing.ts';
import { printTable, progress, round, type Outcome, type Row } from '../lib/report.ts';
import { startRole, type Role } from '../lib/roles.ts';
import { measure, type HubServer, type Server } from '../lib/server.ts';
import { workload, type Stage } from '../lib/stage.ts';
import type { SteadyCommands } from '../roles/steady-users.ts';

const knobs = {
  users: { fallback: 4000, least: 2, help: 'users, half of them on TCP' },
  friends: { fallback: 0, help: 'friends of each watcher; 0: 18, then 130, then 1000' },
  'every-seconds': { fallback: 10, least: 1, help: 'between two heartbeats of a user' },
  'change-percent': { fallback: 1, help: 'users who change their status in a minute' },
  seconds: { fallback: 60, least: 1, help: 'length of the window' },
};
type Values = Readonly<Record<keyof typeof knobs, number>>;

export const steady = workload({
  name: 'steady',
  about: 'a quiet day with 18, 130 and 1000 friends: CPU, memory, delay of a change (W1)',
  knobs,
  run,
});

const FRIENDS = [18, 130, 1000];
const SETTLE_MS = 5000;
const LAST_WORDS_MS = 1000;
const BYTES_A_KB = 1024;

async function run(stage: Stage, values: Values): Promise<Outcome> {
  const rows: Row[] = [];
  const failures: string[] = [];
  for (const friends of values.friends > 0 ? [values.friends] : FRIENDS) {
    const people = startRole<SteadyCommands>(new URL('../roles/steady-users.js', import.meta.url));
    const hub = await startWithFriends(stage, people, { ...values, friends });
    const day = await liveThrough(hub, people, { ...values, friends });
    rows.push(day.row);
    failures.push(...[...day.failures, ...hub.errors].map((failure) => `${friends} friends: ${failure}`));
    people.stop();
    await hub.stop();
  }
  printTable(rows);
  return { failures, figures: { rows } };
}

/** An earlier run of the hub stores the lists, so that no figure includes their cost. */
async function startWithFriends(stage: Stage, people: Role<SteadyCommands>, values: Values): Promise<HubServer> {
  const { users, friends } = values;
  const everyMs = 1000 * values['every-seconds'];
  // Its data outlives it, unlike in a comparison.
  const { HUB_DATA: _none, ...limits } = comparisonSettings;
  const settings = {
    ...limits,
    HUB_HEARTBEAT_MS: String(everyMs),
    HUB_TIMEOUT_MS: String(2.5 * everyMs),
    HUB_TCP_TIMEOUT_MS: String(2.5 * everyMs),
  };
  const earlier = await stage.startHub(settings);
  progress(`telling the hub ${friends} friends of each of ${Math.floor(users / 2)} watchers`);
  await people.call('befriend', { port: earlier.port, tcpPort: earlier.tcpPort, users, friends });
  return stage.startHub(settings, await earlier.crash());
}

async function liveThrough(hub: Server, people: Role<SteadyCommands>, values: Values) {
  const { users, friends } = values;
  await sleep(SETTLE_MS);
  const rssBytesBefore = hub.rssBytes();
  await people.call('open', 1000 * values['every-seconds']);
  await sleep(SETTLE_MS);
  await people.call('change', (users * values['change-percent']) / 100 / 60);
  await people.call('figures');
  progress(`${users} users are here; ${values.seconds} s`);
  const used = measure(hub);
  await sleep(1000 * values.seconds);
  const cost = used();
  const rssBytes = hub.rssBytes();
  await people.call('rest');
  // The last changes are still on their way.
  await sleep(LAST_WORDS_MS);
  const { beats, expected, delivered, delays, falseOffline, worstLateMs, lost } = await people.call('figures');
  const times = fromCounts(delays);
  const row: Row = {
    friends,
    'cpu %': cost.cpuPercent,
    'heartbeats/s': round((1000 * beats) / (cost.ms + LAST_WORDS_MS), 0),
    'kB a user': round((rssBytes - rssBytesBefore) / BYTES_A_KB / users),
    'rss MB': cost.rssMb,
    deliveries: delivered,
    'p50 ms': round(times.percentile(0.5)),
    'p95 ms': round(times.percentile(0.95)),
    'p99 ms': round(times.percentile(0.99)),
    'max ms': round(times.maxMs),
    'generator late ms': round(worstLateMs, 0),
  };
  const failures = [
    ...(delivered < expected ? [`${expected - delivered} of ${expected} deliveries did not come`] : []),
    ...(falseOffline > 0 ? [`${falseOffline} times a user who sends heartbeats was reported offline`] : []),
    ...(lost.length > 0 ? [`${lost.length} connections were lost: ${lost[0] ?? ''}`] : []),
  ];
  return { row, failures };
}

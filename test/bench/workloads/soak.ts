/**
 * The soak: churn for a long time. When everybody has left, sessions, connections and memory must be where they were after
 * a warm-up of the same kind; and no user may be reported offline while its client sends heartbeats.
 */
import { labelled, readMetrics, sumOf, type Metrics } from '../lib/hub-http.ts';
import { sleep, until } from '../lib/pacing.ts';
import { megabytes } from '../lib/proc.ts';
import { printTable, progress, round, type Outcome, type Row } from '../lib/report.ts';
import { startRole, type Role } from '../lib/roles.ts';
import { measure, type Server } from '../lib/server.ts';
import { workload, type Stage } from '../lib/stage.ts';
import type { ChurnCommands, ChurnFigures } from '../roles/churn.ts';

const knobs = {
  minutes: { fallback: 30, help: 'length of the churn, without its warm-up' },
  'warm-seconds': { fallback: 120, help: 'length of the warm-up; what is then left is what the end is held to' },
  'every-s': { fallback: 60, help: 'seconds between two lines of figures' },
  population: { fallback: 1000, help: 'users who are here on the average' },
  deeds: { fallback: 100, help: 'deeds a second: come, change, reload, watch, edit friends, go' },
  silent: { fallback: 4, help: 'of about a hundred deeds, this many are users falling silent, whose leases end' },
  'timeout-ms': { fallback: 25_000, help: 'the hub’s WebSocket timeout, which is also the grace after a stall' },
  'quiet-seconds': { fallback: 20, help: 'rest before memory is judged' },
  'margin-mb': { fallback: 24, help: 'RSS at the end over that after the warm-up: more is a failure' },
  seed: { fallback: 1, help: 'who does what and when' },
};
type Values = Readonly<Record<keyof typeof knobs, number>>;

export const soak = workload({
  name: 'soak',
  about: 'a long churn: nothing false is reported, and all resources are released',
  knobs,
  run,
});

const EMPTY_WITHIN_MS = 60_000;
const adapters = ['ws-json', 'tcp-xml', 'http', 'poll'] as const;
/** Metrics that a hub may show of itself besides. */
const optional: Readonly<Record<string, readonly [name: string, factor: number]>> = {
  'heap MB': ['nodejs_heap_size_used_bytes', 1 / 1_048_576],
  'hub heap MB': ['presence_hub_heap_used_bytes', 1 / 1_048_576],
  'loop p99 ms': ['nodejs_eventloop_lag_p99_seconds', 1000],
  'hub loop ms': ['presence_hub_loop_delay_max_seconds', 1000],
};

async function run(stage: Stage, values: Values): Promise<Outcome> {
  const hub = await stage.startHub({
    HUB_MAX_WATCHES: '100000',
    HUB_TIMEOUT_MS: String(values['timeout-ms']),
    HUB_HEARTBEAT_MS: String(Math.floor(values['timeout-ms'] / 2.5)),
  });
  const churn = startRole<ChurnCommands>(new URL('../roles/churn.js', import.meta.url));
  const { population, deeds: deedsPerS, silent, seed } = values;
  await churn.call('open', { port: hub.port, tcpPort: hub.tcpPort, population, silent, seed });
  const failures: string[] = [];
  const rows: Row[] = [];

  await churn.call('churn', { population, deedsPerS });
  await sleep(1000 * values['warm-seconds']);
  if (!(await churn.call('empty'))) failures.push('after the warm-up not all who left were reported offline');
  const before = await rest(hub, values, 1);
  rows.push({ minute: 'empty', ...before });
  progress(`after a warm-up of ${values['warm-seconds']} s: ${JSON.stringify(before)}`);

  await churn.call('churn', { population, deedsPerS });
  rows.push(...(await lines(hub, churn, values)));
  if (!(await churn.call('empty'))) failures.push('at the end not all who left were reported offline');
  await churn.call('leave');
  const after = await rest(hub, values, 0);
  rows.push({ minute: 'empty', ...after });
  printTable(rows);
  const figures = await churn.call('figures');
  failures.push(...judge(figures), ...judgeReturn(before, after, values));
  const ended = hub.ended();
  if (ended !== null) failures.push(`the hub ended: ${ended}`);
  for (const line of hub.errors) failures.push(`the hub logged an error: ${line}`);
  const { offlineReports, worstLateMs } = figures;
  progress(`${offlineReports} users left and were reported; deeds: ${JSON.stringify(figures.deeds)}`);
  await hub.stop();
  return {
    failures,
    figures: { before, after, offlineReports, deeds: figures.deeds, worstLateMs: round(worstLateMs), rows },
  };
}

async function lines(hub: Server, churn: Role<ChurnCommands>, values: Values): Promise<Row[]> {
  const rows: Row[] = [];
  const endAt = performance.now() + values.minutes * 60_000;
  while (performance.now() < endAt) {
    const used = measure(hub);
    await sleep(Math.min(1000 * values['every-s'], endAt - performance.now()));
    if (hub.ended() !== null) return rows;
    const { here, falseOffline, offlineReports } = await churn.call('figures');
    const cost = used();
    const minute = round(values.minutes - (endAt - performance.now()) / 60_000, 1);
    const row = {
      minute,
      here,
      'left and reported': offlineReports,
      'reported falsely': falseOffline.length,
      ...(await figuresOf(hub)),
    };
    rows.push({ ...row, 'cpu %': cost.cpuPercent });
    progress(JSON.stringify(rows.at(-1)));
  }
  return rows;
}

/** What is left when everybody has gone; a quiet time lets the hub collect its garbage. */
async function rest(hub: Server, values: Values, connections: number): Promise<Row> {
  await until(async () => {
    const metrics = await readMetrics(hub.port);
    return sumOf(metrics, 'presence_hub_sessions') === 0 && openConnections(metrics) <= connections;
  }, EMPTY_WITHIN_MS);
  await sleep(1000 * values['quiet-seconds']);
  return figuresOf(hub);
}

async function figuresOf(hub: Server): Promise<Row> {
  const metrics = await readMetrics(hub.port);
  const sessions = adapters.map((adapter) => [adapter, labelled(metrics, 'presence_hub_sessions', adapter)]);
  const shown = Object.entries(optional).flatMap(([label, [name, factor]]) => {
    const value = metrics.get(name);
    return value === undefined ? [] : [[label, round(value * factor)]];
  });
  return {
    ...(Object.fromEntries(sessions) as Row),
    connections: openConnections(metrics),
    'rss MB': megabytes(hub.rssBytes()),
    ...(Object.fromEntries(shown) as Row),
  };
}

/** Without those of HTTP: the question itself would be one. */
function openConnections(metrics: Metrics): number {
  return sumOf(metrics, 'presence_hub_connections') - labelled(metrics, 'presence_hub_connections', 'http');
}

function judge({ falseOffline, neverReported, reportedTwice, lost }: ChurnFigures): string[] {
  return [
    ...falseOffline.map((who) => `reported offline while it sent heartbeats: ${who}`),
    ...neverReported.map((who) => `left and never reported: ${who}`),
    ...(reportedTwice > 0 ? [`${reportedTwice} times a user was reported offline twice`] : []),
    ...lost.map((who) => `lost its connection: ${who}`),
  ];
}

function judgeReturn(before: Row, after: Row, values: Values): string[] {
  const problems: string[] = [];
  for (const name of adapters)
    if (after[name] !== 0) problems.push(`${String(after[name])} sessions of ${name} are left`);
  if (after['connections'] !== 0) problems.push(`${String(after['connections'])} connections are left`);
  const grownMb = Number(after['rss MB']) - Number(before['rss MB']);
  if (grownMb > values['margin-mb'])
    problems.push(`memory has grown by ${round(grownMb, 1)} MB (margin ${values['margin-mb']})`);
  return problems;
}

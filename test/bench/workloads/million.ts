/**
 * A million sessions behind few gateway connections, a heartbeat of each once a period, many distinct users a write. Then
 * some fall silent: each lapse must be reported in time, and no user who sends heartbeats offline. With --all, all of them fall
 * silent at once (their connections stay), with the doubt about mass lapses switched off, to see how long the telling takes.
 * Beside it a bare Node server that only writes down each sign of life takes the same heartbeats.
 */
import { compareServers, type RunResult } from '../lib/comparison.ts';
import { fromCounts, type Counts } from '../lib/histogram.ts';
import { labelled, readMetrics } from '../lib/hub-http.ts';
import type { LapseFigures } from '../lib/lapses.ts';
import { disturbanceOf, remarksOf } from '../lib/load-remarks.ts';
import { sleep, until } from '../lib/pacing.ts';
import { progress, type Outcome } from '../lib/report.ts';
import { startRole, type Role } from '../lib/roles.ts';
import { measure, type Server } from '../lib/server.ts';
import { workload, type Stage } from '../lib/stage.ts';
import type { GatewaysCommands, GatewaysFigures } from '../roles/gateways.ts';

const knobs = {
  sessions: { fallback: 1_000_000, least: 1, help: 'users' },
  gateways: { fallback: 100, least: 1, help: 'TCP connections that they share' },
  batch: { fallback: 16, least: 1, help: 'frames a write, each of another user' },
  'every-seconds': { fallback: 20, least: 1, help: 'between two heartbeats of a user' },
  'timeout-ms': { fallback: 50_000, least: 1, help: 'the hub’s TCP timeout' },
  seconds: { fallback: 20, least: 1, help: 'length of the window' },
  'silent-percent': { fallback: 1, help: 'users who then fall silent' },
  sample: { fallback: 10_000, help: 'number of the others that are watched for false reports' },
  all: {
    fallback: 0,
    help: 'more than 0: at the end all fall silent, their last heartbeats within this many seconds (5: at once)',
  },
  rounds: { fallback: 1, least: 1, help: 'rounds; one takes about three minutes' },
};
type Values = Readonly<Record<keyof typeof knobs, number>>;

export const million = workload({
  name: 'million',
  about: 'a million sessions behind gateways: CPU of a heartbeat, memory of a session, how late a lapse is reported',
  knobs,
  run,
});

const COST = 'µs a heartbeat';
/** The one reference that takes distinct users in turn; it reports no lapse. */
const WHEEL = 'tcp-node:wheel';
const SETTLE_MS = 2000;
/** Lapses that do not come by then will not come. */
const REPORTED_WITHIN_MS = 15_000;
const ALL_TOLD_WITHIN_MS = 120_000;
const BYTES_A_KB = 1024;

function run(stage: Stage, values: Values): Promise<Outcome> {
  return compareServers(stage, {
    references: [WHEEL],
    rounds: values.rounds,
    mainFigure: COST,
    goals: [
      { against: WHEEL, atMost: 2 },
      { figure: 'kB a session', atMost: 1 },
      { figure: 'late max ms', atMost: 250 },
      { figure: 'false offline', atMost: 0 },
    ],
    hub: {
      HUB_TCP_TIMEOUT_MS: String(values['timeout-ms']),
      HUB_MAX_SESSIONS_TOTAL: String(Math.max(1_000_000, values.sessions)),
      HUB_MAX_PER_CONNECTION: String(Math.max(20_000, Math.ceil(values.sessions / values.gateways))),
      ...(values.all > 0 ? { HUB_DOUBT_MS: '0' } : {}),
    },
    run: (server, { name }) => (name === WHEEL ? runReference(server, values) : runOnce(server, values)),
  });
}

async function runOnce(server: Server, values: Values): Promise<RunResult> {
  const gateways = startRole<GatewaysCommands>(new URL('../roles/gateways.js', import.meta.url));
  try {
    const begun = await begin(server, gateways, values);
    const used = measure(server);
    await sleep(1000 * values.seconds);
    const cost = used();
    const steady = await gateways.call('figures');
    const rssBytes = server.rssBytes();
    const doomed = await silenceSome(gateways, values);
    const all = values.all > 0 ? await silenceAll(server, gateways, values) : undefined;
    const { lost } = await gateways.call('figures');
    return {
      figures: {
        ...costFigures(cost, steady),
        'kB a session': (rssBytes - begun.rssBytesBefore) / BYTES_A_KB / begun.sessions,
        'µs a new session': begun.costUs,
        ...pingFigures('ping', steady.pings),
        ...lapseFigures('', doomed.lapses),
        ...pingFigures('ping at lapses', doomed.pings),
        ...(all?.figures ?? {}),
        'generator busy %': steady.busyPercent,
      },
      // No reason to repeat a run of minutes: the generator needs little of its core here, and reports if it was late.
      remarks: [...remarksOf(steady, cost), disturbanceOf(steady)].filter((remark) => remark !== undefined),
      failures: [
        ...failuresOf('', doomed.lapses),
        ...(all?.failures ?? []),
        ...(lost.length > 0 ? [`${lost.length} connections were lost: ${lost[0] ?? ''}`] : []),
      ],
    };
  } finally {
    gateways.stop();
  }
}

/** The heartbeats alone, because a reference has no watchers. */
async function runReference(server: Server, values: Values): Promise<RunResult> {
  const gateways = startRole<GatewaysCommands>(new URL('../roles/gateways.js', import.meta.url));
  try {
    const { costUs } = await beginAll(server, gateways, values);
    await sleep(SETTLE_MS);
    await gateways.call('figures');
    const used = measure(server);
    await sleep(1000 * values.seconds);
    const cost = used();
    const steady = await gateways.call('figures');
    return {
      figures: { ...costFigures(cost, steady), 'µs a new session': costUs, 'generator busy %': steady.busyPercent },
      remarks: [...remarksOf(steady, cost), disturbanceOf(steady)].filter((remark) => remark !== undefined),
    };
  } finally {
    gateways.stop();
  }
}

function costFigures(cost: ReturnType<ReturnType<typeof measure>>, { ms, beats }: GatewaysFigures) {
  return {
    [COST]: (1000 * (cost.cpuMs / cost.ms) * ms) / beats,
    'heartbeats/s': Math.round((1000 * beats) / ms),
    'cpu %': cost.cpuPercent,
  };
}

/** All begin; then the observers come. */
async function begin(server: Server, gateways: Role<GatewaysCommands>, values: Values) {
  const begun = await beginAll(server, gateways, values);
  progress(
    `${begun.sessions} sessions have begun; those who will fall silent and ${values.sample} others are now watched`,
  );
  await gateways.call('watch');
  await sleep(SETTLE_MS);
  await gateways.call('figures');
  return begun;
}

/** The first period, in which every session begins. */
async function beginAll(server: Server, gateways: Role<GatewaysCommands>, values: Values) {
  const everyMs = 1000 * values['every-seconds'];
  const { port, tcpPort } = server;
  const sessions = await gateways.call('prepare', {
    port,
    tcpPort,
    sessions: values.sessions,
    gateways: values.gateways,
    batch: values.batch,
    timeoutMs: values['timeout-ms'],
    doomed: doomedOf(values),
    sample: values.sample,
  });
  const rssBytesBefore = server.rssBytes();
  const used = measure(server);
  await gateways.call('beat', everyMs);
  await sleep(everyMs);
  return { sessions, rssBytesBefore, costUs: (1000 * used().cpuMs) / sessions };
}

function doomedOf(values: Values): number {
  return Math.round((values.sessions * values['silent-percent']) / 100);
}

async function silenceSome(gateways: Role<GatewaysCommands>, values: Values): Promise<GatewaysFigures> {
  await gateways.call('silenceSome');
  progress(`${doomedOf(values)} fall silent, the others go on`);
  await until(() => gateways.call('areAllReported'), values['timeout-ms'] + REPORTED_WITHIN_MS, 250);
  return gateways.call('figures');
}

/** Gateways stay connected, so only leases end the sessions. */
async function silenceAll(server: Server, gateways: Role<GatewaysCommands>, values: Values) {
  await gateways.call('beat', 1000 * values.all);
  await sleep(1000 * values.all);
  await gateways.call('silenceAll');
  const silentAtMs = performance.now();
  progress(`all fall silent, their last heartbeats within ${values.all} s`);
  // Asked just before the first is due: a scrape in between would be part of what is measured.
  await sleep(Math.max(0, values['timeout-ms'] - 1000 * values.all - 1000));
  await gateways.call('figures');
  const used = measure(server);
  const sessionsLeft = async (): Promise<number> =>
    labelled(await readMetrics(server.port), 'presence_hub_sessions', 'tcp-xml');
  await until(async () => (await sessionsLeft()) === 0, ALL_TOLD_WITHIN_MS, 250);
  const endedMs = performance.now() - silentAtMs - values['timeout-ms'];
  const { cpuMs } = used();
  await until(() => gateways.call('areAllReported'), REPORTED_WITHIN_MS, 250);
  const left = await sessionsLeft();
  const { lapses, pings } = await gateways.call('figures');
  return {
    figures: {
      'all: cpu ms': cpuMs,
      'all: first due to last reported ms': lapses.spanMs,
      'all: ended after the last due ms': endedMs,
      ...lapseFigures('all: ', lapses),
      ...pingFigures('all: ping', pings),
    },
    failures: [...failuresOf('all: ', lapses), ...(left > 0 ? [`all: ${left} sessions are left`] : [])],
  };
}

function lapseFigures(prefix: string, { late, falseOffline }: LapseFigures): Record<string, number> {
  const times = fromCounts(late);
  return {
    [`${prefix}late p50 ms`]: times.percentile(0.5),
    [`${prefix}late p99 ms`]: times.percentile(0.99),
    [`${prefix}late max ms`]: times.maxMs,
    [`${prefix}false offline`]: falseOffline,
  };
}

function pingFigures(name: string, counts: Counts): Record<string, number> {
  const times = fromCounts(counts);
  return { [`${name} p99 ms`]: times.percentile(0.99), [`${name} max ms`]: times.maxMs };
}

function failuresOf(prefix: string, { due, reported, early, earliestMs, falseOffline }: LapseFigures): string[] {
  return [
    ...(reported < due ? [`${prefix}${due - reported} of ${due} lapses were not reported`] : []),
    ...(early > 0 ? [`${prefix}${early} were reported too early, the worst ${-earliestMs} ms`] : []),
    ...(falseOffline > 0 ? [`${prefix}${falseOffline} were reported offline while they sent heartbeats`] : []),
  ];
}

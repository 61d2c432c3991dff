/**
 * Many changes a second while the receiver of a webhook rule is down: the hub's memory must stay flat, and watchers must
 * not feel it. Each round has a stretch without a rule, one whose receiver refuses connections, and one whose receiver
 * never answers, each round in another order. The users, the watchers and the hub are the same in all of them.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ANSWERED_WITHIN_MS, DeadReceiver, receiverStates, type ReceiverState } from '../lib/dead-receiver.ts';
import { fromCounts, median } from '../lib/histogram.ts';
import { readMetrics, type Metrics } from '../lib/hub-http.ts';
import { disturbanceOf, remarksOf } from '../lib/load-remarks.ts';
import { sleep } from '../lib/pacing.ts';
import { megabytes } from '../lib/proc.ts';
import { printTable, progress, round, say, type Outcome, type Row } from '../lib/report.ts';
import { startRole, type Role } from '../lib/roles.ts';
import { measure, type Server } from '../lib/server.ts';
import { workload, type Stage } from '../lib/stage.ts';
import type { AudienceCommands } from '../roles/audience.ts';

const knobs = {
  rate: { fallback: 10_000, least: 1, help: 'changes of status a second' },
  publishers: { fallback: 10_000, least: 1, help: 'users who change; at most this many events wait' },
  watchers: { fallback: 100, least: 1, help: 'watchers' },
  friends: { fallback: 100, least: 1, help: 'publishers that each of them watches' },
  'warm-seconds': { fallback: 5, help: 'load before each stretch is measured' },
  seconds: { fallback: 30, least: 1, help: 'length of a stretch' },
  rounds: { fallback: 3, least: 1, help: 'rounds of three stretches' },
  'max-ratio': { fallback: 1.2, help: 'p99 with the receiver down by that without a rule: more is a failure' },
  'max-growth-mb': { fallback: 24, help: 'RSS of the last third of a stretch over the first: more is a failure' },
};
type Values = Readonly<Record<keyof typeof knobs, number>>;

export const webhooks = workload({
  name: 'webhooks',
  about: 'the receiver of webhooks is down: memory is flat, watchers do not feel it',
  knobs,
  run,
});

interface Play {
  readonly hub: Server;
  readonly audience: Role<AudienceCommands>;
  readonly receiver: DeadReceiver;
  readonly failures: string[];
  readonly values: Values;
}

interface Stretch {
  readonly state: ReceiverState;
  readonly p99Ms: number;
  readonly rssMb: readonly number[];
  readonly queued: readonly number[];
  readonly row: Row;
  /** Whether the load or the hub had less than its core, or the rate was not reached. */
  readonly isDisturbed: boolean;
}

/** How often the queue is read, in every stretch alike. */
const LOOK_EVERY_S = 5;
const LAG = 'presence_hub_event_loop_lag_seconds_bucket';

async function run(stage: Stage, values: Values): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'presence-hub-webhooks-'));
  const file = join(folder, 'rules.json');
  const receiver = await DeadReceiver.open(file);
  try {
    const hub = await stage.startHub({ HUB_WEBHOOKS: file, HUB_TIMEOUT_MS: '3600000', HUB_MESSAGES_PER_S: '100000' });
    const audience = startRole<AudienceCommands>(new URL('../roles/audience.js', import.meta.url));
    const play: Play = { hub, audience, receiver, failures: [], values };
    const { publishers, watchers, friends } = values;
    await audience.call('open', { port: hub.port, wire: 'json', publishers, watchers, friends, isByFriends: false });
    progress(`${publishers} users who change, ${watchers} watchers of ${friends} each`);
    const stretches: Stretch[] = [];
    for (let no = 0; no < values.rounds; no += 1) {
      for (const nth of receiverStates.keys()) {
        const state = receiverStates[(nth + no) % receiverStates.length] ?? 'none';
        stretches.push(await stretch(play, no + 1, state));
      }
    }
    const figures = judge(play, stretches);
    if (hub.ended() !== null) play.failures.push(`the hub ended: ${hub.ended() ?? ''}`);
    for (const line of hub.errors) play.failures.push(`the hub logged an error: ${line}`);
    audience.stop();
    await hub.stop();
    return { failures: play.failures, figures };
  } finally {
    receiver.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function stretch({ hub, audience, receiver, failures, values }: Play, no: number, state: ReceiverState) {
  await receiver.use(state, hub.port);
  await audience.call('publish', values.rate);
  await sleep(1000 * values['warm-seconds']);
  const before = await readMetrics(hub.port, ANSWERED_WITHIN_MS);
  await audience.call('figures');
  const used = measure(hub);
  const { rssMb, queued } = await watch(hub, receiver, values.seconds);
  const cost = used();
  const figures = await audience.call('figures');
  const after = await readMetrics(hub.port, ANSWERED_WITHIN_MS);
  const wrong = await audience.call('rest');
  const delays = fromCounts(figures.delays);
  const name = `round ${no}, ${state}`;
  if (wrong > 0) failures.push(`${name}: ${wrong} last words are wrong`);
  if (figures.lost.length > 0) failures.push(`${name}: ${figures.lost.length} connections were lost`);
  const disturbed = disturbanceOf(figures);
  const remarks = [...remarksOf(figures, cost), ...(disturbed === undefined ? [] : [disturbed])];
  for (const remark of remarks) say(`    ${name}: ${remark}`);
  const row: Row = {
    round: no,
    receiver: state,
    'changes/s': round((1000 * figures.sent) / figures.ms, 0),
    'deliveries/s': round((1000 * figures.delivered) / figures.ms, 0),
    'p50 ms': round(delays.percentile(0.5)),
    'p99 ms': round(delays.percentile(0.99)),
    'max ms': round(delays.maxMs, 0),
    'loop lag p99 ms': lagMs(before, after, 0.99),
    'lag max ms': lagMs(before, after, 1),
    'cpu %': cost.cpuPercent,
    'µs a change': round((1000 * (cost.cpuMs / cost.ms) * figures.ms) / figures.sent, 1),
    'rss MB from': rssMb[0] ?? null,
    to: rssMb.at(-1) ?? null,
    queued: queued.at(-1) ?? null,
    replaced: replacedIn(after) - replacedIn(before),
  };
  progress(`${name}: p99 ${row['p99 ms']} ms, ${row['changes/s']} changes/s, ${row['cpu %']} % CPU, ${row['to']} MB`);
  return { state, p99Ms: delays.percentile(0.99), rssMb, queued, row, isDisturbed: remarks.length > 0 };
}

/** Events that were replaced by later ones of their users. */
function replacedIn(metrics: Metrics): number {
  return metrics.get('presence_hub_webhook_events_total{rule="bench",result="replaced"}') ?? 0;
}

async function watch(hub: Server, receiver: DeadReceiver, seconds: number) {
  const rssMb: number[] = [];
  const queued: number[] = [];
  const fromMs = performance.now();
  for (let second = 1; second <= seconds; second += 1) {
    await sleep(Math.max(0, fromMs + 1000 * second - performance.now()));
    rssMb.push(megabytes(hub.rssBytes()));
    if (second % LOOK_EVERY_S === 0 || second === seconds) {
      queued.push((await receiver.stateOf(hub.port))?.queued ?? 0);
    }
  }
  return { rssMb, queued };
}

/** The upper bound of the bucket that `share` of the delays of the event loop do not exceed. */
function lagMs(before: Metrics, after: Metrics, share: number): number {
  const bounds = [...after.keys()].filter((key) => key.startsWith(LAG));
  const grown = (key: string): number => (after.get(key) ?? 0) - (before.get(key) ?? 0);
  const total = Math.max(...bounds.map(grown));
  const bound = bounds.find((key) => grown(key) >= total * share);
  return 1000 * Number(/le="([^"]+)"/.exec(bound ?? '')?.[1]?.replace('+Inf', 'Infinity'));
}

function judge({ failures, values }: Play, stretches: readonly Stretch[]) {
  printTable(stretches.map(({ row }) => row));
  const p99Of = (state: ReceiverState): number[] =>
    stretches.filter((one) => one.state === state).map(({ p99Ms }) => round(p99Ms));
  const without = p99Of('none');
  progress(`p99 without a rule: ${without.join(', ')} ms`);
  const ratios: Record<string, number> = {};
  const isJudged = !stretches.some(({ isDisturbed }) => isDisturbed);
  if (!isJudged) progress('not judged: the ratios below are of stretches that were disturbed');
  for (const state of ['refuses', 'hangs'] as const) {
    const ratio = round(median(p99Of(state)) / median(without));
    ratios[state] = ratio;
    progress(`p99 with a receiver that ${state}: ${p99Of(state).join(', ')} ms; ${ratio} times that without (medians)`);
    if (isJudged && ratio > values['max-ratio'])
      failures.push(`p99 with a receiver that ${state} is ${ratio} times that without`);
  }
  for (const { state, rssMb, row } of stretches) {
    const third = Math.max(1, Math.floor(rssMb.length / 3));
    const growthMb = round(median(rssMb.slice(-third)) - median(rssMb.slice(0, third)), 1);
    if (growthMb > values['max-growth-mb']) {
      failures.push(`round ${row['round'] ?? ''}, ${state}: memory grew by ${growthMb} MB`);
    }
  }
  return {
    ratios,
    isJudged,
    stretches: stretches.map(({ row, rssMb, queued }) => ({
      ...row,
      rssMbEach5s: rssMb.filter((_, index) => (index + 1) % LOOK_EVERY_S === 0),
      queuedEach5s: queued,
    })),
  };
}

/**
 * Fan-out: publishers change their status and text at an even rate, and each change goes to all who watch them. What
 * counts is the server's CPU for a delivery (an entry at a watcher), the delay from send to receive, and that the last
 * word is right at every watcher, with nothing older after anything newer.
 */
import { putEdges } from '../lib/connecting-run.ts';
import { compareServers, type RunResult } from '../lib/comparison.ts';
import { fromCounts } from '../lib/histogram.ts';
import { disturbanceOf, remarksOf } from '../lib/load-remarks.ts';
import { sleep } from '../lib/pacing.ts';
import type { Outcome } from '../lib/report.ts';
import { startRole } from '../lib/roles.ts';
import { measure, type Candidate, type Server } from '../lib/server.ts';
import { workload, type Stage } from '../lib/stage.ts';
import { HUB, type Goal } from '../lib/comparison-results.ts';
import type { AudienceCommands, AudienceFigures } from '../roles/audience.ts';

const knobs = {
  watchers: { fallback: 1000, least: 1, help: 'watchers' },
  friends: { fallback: 50, least: 1, help: 'publishers that each of them watches' },
  publishers: { fallback: 1000, least: 1, help: 'users who change' },
  rate: {
    fallback: 50_000,
    least: 1,
    help: 'deliveries a second, all watchers together; 150000 is the other figure of the design',
  },
  ids: { fallback: 0, help: '1: the hub’s watchers watch by ids instead of by their friend list' },
  'warm-seconds': { fallback: 2, help: 'load before the window' },
  seconds: { fallback: 4, least: 1, help: 'length of the window' },
  rounds: { fallback: 5, least: 1, help: 'rounds, each with one run of every server' },
};
type Values = Readonly<Record<keyof typeof knobs, number>>;

export const fanout = workload({
  name: 'fanout',
  about: 'changes go to all who watch: CPU of a delivery, delay, the last word right',
  knobs,
  run,
});

const COST = 'µs a delivery';
const COST_EXPECTED = 'µs one asked for';
const P99 = 'p99 ms';
/** From this rate on, waiting for more is cheaper than sending at once, so the reference that waits is the measure. */
const HEAVY_RATE = 100_000;

function run(stage: Stage, values: Values): Promise<Outcome> {
  return compareServers(stage, {
    references: ['uws:topics', 'uws:ticks', 'ws', 'socketio'],
    rounds: values.rounds,
    mainFigure: COST,
    goals: values.rate < HEAVY_RATE ? goals('uws:topics', 1.1, 10) : goals('uws:ticks', 1.15, 25),
    run: (server, candidate) => runOnce(server, candidate, values),
  });
}

function goals(against: string, atMost: number, p99Ms: number): Goal[] {
  return [
    { against, atMost },
    { against, figure: COST_EXPECTED, atMost },
    { figure: P99, atMost: p99Ms },
  ];
}

async function runOnce(server: Server, candidate: Candidate, values: Values): Promise<RunResult> {
  const { watchers, friends, publishers } = values;
  const isByFriends = candidate.name === HUB && values.ids === 0;
  if (isByFriends) await putEdges(server.port, { clients: watchers, users: publishers, friends });
  const audience = startRole<AudienceCommands>(new URL('../roles/audience.js', import.meta.url));
  try {
    const { wire } = candidate;
    await audience.call('open', { port: server.port, wire, publishers, watchers, friends, isByFriends });
    await sleep(500);
    await audience.call('publish', values.rate / ((watchers * friends) / publishers));
    await sleep(1000 * values['warm-seconds']);
    await audience.call('figures');
    const used = measure(server);
    await sleep(1000 * values.seconds);
    const cost = used();
    const figures = await audience.call('figures');
    const wrongFinals = await audience.call('rest');
    return {
      figures: figuresOf(figures, cost.cpuMs / cost.ms, cost.rssMb),
      remarks: remarksOf(figures, cost),
      failures: failuresOf(figures, wrongFinals),
      disturbed: disturbanceOf(figures),
    };
  } finally {
    audience.stop();
  }
}

function figuresOf(figures: AudienceFigures, coreShare: number, rssMb: number): Record<string, number> {
  const { ms, delivered, expected, merged, frames, bytes, busyPercent } = figures;
  const delays = fromCounts(figures.delays);
  return {
    // By the shares of time, since the server's window and the role's differ by the way of a call.
    [COST]: (1000 * coreShare * ms) / delivered,
    [COST_EXPECTED]: (1000 * coreShare * ms) / expected,
    'p50 ms': delays.percentile(0.5),
    [P99]: delays.percentile(0.99),
    'deliveries/s': Math.round((1000 * delivered) / ms),
    'merged %': (100 * merged) / expected,
    'entries a frame': delivered / frames,
    'bytes an entry': Math.round(bytes / delivered),
    'rss MB': rssMb,
    'generator busy %': busyPercent,
  };
}

function failuresOf({ stale, strange, resyncs, lost }: AudienceFigures, wrongFinals: number): string[] {
  return [
    ...(wrongFinals > 0 ? [`${wrongFinals} last words are wrong`] : []),
    ...(stale > 0 ? [`${stale} times an older change came after a newer one`] : []),
    ...(strange > 0 ? [`${strange} entries came to somebody who does not watch them`] : []),
    ...(resyncs > 0 ? [`${resyncs} messages that were no changes came to watchers`] : []),
    ...(lost.length > 0 ? [`${lost.length} connections were lost: ${lost[0] ?? ''}`] : []),
  ];
}

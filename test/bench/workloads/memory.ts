/**
 * What an idle session weighs: clients connect, watch and do nothing, and the server's memory is read before, half-way and
 * at the end. A young process grows on its own at first, which the second half alone shows less of. RSS holds no kernel buffers.
 */
import { compareServers, type RunResult } from '../lib/comparison.ts';
import { sleep } from '../lib/pacing.ts';
import type { Outcome } from '../lib/report.ts';
import type { Candidate, Server } from '../lib/server.ts';
import { workload, type Stage } from '../lib/stage.ts';
import { crowdKnobs, startConnectingClients } from '../lib/connecting-run.ts';

const knobs = {
  ...crowdKnobs,
  'settle-seconds': { fallback: 8, help: 'rest before memory is read' },
  rounds: { fallback: 3, least: 1, help: 'rounds, each with one run of every server' },
};
type Values = Readonly<Record<keyof typeof knobs, number>>;

export const memory = workload({
  name: 'memory',
  about: 'clients connect, watch and idle: memory of a connection',
  knobs,
  run,
});

const WEIGHT = 'kB a connection';
const AT_ONCE = 256;
const MB = 1_048_576;

function run(stage: Stage, values: Values): Promise<Outcome> {
  return compareServers(stage, {
    references: ['uws:ticks', 'uws:topics', 'ws', 'socketio'],
    rounds: values.rounds,
    mainFigure: WEIGHT,
    goals: [{ against: 'uws:ticks', atMost: 0.9 }],
    run: (server, candidate) => runOnce(server, candidate, values),
  });
}

async function runOnce(server: Server, candidate: Candidate, values: Values): Promise<RunResult> {
  const { clients } = values;
  const connectingClients = await startConnectingClients(server, candidate, values);
  try {
    const before = server.rssBytes();
    const firstHalf = Math.ceil(clients / 2);
    await connectingClients.call('connect', { count: firstHalf, atOnce: AT_ONCE });
    await sleep(1000 * values['settle-seconds']);
    const half = server.rssBytes();
    const { lost } = await connectingClients.call('connect', { count: clients - firstHalf, atOnce: AT_ONCE });
    await sleep(1000 * values['settle-seconds']);
    const all = server.rssBytes();
    return {
      figures: {
        [WEIGHT]: (all - before) / 1024 / clients,
        'of the second half': (all - half) / 1024 / (clients - firstHalf),
        'rss MB before': before / MB,
        'rss MB': all / MB,
      },
      failures: lost.length > 0 ? [`${lost.length} clients were lost: ${lost[0] ?? ''}`] : [],
    };
  } finally {
    connectingClients.stop();
  }
}

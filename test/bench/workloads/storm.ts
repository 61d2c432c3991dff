/**
 * A storm: many clients connect, send hello, watch and get their snapshot, a given number at once. What counts is the server's CPU
 * for a client. Nobody watches the clients, so no change is reported, and the work is the same for all servers.
 */
import { compareServers, type RunResult } from '../lib/comparison.ts';
import { fromCounts } from '../lib/histogram.ts';
import type { Outcome } from '../lib/report.ts';
import { measure, type Candidate, type Server } from '../lib/server.ts';
import { workload, type Stage } from '../lib/stage.ts';
import { crowdKnobs, startConnectingClients } from '../lib/connecting-run.ts';

const knobs = {
  ...crowdKnobs,
  'in-flight': { fallback: 256, least: 1, help: 'clients that are on their way at once' },
  rounds: { fallback: 5, least: 1, help: 'rounds, each with one run of every server' },
};
type Values = Readonly<Record<keyof typeof knobs, number>>;

export const storm = workload({
  name: 'storm',
  about: 'many clients connect, say hello, watch and have their snapshot: CPU of a client',
  knobs,
  run,
});

const COST = 'µs a client';
/** Of a core. A server that is not driven to its own ceiling wakes up more often for the same work. */
const CEILING_PERCENT = 85;

function run(stage: Stage, values: Values): Promise<Outcome> {
  return compareServers(stage, {
    references: ['uws:ticks', 'uws:topics', 'ws', 'socketio'],
    rounds: values.rounds,
    mainFigure: COST,
    goals: [{ against: 'uws:ticks', atMost: 1.4 }],
    run: (server, candidate) => runOnce(server, candidate, values),
  });
}

async function runOnce(server: Server, candidate: Candidate, values: Values): Promise<RunResult> {
  const { clients } = values;
  const connectingClients = await startConnectingClients(server, candidate, values);
  try {
    const used = measure(server);
    const { delays, ms, cpuPercent, lost } = await connectingClients.call('connect', {
      count: clients,
      atOnce: values['in-flight'],
    });
    const cost = used();
    const times = fromCounts(delays);
    return {
      figures: {
        [COST]: (1000 * cost.cpuMs) / clients,
        'p50 ms': times.percentile(0.5),
        'p99 ms': times.percentile(0.99),
        'clients/s': Math.round((1000 * clients) / ms),
        'server cpu %': cost.cpuPercent,
        'generator cpu %': cpuPercent,
        'rss MB': cost.rssMb,
      },
      remarks: cpuPercent > CEILING_PERCENT ? ['the generator was near its ceiling, so clients came one by one'] : [],
      failures: lost.length > 0 ? [`${lost.length} clients were lost: ${lost[0] ?? ''}`] : [],
    };
  } finally {
    connectingClients.stop();
  }
}

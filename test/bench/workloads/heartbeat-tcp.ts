/**
 * Legacy heartbeats over TCP at an even rate, the hub and reference servers in turn. With `users-a-connection` the
 * connections are gateways of distinct users; with `idle` further sessions stand still, which must not cost.
 */
import { compareServers } from '../lib/comparison.ts';
import { hubsBeside, idleGoals, idleOf, PRICE, runHeartbeats } from '../lib/heartbeat-run.ts';
import type { Outcome } from '../lib/report.ts';
import { workload, type Stage } from '../lib/stage.ts';

const knobs = {
  connections: { fallback: 1000, least: 1, help: 'connections that send heartbeats' },
  rate: { fallback: 60_000, least: 1, help: 'heartbeats a second, all connections together' },
  'frames-a-write': { fallback: 1, least: 1, help: 'heartbeats in one write' },
  'users-a-connection': {
    fallback: 1,
    least: 1,
    help: 'distinct users who take turns: 1, or a multiple of frames-a-write',
  },
  idle: { fallback: 0, help: 'further sessions that stand still; the hub then runs without them, too' },
  'legacy-rate': {
    fallback: 5000,
    least: 1,
    help: 'the rate of the legacy server, if lower: it has a low ceiling',
  },
  warm: { fallback: 3, help: 'seconds before the window' },
  seconds: { fallback: 5, least: 1, help: 'length of the window' },
  rounds: { fallback: 5, least: 1, help: 'rounds, each server once in each' },
};
type Values = Readonly<Record<keyof typeof knobs, number>>;

export const heartbeatTcp = workload({
  name: 'heartbeat-tcp',
  about: 'legacy heartbeats over TCP: CPU each, beside bare Node and the legacy server',
  knobs,
  run,
});

async function run(stage: Stage, values: Values): Promise<Outcome> {
  const users = values['users-a-connection'];
  if (users !== 1 && users % values['frames-a-write'] !== 0)
    throw new Error('--users-a-connection: must be 1 or a multiple of --frames-a-write');
  return compareServers(stage, {
    references: ['tcp-node:memo', 'tcp-node:fxp', 'legacy'],
    hubsBeside: hubsBeside(values.idle),
    rounds: values.rounds,
    mainFigure: PRICE,
    // With more users on a connection, the reference's memory of one frame misses each time.
    goals: [
      ...(users === 1 && values['frames-a-write'] === 1 ? [{ against: 'tcp-node:memo', atMost: 1.15 }] : []),
      ...idleGoals(values.idle),
    ],
    run: (server, { name }) =>
      runHeartbeats(server, {
        port: server.tcpPort,
        wire: 'xml',
        connections: values.connections,
        usersAConnection: users,
        framesAWrite: values['frames-a-write'],
        idle: idleOf(name, values.idle),
        ratePerS: name === 'legacy' ? Math.min(values.rate, values['legacy-rate']) : values.rate,
        warmSeconds: values.warm,
        seconds: values.seconds,
      }),
  });
}

/** JSON heartbeats over WebSocket at an even rate, the hub and bare servers in turn. */
import { compareServers } from '../lib/comparison.ts';
import { hubsBeside, idleGoals, idleOf, PRICE, runHeartbeats } from '../lib/heartbeat-run.ts';
import type { Outcome } from '../lib/report.ts';
import { workload, type Stage } from '../lib/stage.ts';

const knobs = {
  connections: { fallback: 1000, least: 1, help: 'sessions that beat' },
  rate: { fallback: 60_000, least: 1, help: 'heartbeats a second, all sessions together' },
  idle: { fallback: 0, help: 'further sessions that stand still; the hub then runs without them, too' },
  warm: { fallback: 2, help: 'seconds before the window' },
  seconds: { fallback: 5, least: 1, help: 'length of the window' },
  rounds: { fallback: 5, least: 1, help: 'rounds, each server once in each' },
};
type Values = Readonly<Record<keyof typeof knobs, number>>;

export const heartbeatWs = workload({
  name: 'heartbeat-ws',
  about: 'JSON heartbeats over WebSocket: CPU each, beside bare uWebSockets.js, ws and Socket.IO',
  knobs,
  run,
});

function run(stage: Stage, values: Values): Promise<Outcome> {
  return compareServers(stage, {
    references: ['uws', 'ws', 'socketio'],
    hubsBeside: hubsBeside(values.idle),
    rounds: values.rounds,
    mainFigure: PRICE,
    goals: [{ against: 'uws', atMost: 1.15 }, ...idleGoals(values.idle)],
    run: (server, { name, wire }) =>
      runHeartbeats(server, {
        port: server.port,
        wire,
        connections: values.connections,
        usersAConnection: 1,
        framesAWrite: 1,
        idle: idleOf(name, values.idle),
        ratePerS: values.rate,
        warmSeconds: values.warm,
        seconds: values.seconds,
      }),
  });
}

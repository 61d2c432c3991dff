/** The workloads by name. A new one is a file in workloads/ and a line here. */
import type { Workload } from './lib/stage.ts';
import { clusterChurn } from './workloads/cluster-churn.ts';
import { clusterCosts } from './workloads/cluster-costs.ts';
import { crash } from './workloads/crash.ts';
import { fanout } from './workloads/fanout.ts';
import { freeze } from './workloads/freeze.ts';
import { heartbeatTcp } from './workloads/heartbeat-tcp.ts';
import { heartbeatWs } from './workloads/heartbeat-ws.ts';
import { hostile } from './workloads/hostile.ts';
import { memory } from './workloads/memory.ts';
import { million } from './workloads/million.ts';
import { model } from './workloads/model.ts';
import { reconnect } from './workloads/reconnect.ts';
import { slow } from './workloads/slow.ts';
import { soak } from './workloads/soak.ts';
import { steady } from './workloads/steady.ts';
import { storm } from './workloads/storm.ts';
import { webhooks } from './workloads/webhooks.ts';

export const workloads: readonly Workload[] = [
  heartbeatTcp,
  heartbeatWs,
  fanout,
  storm,
  memory,
  million,
  steady,
  reconnect,
  crash,
  freeze,
  slow,
  webhooks,
  hostile,
  soak,
  clusterCosts,
  model,
  clusterChurn,
];

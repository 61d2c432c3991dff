/** The workloads by name. A new one is a file in workloads/ and a line here. */
import type { Workload } from './lib/stage.ts';
import { crash } from './workloads/crash.ts';
import { freeze } from './workloads/freeze.ts';
import { hostile } from './workloads/hostile.ts';
import { reconnect } from './workloads/reconnect.ts';
import { slow } from './workloads/slow.ts';
import { soak } from './workloads/soak.ts';

export const workloads: readonly Workload[] = [reconnect, crash, freeze, slow, hostile, soak];

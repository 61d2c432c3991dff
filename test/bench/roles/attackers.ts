/**
 * The attackers, in a process of their own that gives way to the good users' where they share a core: a heartbeat that its
 * sender could not send would say nothing of the hub. Started by the workload `hostile`.
 */
import { setPriority } from 'node:os';
import { startAttack, type AttackScale } from '../lib/attacks.ts';
import type { Crowd, CrowdCounts } from '../lib/crowd.ts';
import { serveRole } from '../lib/roles.ts';

export interface AttackTask {
  readonly name: string;
  readonly port: number;
  readonly localAddress: string | undefined;
  readonly scale: AttackScale;
}

const LOWEST_PRIORITY = 19;
const crowds: Crowd[] = [];

const commands = {
  start: ({ name, port, localAddress, scale }: AttackTask): void => {
    setPriority(LOWEST_PRIORITY);
    crowds.push(startAttack(name, { port, localAddress }, scale));
  },
  /** What they did; then they let go. */
  stop: (): readonly CrowdCounts[] => {
    const gone = crowds.splice(0);
    const counts = gone.map((crowd) => crowd.counts);
    for (const crowd of gone) crowd.disperse();
    return counts;
  },
};

export type AttackersCommands = typeof commands;

serveRole(commands);

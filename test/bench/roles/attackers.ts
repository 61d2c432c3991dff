/**
 * The attackers, in a separate process with a lower priority than the good users'. Otherwise a late heartbeat could be
 * the sender's fault, and not the hub's.
 */
import { setPriority } from 'node:os';
import { attackNamed, startAttack } from '../lib/attacks/index.ts';
import type { AttackScale, HubPorts } from '../lib/attacks/attack.ts';
import type { Crowd, CrowdCounts } from '../lib/crowd.ts';
import { serveRole } from '../lib/roles.ts';

export interface AttackTask {
  readonly name: string;
  readonly seed: number;
  readonly port: number;
  readonly localAddress: string | undefined;
  readonly scale: AttackScale;
}

const LOWEST_PRIORITY = 19;
const crowds: Crowd[] = [];

const commands = {
  /** Puts into the hub what the attack needs to find there. */
  prepare: async ({ name, hub }: { readonly name: string; readonly hub: HubPorts }): Promise<void> =>
    attackNamed(name).prepare?.(hub),
  start: ({ name, seed, port, localAddress, scale }: AttackTask): void => {
    setPriority(LOWEST_PRIORITY);
    crowds.push(startAttack(name, seed, { port, localAddress }, scale));
  },
  /** Returns what they did, then closes their connections. */
  stop: (): readonly CrowdCounts[] => {
    const gone = crowds.splice(0);
    const counts = gone.map((crowd) => crowd.counts);
    for (const crowd of gone) crowd.disperse();
    return counts;
  },
};

export type AttackersCommands = typeof commands;

serveRole(commands);
